"""Zips of CompreFace's photos that an import takes, one at a time.

A photo lies in the folder of its subject and is called by its image id, which a table makes the id
of its template: what asked CompreFace for an image by its id goes on asking. Where no folder can
carry the name, as that of "a/b", the table says whose it is. The same photos make the same zips,
byte by byte, so that an import that was stopped goes on where it was.
"""

import csv
import itertools
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from service.compreface.mapping import template_id_of
from service.compreface.migration.error import MigrationError
from service.compreface.migration.photo import CompreFace, SavedPhoto

# Far inside what a service takes unless it is told otherwise.
PART_PHOTOS = 5_000
PART_BYTES = 512 << 20
# Imports take files of this name for what macOS puts beside photos.
_NO_FOLDER: Final = "__MACOSX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An import. csv: the table that goes with it."""

    archive: Path
    csv: Path
    photos: int


def parts(compreface: CompreFace, progress: Callable[[int, int], None]) -> Iterator[Part]:
    """The photos in parts, each removed when the next is asked for, and all in the end.

    They lie where temporary files do, in a folder that only its owner can enter. progress: is told
    how many images are done with, of how many. Raises MigrationError.
    """
    findings = compreface.findings

    def counted() -> Iterator[SavedPhoto]:
        for photo in compreface.photos():
            findings.photo_count += 1
            progress(findings.photo_count + findings.left_out_count, compreface.photo_total)
            yield photo

    photos = counted()
    with tempfile.TemporaryDirectory(prefix="oneglance-") as folder:
        for number in itertools.count(1):
            part = _written(Path(folder) / f"part-{number}", photos)
            if part is None:
                return
            yield part
            part.archive.unlink()
            part.csv.unlink()


def _written(path: Path, photos: Iterator[SavedPhoto]) -> Part | None:
    """The next photos as files that begin with `path`; None if there are no more."""
    archive_path, table_path = path.with_suffix(".zip"), path.with_suffix(".csv")
    rows: list[tuple[str, str, str, str]] = []
    count = length = 0
    try:
        # Photos are compressed already.
        with zipfile.ZipFile(archive_path, "w", zipfile.ZIP_STORED) as archive:
            for photo in photos:
                inside = _path(photo)
                # Always of the same day: the same photos are the same bytes.
                archive.writestr(zipfile.ZipInfo(inside), photo.data)
                # Empty where the folder says it.
                who = photo.subject if inside == photo.image_id else ""
                rows.append((inside, who, who, template_id_of(photo.image_id)))
                count += 1
                length += len(photo.data)
                if count >= PART_PHOTOS or length >= PART_BYTES:
                    break
        with table_path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("path", "external_id", "name", "template_id"), *rows])
    except OSError as error:
        raise MigrationError(
            f"The photos cannot be kept in {path.parent} ({error.strerror}): make room for "
            f"{PART_BYTES >> 20} MiB there, or name another folder by TMPDIR."
        ) from error
    if not count:
        return None
    return Part(archive=archive_path, csv=table_path, photos=count)


def _path(photo: SavedPhoto) -> str:
    """In the folder of the subject, or the image id alone where that would name somebody else."""
    path = PurePosixPath(f"{photo.subject}/{photo.image_id}")
    says = path.parent.name == photo.subject and _NO_FOLDER not in path.parts
    return str(path) if says else photo.image_id
