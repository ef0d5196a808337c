"""A file that is there as a whole or not at all, for its owner's eyes only."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from contract.errors import OneGlanceError


def check_place(path: Path, *, replace: bool) -> None:
    """Raise OneGlanceError where no file can come to be: before hours of work, not after them."""
    if not path.parent.is_dir():
        raise OneGlanceError(f"There is no folder {path.parent}: make it, or name another file.")
    if path.is_dir():
        raise OneGlanceError(f"{path} is a folder: name a file.")
    if not replace and path.exists():
        raise OneGlanceError(
            f"There is a file {path} already: name another one, or overwrite it by --replace."
        )


@contextmanager
def whole_file(path: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """A file to be written, of mode 0600, which gets its name when all is on the disk.

    Whatever is raised inside leaves nothing behind. Raises what check_place raises, or OSError.
    """
    check_place(path, replace=replace)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".oneglance-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield cast(BinaryIO, file)
            file.flush()
            os.fsync(file.fileno())
        check_place(path, replace=replace)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
