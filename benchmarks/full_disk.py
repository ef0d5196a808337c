"""A gallery on a disk that is really full: a small memory file system of this proof's own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.fault_trials import NAME, Faulted
from benchmarks.gallery_check import compare, opened
from benchmarks.gallery_script import Call, State, perform
from contract.errors import GalleryFullError, GalleryUnavailableError
from index.gallery import Gallery

_SMALL: Final = "size=1m"
_LARGER: Final = "size=8m"
_TRIES: Final = 200


def real_disk(folder: Path, findings: Faulted) -> str:
    """Fill a disk, make it larger, make it read-only; what was found, or why it was left out."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return "a disk that is really full: left out, only root may mount one"
    place = folder / "disk"
    place.mkdir()
    done = _mount("-t", "tmpfs", "-o", _SMALL, "tmpfs", str(place))
    if done.returncode:
        return f"a disk that is really full: left out ({done.stderr.strip()})"
    try:
        return _fill(place, findings)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _fill(place: Path, findings: Faulted) -> str:
    path, state = place / NAME, State()
    with opened(path) as gallery:
        refused, state = _until_full(gallery, path, state, findings)
        # A removal may need room of its own: it is done, or refused like a write.
        subject = next(iter(state.subjects))
        try:
            removal = Call("remove", 0, subject)
            state = state.after(removal, perform(gallery, removal))
        except GalleryFullError:
            refused += 1
        compare(gallery, path, state, [], findings)
        _mount("-o", f"remount,{_LARGER}", str(place)).check_returncode()
        more = Call("enrol", _TRIES + 1, "more", count=50)
        state = state.after(more, perform(gallery, more))
        compare(gallery, path, state, [], findings)
    with opened(path) as gallery:
        compare(gallery, path, state, [], findings)
    with _read_only(place):
        try:
            with opened(path):
                findings.faults.append("a gallery on a read-only disk was opened")
        except GalleryUnavailableError as error:
            words = str(error)
    with opened(path) as gallery:
        compare(gallery, path, state, [], findings)
    return f"a disk that is really full: {refused} calls refused; read-only: {words!r}"


def _until_full(gallery: Gallery, path: Path, state: State, findings: Faulted) -> tuple[int, State]:
    """Enrol until nothing fits any more, small things too; how often that was refused."""
    refused = 0
    for seed in range(1, _TRIES):
        call = Call("enrol", seed, f"s{seed}", count=(100, 10, 1)[min(refused, 2)])
        try:
            state = state.after(call, perform(gallery, call))
        except GalleryFullError as error:
            refused += 1
            if str(path) not in str(error):
                findings.faults.append(f"a full disk was told as {error!r}")
            compare(gallery, path, state, [], findings)
            if refused > 6:
                return refused, state
    findings.faults.append("the disk was never full")
    return refused, state


@contextmanager
def _read_only(place: Path) -> Iterator[None]:
    _mount("-o", "remount,ro", str(place)).check_returncode()
    try:
        yield
    finally:
        _mount("-o", f"remount,rw,{_LARGER}", str(place)).check_returncode()


def _mount(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
