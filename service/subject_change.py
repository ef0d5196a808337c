"""Changing what is known of a subject: what a request may say, and doing it."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from index.checks import check_facts
from index.gallery import Gallery
from index.records import Subject
from service.metadata import check_depth
from service.request_error import RequestError


class SubjectPatch(BaseModel):
    """What is not given stays, null takes a fact away. Other keys are refused."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, description="for people to read")
    external_id: str | None = Field(None, description="the subject's id in your own system")
    metadata: dict[str, Any] | None = Field(None, description="in place of all that was kept")
    expires_at: str | None = Field(
        None, description="RFC 3339; from then on the subject is not found, and is removed"
    )
    consent_ref: str | None = Field(None, description="your own reference to the consent")

    @property
    def given(self) -> dict[str, Any]:
        """The facts that the request names."""
        return {field: getattr(self, field) for field in sorted(self.model_fields_set)}


class MergeWish(BaseModel):
    """Whom a subject turned out to be."""

    model_config = ConfigDict(extra="forbid")

    into: str = Field(description="id of the subject that gets all templates, and stays")


def change_subject(gallery: Gallery, subject_id: str, facts: Mapping[str, Any]) -> Subject:
    """Overwrite these facts; the subject as it is then.

    Raises SubjectNotFoundError, SubjectConflictError (the external id is another's), or
    RequestError for a fact that cannot be kept.
    """
    for field, value in facts.items():
        try:
            check_facts(**{field: value})
        except ValueError as error:
            raise RequestError(field, str(error)) from error
    if facts.get("metadata"):
        check_depth(facts["metadata"])
    # A request that changes nothing is no write: no revision, no line in the audit log.
    return gallery.update_subject(subject_id, **facts) if facts else gallery.subject(subject_id)


def merge_subjects(gallery: Gallery, source_id: str, *, into: str) -> Subject:
    """Give all of a subject to another one and remove it; the other as it is then.

    Raises SubjectNotFoundError, or RequestError: both are the same, or say too much together.
    """
    try:
        return gallery.merge_subjects(source_id, into=into)
    except ValueError as error:
        raise RequestError("into", str(error)) from error
