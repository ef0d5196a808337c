"""A folder of photos as a zip, the same bytes for the same photos.

That they are the same lets an import that was stopped be known again when it is sent again.
"""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from contract.errors import OneGlanceError
from service.commands.gallery.common import progress


@contextmanager
def folder_zip(folder: Path) -> Iterator[BinaryIO]:
    """A zip of all that is visible in `folder`, in a file without a name where temporary ones lie.

    Only this process can read it, and it is gone with it. Raises OneGlanceError: nothing to send,
    or no room for it.
    """
    photos = list(_photos(folder))
    if not photos:
        raise OneGlanceError(
            f"{folder} has no files: put photos in, those of each subject into a sub-folder."
        )
    with tempfile.TemporaryFile() as file:
        try:
            with (
                zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
                progress("pack", total=len(photos), unit="photo") as bar,
            ):
                for photo in photos:
                    _add(archive, photo, photo.relative_to(folder).as_posix())
                    bar.update()
        except OSError as error:
            raise OneGlanceError(
                f"{folder} cannot be packed in {tempfile.gettempdir()} ({error}): make room there, "
                "or name another folder by TMPDIR."
            ) from error
        file.seek(0)
        yield cast(BinaryIO, file)


def _photos(folder: Path) -> Iterator[Path]:
    """All files below, in the order of names, without what is hidden."""
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _refuse(error: OSError) -> None:
    # os.walk leaves out what it cannot read: that would be an import of fewer subjects.
    raise error


def _add(archive: zipfile.ZipFile, photo: Path, name: str) -> None:
    # Always of the same day: when the file was touched is no matter.
    info = zipfile.ZipInfo(name)
    with photo.open("rb") as source:
        info.file_size = os.fstat(source.fileno()).st_size
        try:
            with archive.open(info, "w") as target:
                shutil.copyfileobj(source, target)
        except UnicodeEncodeError as error:
            raise OneGlanceError(
                f"{name!a} is not called in UTF-8: rename it, a zip cannot say its name."
            ) from error
