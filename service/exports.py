"""Export files that wait to be fetched: kept for some hours, then removed."""

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from contract.errors import ExportNotFoundError, GalleryUnavailableError
from index.gallery import Gallery
from index.portable.exporting import export_collection
from service.access.owned_id import owned_id
from service.kept_files import KeptFiles

_ID: Final = re.compile("[0-9a-f]{32}")
_SUFFIX: Final = ".oneglance"


class Exports:
    """The files of `folder`, each removed `keep_s` seconds after it was written.

    Any thread may call anything. Several processes may share the folder.
    """

    def __init__(self, folder: Path, *, keep_s: float) -> None:
        self._folder = folder
        # Those of interrupted exports, too, which have one more suffix.
        self._kept = KeptFiles(folder, f"*{_SUFFIX}*", keep_s=keep_s)

    def write(
        self, gallery: Gallery, export_id: str, *, crops: bool, progress: Callable[[float], None]
    ) -> dict[str, Any]:
        """Write a collection into the file of a new id; what is in it.

        Raises what `progress` raises, GalleryUnavailableError, or GalleryError.
        """
        path = self._path(export_id)
        expected = max(1, gallery.template_count)
        counted = {"subject_count": 0, "template_count": 0}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for done in export_collection(gallery, path, crops=crops):
                counted = {"subject_count": done.subjects, "template_count": done.templates}
                progress(done.templates / expected)
            return {"export_id": export_id, **counted, "bytes": path.stat().st_size}
        except OSError as error:
            raise GalleryUnavailableError(
                f"The export cannot be written into {self._folder} ({error.strerror}): make room, "
                "or see to the folder."
            ) from error
        finally:
            # Of one that was broken off: nobody asks for it again, its id is told to nobody.
            with suppress(OSError):
                path.with_name(path.name + ".part").unlink()

    def open(self, export_id: str) -> BinaryIO:
        """The whole file. Raises ExportNotFoundError: not there yet, or not any more."""
        if not _ID.fullmatch(export_id):
            raise ExportNotFoundError(export_id)
        self._kept.sweep()
        try:
            return self._path(export_id).open("rb")
        except FileNotFoundError as error:
            raise ExportNotFoundError(export_id) from error

    def close(self) -> None:
        """End the removals; files stay for their time."""
        self._kept.close()

    def _path(self, export_id: str) -> Path:
        return self._folder / f"{export_id}{_SUFFIX}"


def new_export_id(collection_id: str) -> str:
    """32 hex digits that nobody can guess, an owned_id of the collection."""
    return owned_id(secrets.token_hex(16), collection_id)
