"""The JSON of a removal, for the person who asked for it."""

from typing import Literal

from pydantic import Field

from service.schemas import Model


class ErasedOut(Model):
    """How much there was. null where an older version removed it, which did not note it."""

    embeddings: int | None = Field(description="of faces, under every bundle")
    pictures: int | None = Field(description="stored crops of faces")
    feedback: int | None = Field(description="verdicts on answers that named the subject")
    facts: bool = Field(description="name, external id, metadata, expiry and consent reference")


class PlaceOut(Model):
    """A place where something was, or may be."""

    place: str
    state: Literal["erased", "removed", "kept", "not_reached"] = Field(
        description="erased: no bytes are left; removed: not found any more, bytes may be left for "
        "a while; kept: on purpose; not_reached: nothing was done there"
    )
    detail: str


class ErasureProof(Model):
    """The removal's entry in the audit log, by which the report can be checked."""

    place: int
    sha256: str


class ErasureReport(Model):
    """What became of a subject that was removed. It names nobody but by the id."""

    format: Literal["oneglance-erasure-report/1"] = "oneglance-erasure-report/1"
    subject_id: str
    collection: str
    erased_at: str = Field(description="RFC 3339")
    reason: Literal["request", "expiry"]
    gallery_revision: int
    erased: ErasedOut
    places: list[PlaceOut]
    audit: ErasureProof
