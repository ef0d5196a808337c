"""A virtual file system that writes no page with leftovers in it.

`secure_delete` overwrites rows that are removed, but where SQLite moves rows from one page to
another (balancing its tree) it leaves what stood there in the unused gap between a page's cell
pointers and its cells: a copy that outlives the row. Nobody reads a gap, so it is zeroed here, on
each page's way into the database file. The write-ahead log is emptied after a removal anyway.

Source: the database file format, "B-tree Pages", https://sqlite.org/fileformat2.html.
"""

import threading
from typing import Any, Final

import apsw

_FILE_HEADER_BYTES: Final = 100
_LEAVES: Final = (0x0A, 0x0D)
_INTERIORS: Final = (0x02, 0x05)
_lock: Final = threading.Lock()
# They have to live as long as any connection.
_made: Final[list["ScrubbingVFS"]] = []


def scrubbing_vfs(base: str | None) -> str:
    """The name of a scrubbing file system over the one named `base`, None for SQLite's own."""
    with _lock:
        if base is None and (own := [vfs for vfs in _made if not vfs.base]):
            return own[0].name
        # A new one each time: a `base` of the same name may be another one by now.
        made = ScrubbingVFS(f"oneglance-scrubbing-{len(_made)}", base or "")
        _made.append(made)
        return made.name


class ScrubbingVFS(apsw.VFS):
    """Opens database files as ScrubbedFile and all others as they are."""

    def __init__(self, name: str, base: str) -> None:
        self.name, self.base = name, base
        super().__init__(name, base, maxpathname=0)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        """See apsw.VFS."""
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return ScrubbedFile(self.base, name, flags)
        return apsw.VFSFile(self.base, name, flags)


class ScrubbedFile(apsw.VFSFile):
    """A database file; what is not a page of a tree is written as it comes."""

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        """See apsw.VFSFile."""
        super().xWrite(scrubbed(data, first=offset == 0), offset)


def scrubbed(page: bytes, *, first: bool) -> bytes:
    """A page with its gap zeroed. first: it is page 1, which begins with the file's header."""
    start = _FILE_HEADER_BYTES if first else 0
    if len(page) < start + 12 or page[start] not in (*_LEAVES, *_INTERIORS):
        return page
    header = 8 if page[start] in _LEAVES else 12
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    # Zero stands for 65,536, the one size that two bytes do not hold.
    content = int.from_bytes(page[start + 5 : start + 7], "big") or 65_536
    gap = start + header + 2 * cells
    if not gap < content <= len(page):
        return page
    return page[:gap] + bytes(content - gap) + page[content:]
