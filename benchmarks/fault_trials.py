"""One fault each: a row of calls on a copy of a gallery, and what is looked at around them."""

import contextlib
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import apsw
import numpy as np

from benchmarks.faulty_python import FaultyPython
from benchmarks.faulty_vfs import Fault, FaultyVfs
from benchmarks.gallery_check import Findings, checkpoint_often, compare, copies_left, opened
from benchmarks.gallery_script import CONTRACTS, FIRST, Call, State, perform
from contract.errors import (
    GalleryError,
    GalleryFullError,
    GalleryUnavailableError,
    SubjectNotFoundError,
)
from index.gallery import Gallery

NAME: Final = "gallery.db"
# Small, so that checkpoints are among the calls.
CHECKPOINT_PAGES: Final = 15
_OTHER: Final = next(name for name in CONTRACTS if name != FIRST)
_PREPARED: Final = (
    Call("enrol", 1, "ann", count=2),
    Call("enrol", 2, "bob", count=3, crops=True),
    Call("enrol", 3, "cid", count=1),
    Call("enrol", 4, "dan", count=12, crops=True),
    Call("begin", 5, contract=_OTHER),
    Call("stage", 6, contract=_OTHER, count=9),
)
_CALLS: Final = (
    Call("enrol", 11, "eve", count=2, crops=True),
    Call("remove", 12, "bob"),
    Call("enrol", 13, "ann", count=30, crops=True),
    Call("merge", 14, "cid", "ann"),
    Call("stage", 15, contract=_OTHER, count=200),
    Call("switch", 16, contract=_OTHER),
    Call("enrol", 17, "fay", count=1),
    Call("roll_back", 18),
    Call("remove", 19, "dan"),
    Call("switch", 20, contract=_OTHER),
    Call("drop_former", 21),
)
Storage: TypeAlias = FaultyVfs | FaultyPython


@dataclass
class Faulted(Findings):
    """What all trials have shown."""

    trials: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by the name of the error
    sites: Counter[str] = field(default_factory=Counter)  # what was made to fail
    nameless: int = 0  # writes of SQLite to temporary files elsewhere
    uncertain: int = 0  # refused, and there all the same were the process killed right then


def prepared(folder: Path) -> State:
    """Make the gallery that all trials begin with, in an empty folder."""
    state = State()
    with opened(folder / NAME) as gallery:
        for call in _PREPARED:
            state = state.after(call, perform(gallery, call))
    return state


class Trial:
    """One fault of the storage while calls are made; `path` is a copy of the gallery."""

    def __init__(self, path: Path, state: State, storage: Storage, findings: Faulted) -> None:
        self.path = path
        self.state = state
        self._storage = storage
        self._findings = findings

    def run(self, fault: Fault) -> bool:
        """Do all calls; whether the fault has come up."""
        self._findings.trials += 1
        try:
            came = self._with_fault(fault)
            self._findings.sites.update(f"{hit.call} {hit.file}" for hit in self._storage.hits)
        finally:
            self._storage.lift()
        self._findings.nameless += self._storage.nameless
        self._storage.nameless = 0
        with opened(self.path) as gallery:
            self._look(gallery)
        if copies := copies_left(self.path.parent, self.state):
            self._findings.faults.append(f"still there: {copies}")
        return came

    def _with_fault(self, fault: Fault) -> bool:
        with opened(self.path, self._storage.name) as gallery:
            checkpoint_often(gallery, CHECKPOINT_PAGES)
            self._storage.arm(fault)
            for call in _CALLS:
                self._call(gallery, call)
            came = bool(self._storage.hits)
            if came:
                self._storage.lift()
                self._look(gallery)
                if fault.lasting:
                    self._storage.arm(Fault(kind=fault.kind, at=1, lasting=True))
            # Else it may come while the gallery is closed.
        return came or bool(self._storage.hits)

    def _call(self, gallery: Gallery, call: Call) -> None:
        """Do it; if it is refused, look, let the fault go, and do it again."""
        before = len(self._storage.hits)
        try:
            ids = perform(gallery, call)
        except GalleryError as error:
            self._refused(call, error, self._storage.hits[before:])
            self._look(gallery)
            self._storage.lift()
            self._killed(call)
            ids = perform(gallery, call)
        self.state = self.state.after(call, ids)

    def _refused(self, call: Call, error: GalleryError, hits: list[Any]) -> None:
        full = any(hit.code == apsw.SQLITE_FULL for hit in hits[:1])
        expected = GalleryFullError if full else GalleryUnavailableError
        self._findings.refused[type(error).__name__] += 1
        if type(error) is not expected or str(self.path) not in str(error):
            self._findings.faults.append(f"{call.kind} was refused as {error!r} after {hits}")

    def _look(self, gallery: Gallery) -> None:
        """Compare, while the fault may still be there."""
        if self._storage.fault and self._storage.fault.kind == "unreadable":
            _answers_or_refuses(gallery)
        else:
            compare(gallery, self.path, self.state, [], self._findings)

    def _killed(self, call: Call) -> None:
        """Whether a restart would show the refused call, if the process was killed right now."""
        with tempfile.TemporaryDirectory(dir=self.path.parent.parent) as folder:
            for file in self.path.parent.iterdir():
                if not file.name.endswith("-shm"):
                    shutil.copy(file, folder)
            copy = Path(folder) / self.path.name
            before = self._findings.done
            with opened(copy) as gallery:
                compare(gallery, copy, self.state, [call], self._findings)
            self._findings.uncertain += self._findings.done - before


def opening_trial(
    path: Path, state: State, storage: Storage, fault: Fault, findings: Faulted
) -> bool:
    """Open amid a fault of the storage, then without; whether the fault has come up."""
    findings.trials += 1
    storage.arm(fault)
    try:
        readable = fault.kind != "unreadable"
        _open_or_refuse(path, state, storage.name, findings, readable=readable)
    finally:
        storage.lift()
    findings.sites.update(f"{hit.call} {hit.file}" for hit in storage.hits)
    _opens_now(path, state, findings)
    return bool(storage.hits)


def _answers_or_refuses(gallery: Gallery) -> None:
    """Read in every way; what cannot be read is refused in words."""
    probe = np.ones((1, gallery.contract.size), np.float32)
    for read in (
        lambda: gallery.search(probe, top_k=3),
        lambda: gallery.subject("ann"),
        lambda: gallery.subjects(limit=10),
    ):
        with contextlib.suppress(GalleryUnavailableError, SubjectNotFoundError):
            read()


def _open_or_refuse(
    path: Path, state: State, vfs: str | None, findings: Faulted, *, readable: bool = True
) -> None:
    """Open, look and close; or be refused in words."""
    try:
        with opened(path, vfs) as gallery:
            if readable:
                compare(gallery, path, state, [], findings)
            else:
                _answers_or_refuses(gallery)
    except GalleryUnavailableError as error:
        findings.refused[type(error).__name__] += 1
        if str(path.parent) not in str(error):
            findings.faults.append(f"opening was refused as {error!r}")


def _opens_now(path: Path, state: State, findings: Faulted) -> None:
    """Open, look, and write once."""
    with opened(path) as gallery:
        state = compare(gallery, path, state, [], findings)
        call = Call("enrol", 99, "zoe", count=1)
        state = state.after(call, perform(gallery, call))
        compare(gallery, path, state, [], findings)
