"""The receipt of an answer: what feedback on it has to know, for the caller to keep.

So the service remembers nothing of a search: any replica reads any receipt, and a restart loses
none. It is not signed. Whoever may send feedback may calibrate with any photo, too, and would gain
nothing by a made-up one; the checksum is there for what was cut off or mistyped.

Binary, big-endian, in URL-safe base64 without padding: a version byte, _HEAD, the collection's id
and the ids of up to two best subjects (a length byte and UTF-8 each), CRC-32 of all before.
"""

import base64
import binascii
import hashlib
import secrets
import struct
import time
import zlib
from dataclasses import dataclass
from typing import Final

from index.gallery import Gallery
from index.records import Candidate
from index.scoring import ScoringName
from index.tables.feedback import Answered

_VERSION: Final = 1
# Id, seconds, contract, number of the collection, its subjects, templates and revision, scoring,
# what was answered, how many subjects follow, their similarities.
_HEAD: Final = struct.Struct(">16sq8sqqqqBBBdd")
_SCORINGS: Final[tuple[ScoringName, ...]] = ("best", "mean")
_ANSWERS: Final[tuple[Answered, ...]] = ("match", "unknown", "not_evaluated")
# Of a receipt with three ids of 128 bytes each, and room.
MAX_CHARS: Final = 1_024
# The year 3058, which still can be written as a time.
_AT_END: Final = 2**35


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedGallery:
    """The collection that was searched. contract: contract_digest of its embeddings' contract."""

    collection_id: str
    collection_number: int
    contract: bytes
    scoring: ScoringName
    subjects: int
    templates: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One face that was searched for. id: 32 hex digits. at: seconds since 1970.

    answered: the decision. best: up to two subjects with their similarities, best first; never
    none.
    """

    id: str
    at: int
    gallery: SearchedGallery
    answered: Answered
    best: tuple[tuple[str, float], ...]


def searched_gallery(gallery: Gallery) -> SearchedGallery:
    """A collection as it is now.

    Ask before a search: where another bundle takes its place in between, feedback is refused, and
    its similarities are not taken for those of the new one. Raises GalleryUnavailableError.
    """
    contract_id = gallery.contract.id
    stored = gallery.stored()
    return SearchedGallery(
        collection_id=stored.id,
        collection_number=stored.number,
        contract=contract_digest(contract_id),
        scoring=gallery.scoring,
        subjects=stored.subject_count,
        templates=stored.template_count,
        revision=stored.revision,
    )


def contract_digest(contract_id: str) -> bytes:
    """8 bytes that tell contracts apart."""
    return hashlib.sha256(contract_id.encode()).digest()[:8]


def receipt_for(
    gallery: SearchedGallery, candidates: tuple[Candidate, ...], answered: Answered
) -> str | None:
    """The receipt of a face by its candidates, best first; None where there is none."""
    if not candidates:
        return None
    return encoded(
        Receipt(
            id=secrets.token_hex(16),
            at=int(time.time()),
            gallery=gallery,
            answered=answered,
            best=tuple((c.subject.id, c.similarity) for c in candidates[:2]),
        )
    )


def encoded(receipt: Receipt) -> str:
    """A receipt as text."""
    gallery = receipt.gallery
    first, second = (*(similarity for _, similarity in receipt.best), 0.0)[:2]
    head = _HEAD.pack(
        bytes.fromhex(receipt.id),
        receipt.at,
        gallery.contract,
        gallery.collection_number,
        gallery.subjects,
        gallery.templates,
        gallery.revision,
        _SCORINGS.index(gallery.scoring),
        _ANSWERS.index(receipt.answered),
        len(receipt.best),
        first,
        second,
    )
    names = [gallery.collection_id, *(subject_id for subject_id, _ in receipt.best)]
    data = bytes([_VERSION]) + head
    for name in names:
        text = name.encode()
        data += bytes([len(text)]) + text
    data += zlib.crc32(data).to_bytes(4, "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> Receipt:
    """The receipt that `encoded` wrote. Raises ValueError for any other text."""
    data = _checked(text)
    if data[0] != _VERSION:
        raise ValueError(
            f"The receipt is of version {data[0]}, this service reads {_VERSION}: identify the "
            "photo again."
        )
    try:
        return _read(data[1:])
    except (struct.error, IndexError, ValueError) as error:
        raise _unknown() from error


def _checked(text: str) -> bytes:
    try:
        data = base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
    except (UnicodeEncodeError, binascii.Error) as error:
        raise _unknown() from error
    # Text that only decodes to the same bytes is not what was given out.
    same = base64.urlsafe_b64encode(data).decode().rstrip("=") == text
    if not same or len(data) < 5 or zlib.crc32(data[:-4]).to_bytes(4, "big") != data[-4:]:
        raise _unknown()
    return data[:-4]


def _unknown() -> ValueError:
    return ValueError(
        "The receipt is none of this service's, or not whole: send `receipt` of a face as "
        "/v1/identify answered it, every character."
    )


def _read(data: bytes) -> Receipt:
    receipt_id, at, contract, number, subjects, templates, revision, *rest = _HEAD.unpack_from(data)
    scoring, answered, count, *scores = rest
    names, place = [], _HEAD.size
    for _ in range(1 + count):
        end = place + 1 + data[place]
        names.append(data[place + 1 : end].decode())
        place = end
    possible = (
        place == len(data)
        and count in (1, 2)
        and 1 >= scores[0] >= scores[1] >= 0
        and 0 <= at < _AT_END
        and min(number, subjects, templates, revision) >= 0
    )
    if not possible:
        raise ValueError("it contradicts itself")
    return Receipt(
        id=receipt_id.hex(),
        at=at,
        gallery=SearchedGallery(
            collection_id=names[0],
            collection_number=number,
            contract=contract,
            scoring=_SCORINGS[scoring],
            subjects=subjects,
            templates=templates,
            revision=revision,
        ),
        answered=_ANSWERS[answered],
        best=tuple(zip(names[1:], scores, strict=False)),
    )
