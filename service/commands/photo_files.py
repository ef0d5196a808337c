"""Photos on this machine: those of a folder, and as many as one request may carry."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from contract.errors import OneGlanceError

# Below the service's max_body_bytes.
REQUEST_BYTES: Final = 64 * 1024 * 1024


def visible_files(folder: Path) -> list[Path]:
    """What lies in a folder, in the order of names, without what is hidden; [] of what is none."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))


def check_there(photos: Sequence[Path]) -> None:
    """Raise OneGlanceError for a photo that is not there, before anything is sent."""
    for photo in photos:
        if not photo.is_file():
            raise OneGlanceError(f"There is no file {photo}: name photos that are there.")


def requests(photos: Sequence[Path], *, most: int) -> Iterator[list[Path]]:
    """The photos in their order, `most` at a time, and fewer where they are large."""
    part: list[Path] = []
    size = 0
    for photo in photos:
        own = photo.stat().st_size
        if part and (len(part) == most or size + own > REQUEST_BYTES):
            yield part
            part, size = [], 0
        part.append(photo)
        size += own
    if part:
        yield part
