"""The lines that frame an export file: header, one a block, trailer. See docs/gallery_file.md.

A frame is one line of JSON whose last key, `seal`, is the SHA-256 of the same line without it, so
that a changed byte of it is noticed before anything that it says is believed.
"""

import hashlib
import json
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.embedding_contract import EmbeddingContract
from contract.errors import GalleryError

FORMAT: Final = "oneglance-gallery"
VERSION: Final = 1
FRAME_MAX_BYTES: Final = 65_536

Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Contract(_Strict):
    """What the embeddings were made by."""

    id: Annotated[str, Field(min_length=1)]
    size: Annotated[int, Field(ge=1, le=4096)]
    d_max: Annotated[float, Field(gt=0)]


class Header(_Strict):
    """The first line. made_by: version of OneGlance. crops: they are in the file, too."""

    format: Literal["oneglance-gallery"]
    version: Literal[1]
    contract: Contract
    collection_id: str
    created_at: str
    made_by: str
    crops: bool

    @property
    def embedding_contract(self) -> EmbeddingContract:
        """As the gallery knows it."""
        c = self.contract
        return EmbeddingContract(id=c.id, size=c.size, d_max=c.d_max)


class BlockHead(_Strict):
    """The line before a block. sha256: of its JSON lines and its binary part together."""

    block: Count
    subjects: Annotated[int, Field(ge=1)]
    jsonl_bytes: Count
    binary_bytes: Count
    sha256: Sha256


class Trailer(_Strict):
    """The last line. sha256: of all frames before it, their line ends included."""

    blocks: Count
    subjects: Count
    templates: Count
    sha256: Sha256


class TemplateLine(_Strict):
    """A template in its subject's line. crop_bytes: length of its picture, null without one."""

    id: str
    created_at: str
    crop_bytes: Annotated[int, Field(ge=1)] | None


class SubjectLine(_Strict):
    """One line of a block's JSON part."""

    id: str
    name: str | None
    external_id: str | None
    metadata: dict[str, Any]
    created_at: str
    expires_at: str | None
    consent_ref: str | None
    templates: list[TemplateLine]


Frame = TypeVar("Frame", Header, BlockHead, Trailer)


def header_of(
    contract: EmbeddingContract, *, collection_id: str, created_at: str, made_by: str, crops: bool
) -> Header:
    """The header of a file of the current version."""
    return Header(
        format="oneglance-gallery",
        version=1,
        contract=Contract(id=contract.id, size=contract.size, d_max=float(contract.d_max)),
        collection_id=collection_id,
        created_at=created_at,
        made_by=made_by,
        crops=crops,
    )


def line_of(frame: Header | BlockHead | Trailer) -> bytes:
    """A frame as it is written."""
    return _sealed(frame.model_dump())


def unsealed(line: bytes, *, where: str) -> dict[str, Any]:
    """What a frame says. Raises GalleryError: it is not as it was written."""
    broken = GalleryError(f"{where} is damaged: take the file again from where it came.")
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise broken from error
    if not isinstance(values, dict) or "seal" not in values:
        raise broken
    del values["seal"]
    try:
        intact = _sealed(values) == line
    except (ValueError, UnicodeError) as error:
        raise broken from error
    if not intact:
        raise broken
    return values


def parsed(kind: type[Frame], values: dict[str, Any], *, where: str) -> Frame:
    """A frame's values, checked. Raises GalleryError."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise GalleryError(f"{where} is not as this OneGlance writes it: {error}.") from error


def read_header(line: bytes, *, name: str) -> Header:
    """The header of the file called `name`. Raises GalleryError in words."""
    where = f"The header of {name}"
    try:
        looks_right = json.loads(line).get("format") == FORMAT
    except (ValueError, AttributeError, RecursionError):
        looks_right = False
    if not looks_right:
        raise GalleryError(
            f"{name} is no export of a gallery, or its header is damaged: name a file that "
            "`oneglance gallery export` wrote."
        )
    values = unsealed(line, where=where)
    version = values.get("version")
    if version != VERSION:
        raise GalleryError(
            f"{name} has format version {version}, this OneGlance reads version {VERSION}: "
            "use the release that wrote it, or a newer one."
        )
    return parsed(Header, values, where=where)


def sha256_of(*parts: bytes) -> str:
    """Of the parts one after the other, in hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _sealed(values: dict[str, Any]) -> bytes:
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    seal = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({**values, "seal": seal}, separators=(",", ":")).encode() + b"\n"
