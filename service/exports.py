"""Export files that wait to be fetched: kept for some hours, then removed."""

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from contract.errors import ExportNotFoundError, GalleryUnavailableError
from index.gallery import Gallery
from index.portable.exporting import export_collection

log = logging.getLogger(__name__)

_ID: Final = re.compile("[0-9a-f]{32}")
_SUFFIX: Final = ".oneglance"
_SWEEP_S: Final = 60.0


class Exports:
    """The files of `folder`, and a thread that removes each after `keep_s` seconds.

    Any thread may call anything. Several processes may share the folder.
    """

    def __init__(self, folder: Path, *, keep_s: float) -> None:
        self._folder, self._keep_s = folder, keep_s
        self._closing = threading.Event()
        # A daemon: a process that ends without close() must not wait for it.
        self._thread = threading.Thread(target=self._run, name="exports", daemon=True)
        self._thread.start()

    def write(
        self, gallery: Gallery, export_id: str, *, crops: bool, progress: Callable[[float], None]
    ) -> dict[str, Any]:
        """Write a collection into the file of a new id; what is in it.

        Raises what `progress` raises, GalleryUnavailableError, or GalleryError.
        """
        path = self._path(export_id)
        expected = max(1, gallery.template_count)
        counted = {"subjects": 0, "templates": 0}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for done in export_collection(gallery, path, crops=crops):
                counted = {"subjects": done.subjects, "templates": done.templates}
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
        self.sweep()
        try:
            return self._path(export_id).open("rb")
        except FileNotFoundError as error:
            raise ExportNotFoundError(export_id) from error

    def sweep(self) -> None:
        """Remove the files whose time is over, those of interrupted exports too."""
        for path in self._folder.glob(f"*{_SUFFIX}*"):
            try:
                if path.stat().st_mtime <= time.time() - self._keep_s:
                    path.unlink()
                    log.info("the export %s was removed", path.name)
            except FileNotFoundError:
                continue  # Another process was faster.

    def close(self) -> None:
        """End the thread; files stay for their time."""
        self._closing.set()
        self._thread.join()

    def _path(self, export_id: str) -> Path:
        return self._folder / f"{export_id}{_SUFFIX}"

    def _run(self) -> None:
        while True:
            try:
                self.sweep()
            # Whatever it is, the next sweep must come: the files hold biometric data.
            except Exception:
                log.exception("the sweep for old exports failed and is tried again")
            if self._closing.wait(_SWEEP_S):
                return


def new_export_id() -> str:
    """32 hex digits that nobody can guess."""
    return uuid.uuid4().hex
