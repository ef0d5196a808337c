"""A file system of SQLite that fails on demand: full, read-only, or with an I/O error.

It stands in front of SQLite's own `unix`, by SQLite's C interface (sqlite3_vfs and
sqlite3_io_methods, https://sqlite.org/c3ref/vfs.html) and ctypes. apsw's own classes will not do:
an exception in one of their methods reaches the caller even where SQLite itself has dealt with
the fault, as after a commit whose checkpoint failed.
"""

import ctypes
import os
import threading
from collections import Counter
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass
from typing import Any, Final, Self

import apsw

# What a storage answers, by kind of fault and call. Broken for writing, or for reading.
CODES: Final[dict[str, dict[str, int]]] = {
    "full": {
        "open": apsw.SQLITE_CANTOPEN,
        "write": apsw.SQLITE_FULL,
        "sync": apsw.SQLITE_IOERR_FSYNC,  # Delayed allocation finds out late that there is no room.
        "shm_map": apsw.SQLITE_IOERR_SHMSIZE,
    },
    "readonly": {
        "open": apsw.SQLITE_CANTOPEN,
        "delete": apsw.SQLITE_IOERR_DELETE,
        "write": apsw.SQLITE_READONLY,
        "truncate": apsw.SQLITE_IOERR_TRUNCATE,
        "shm_map": apsw.SQLITE_READONLY_CANTINIT,
    },
    "ioerr": {
        "open": apsw.SQLITE_CANTOPEN,
        "delete": apsw.SQLITE_IOERR_DELETE,
        "write": apsw.SQLITE_IOERR_WRITE,
        "truncate": apsw.SQLITE_IOERR_TRUNCATE,
        "sync": apsw.SQLITE_IOERR_FSYNC,
        "shm_map": apsw.SQLITE_IOERR_SHMMAP,
    },
    "unreadable": {
        "read": apsw.SQLITE_IOERR_READ,
        "size": apsw.SQLITE_IOERR_FSTAT,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The `at`-th call that can fail in this way fails, and with `lasting` all after it too.

    kind: a key of CODES. With `half`, a write that fails has written its first half.
    """

    kind: str
    at: int
    lasting: bool = False
    half: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A call that failed, the end of its file's name, and what it answered."""

    call: str
    file: str
    code: int


class _Vfs(Structure):
    pass


_OPEN = CFUNCTYPE(c_int, POINTER(_Vfs), c_void_p, c_void_p, c_int, POINTER(c_int))
_DELETE = CFUNCTYPE(c_int, POINTER(_Vfs), c_char_p, c_int)
_Vfs._fields_ = [
    ("version", c_int),
    ("file_bytes", c_int),
    ("path_bytes", c_int),
    ("next", POINTER(_Vfs)),
    ("name", c_char_p),
    ("data", c_void_p),
    ("open", _OPEN),
    ("delete", _DELETE),
    *((f"other_{number}", c_void_p) for number in range(14)),
]
_METHODS: Final = {
    "close": CFUNCTYPE(c_int, c_void_p),
    "read": CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64),
    "write": CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64),
    "truncate": CFUNCTYPE(c_int, c_void_p, c_int64),
    "sync": CFUNCTYPE(c_int, c_void_p, c_int),
    "size": CFUNCTYPE(c_int, c_void_p, POINTER(c_int64)),
    **dict.fromkeys(("lock", "unlock", "reserved", "control", "sector", "traits"), c_void_p),
    "shm_map": CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int, POINTER(c_void_p)),
    **dict.fromkeys(("shm_lock", "shm_barrier", "shm_unmap", "fetch", "unfetch"), c_void_p),
}


class _Methods(Structure):
    _fields_ = (("version", c_int), *_METHODS.items())


