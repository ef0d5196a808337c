"""What a CompreFace holds, whichever way it is read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from service.compreface.migration.findings import Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPhoto:
    """A photo that was saved there. image_id: CompreFace's, a UUID. data: the file as uploaded."""

    image_id: str
    subject: str
    data: bytes


class CompreFace(Protocol):
    """One recognition service of a CompreFace.

    photo_total: how many images it has, saved or not. findings: complete when `photos` is through.
    """

    photo_total: int
    findings: Findings

    def photos(self) -> Iterator[SavedPhoto]:
        """Every saved photo once, always in the same order. Raises MigrationError."""
        ...
