"""The files of the page, read once: what is not here cannot be asked for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

INDEX: Final = "index.html"
# A file of another kind is no part of the page: licences and notes stay in the package.
MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is sent. etag: of its bytes, quoted (RFC 9110)."""

    body: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, body: bytes, media_type: str) -> "PageFile":
        """With the etag that belongs to these bytes."""
        return cls(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def page_files() -> Mapping[str, PageFile]:
    """All files of the page by their path inside of it, as in `js/main.js`."""
    return dict(_below(files("service.page") / "files", ""))


def _below(folder: Traversable, prefix: str) -> list[tuple[str, PageFile]]:
    found: list[tuple[str, PageFile]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _below(entry, f"{prefix}{entry.name}/")
            continue
        media_type = MEDIA_TYPES.get(entry.name[entry.name.rfind(".") :])
        if media_type is not None:
            found.append((prefix + entry.name, PageFile.of(entry.read_bytes(), media_type)))
    return found