class FaultyVfs:
    """Registered as `name` while the block lasts; nothing fails before `arm`.

    calls: how often each kind of call came, since the last `arm` or `lift`.
    fault: the present one. hits: the calls that failed since the last `arm`. nameless: how often
    SQLite wrote to a temporary file, which cannot be made to fail.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: Counter[str] = Counter()
        self.fault: Fault | None = None
        self.hits: list[Hit] = []
        self.nameless = 0
        self._seen = 0
        self._lock = threading.Lock()
        self._paths: dict[int, str] = {}
        self._tables: dict[int, _Methods] = {}
        self._usual = _usual_vfs()
        self._vfs = _Vfs()
        ctypes.pointer(self._vfs)[0] = self._usual.contents
        self._encoded = name.encode()
        self._vfs.name = self._encoded
        self._vfs.open = _OPEN(self._open)
        self._vfs.delete = _DELETE(self._delete)

    def __enter__(self) -> Self:
        self._vfs.next = self._usual.contents.next
        self._usual.contents.next = ctypes.pointer(self._vfs)
        return self

    def __exit__(self, *error: object) -> None:
        before = self._usual
        while (after := _address(before.contents.next)) != ctypes.addressof(self._vfs):
            # By its address: a chain of ctypes' own pointers gets too deep.
            before = ctypes.cast(after, POINTER(_Vfs))
        before.contents.next = self._vfs.next

    def arm(self, fault: Fault) -> None:
        """Let calls fail from now on, counted from 1."""
        assert fault.kind in CODES
        self._reset(fault)
        self.hits = []

    def lift(self) -> None:
        """Let nothing fail from now on."""
        self._reset(None)

    def _reset(self, fault: Fault | None) -> None:
        with self._lock:
            self.calls.clear()
            self._seen = 0
            self.fault = fault

    def _code(self, call: str, path: str) -> int:
        """What the call has to answer: 0, or an error."""
        with self._lock:
            self.calls[call] += 1
            fault = self.fault
            if not path:
                self.nameless += call == "write"
            if not path or fault is None or call not in CODES[fault.kind]:
                return apsw.SQLITE_OK
            self._seen += 1
            if self._seen < fault.at or (self._seen > fault.at and not fault.lasting):
                return apsw.SQLITE_OK
            hit = Hit(call, path.rpartition(".")[2], CODES[fault.kind][call])
            self.hits.append(hit)
            return hit.code

    def _open(self, _: Any, path: int | None, file: int, flags: int, out: Any) -> int:
        shown = ctypes.string_at(path).decode() if path else ""
        methods = ctypes.cast(file, POINTER(POINTER(_Methods)))
        # A file that is there is opened on a full disk too.
        new = bool(path and flags & apsw.SQLITE_OPEN_CREATE and not os.path.exists(shown))
        if new and (code := self._code("open", shown)):
            methods[0] = POINTER(_Methods)()
            return code
        code = int(self._usual.contents.open(self._usual, path, file, flags, out))
        if methods[0]:
            self._paths[file] = shown
            methods[0] = ctypes.pointer(self._table(methods[0]))
        return code

    def _delete(self, _: Any, path: bytes, sync_folder: int) -> int:
        code = self._code("delete", path.decode())
        return code or int(self._usual.contents.delete(self._usual, path, sync_folder))

    def _table(self, usual: Any) -> _Methods:
        """SQLite's methods of a file with ours in front of them; kept, since C points to it."""
        address = ctypes.addressof(usual.contents)
        if address not in self._tables:
            table = self._tables[address] = _Methods()
            ctypes.pointer(table)[0] = usual.contents
            for call in ("read", "write", "truncate", "sync", "size", "shm_map"):
                if getattr(usual.contents, call):
                    front = self._front(call, getattr(usual.contents, call))
                    setattr(table, call, _METHODS[call](front))
        return self._tables[address]

    def _front(self, call: str, usual: Callable[..., int]) -> Callable[..., int]:
        def answer(file: int, *given: Any) -> int:
            code = self._code(call, self._paths.get(file, ""))
            if code and call == "write" and self.fault and self.fault.half:
                data, size, offset = given
                usual(file, data, size // 2, offset)
            return code or int(usual(file, *given))

        return answer


def _address(pointer: Any) -> int:
    return ctypes.cast(pointer, c_void_p).value or 0


def _usual_vfs() -> Any:
    """SQLite's own structure of the file system `unix`."""
    found = POINTER(_Vfs)()
    connection = apsw.Connection(":memory:", vfs="unix")
    connection.file_control("main", apsw.SQLITE_FCNTL_VFS_POINTER, ctypes.addressof(found))
    connection.close()
    assert found.contents.name == b"unix"
    return found
