"""Image files as callers have them: a path, the bytes of a file, or an open binary file."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final, cast

Photo = str | os.PathLike[str] | bytes | BinaryIO
Photos = Photo | Iterable[Photo]

# The name of an image that has none; without any, a part of a form is no file.
NAMELESS: Final = "image"


def as_photos(given: Photos) -> tuple[Photo, ...]:
    """One photo or several, as several. Text is one path, never its letters."""
    # Open files can be iterated over, too: by lines.
    if isinstance(given, (str, bytes, os.PathLike)) or hasattr(given, "read"):
        return (cast(Photo, given),)
    return tuple(given)


def read_photo(photo: Photo) -> tuple[str, bytes]:
    """File name and content; of an open file what is left to read. Raises OSError."""
    if isinstance(photo, bytes):
        return NAMELESS, photo
    if isinstance(photo, (str, os.PathLike)):
        path = Path(photo)
        return path.name, path.read_bytes()
    name = getattr(photo, "name", None)
    return Path(name).name if isinstance(name, str) else NAMELESS, photo.read()
