"""The instrument that simulates a lost power supply: it sees all, keeps what was synced, and it
finds the losses of a database that is not careful."""

import ctypes
import itertools
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from benchmarks.lossy_disk import POLICIES, SECTOR_BYTES, LossyDisk, write_out
from benchmarks.lossy_vfs import (
    Create,
    Delete,
    Event,
    Mark,
    Recorder,
    RecordingVfs,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Write,
)

ROOT = Path("/root-of-the-test")
FILE = ROOT / "a"
SAFE = [Create(FILE, 1), Write(1, 0, b"safe"), Sync(1), SyncFolder(ROOT)]


def after(events: list[Event], policy: str, seed: int = 0) -> dict[str, bytes | None]:
    disk = LossyDisk(ROOT)
    for event in events:
        disk.apply(event)
    return {str(path): data for path, data in disk.after_power_loss(policy, seed).items()}


def outcomes(events: list[Event], policy: str, tries: int = 200) -> list[dict[str, bytes | None]]:
    """The different states that a policy makes."""
    found: list[dict[str, bytes | None]] = []
    for seed in range(tries):
        if (state := after(events, policy, seed)) not in found:
            found.append(state)
    return found


def test_what_was_synced_is_there_whatever_happens() -> None:
    for policy in POLICIES:
        assert outcomes(SAFE, policy) == [{"a": b"safe"}]


def test_what_was_not_synced_is_dropped_or_kept() -> None:
    events = [*SAFE, Write(1, 2, b"FER"), Truncate(1, 3)]
    assert after(events, "nothing") == {"a": b"safe"}
    assert after(events, "everything") == {"a": b"saF"}
    assert after([*events, Sync(1)], "nothing") == {"a": b"saF"}


def test_a_name_is_safe_only_when_its_folder_was_synced() -> None:
    new = [Create(ROOT / "b", 2), Write(2, 0, b"x"), Sync(2)]
    assert after([*SAFE, *new], "nothing") == {"a": b"safe"}
    assert after([*SAFE, *new, SyncFolder(ROOT)], "nothing") == {"a": b"safe", "b": b"x"}
    assert after([*SAFE, Delete(FILE)], "nothing") == {"a": b"safe"}
    assert after([*SAFE, Delete(FILE), SyncFolder(ROOT)], "nothing") == {}
    moved = [*SAFE, *new, Rename(ROOT / "b", FILE, 2)]
    assert after(moved, "nothing") == {"a": b"safe"}
    assert {"a": b"x"} in outcomes(moved, "some")
    assert {"a": b"x"} in outcomes([*moved, SyncFolder(ROOT)], "nothing")


def test_a_folder_that_is_lost_takes_its_files_along() -> None:
    folder = ROOT / "f"
    inside = [Create(folder, None), Create(folder / "b", 2), Sync(2), SyncFolder(folder)]
    assert after([*SAFE, *inside], "nothing") == {"a": b"safe"}
    whole = {"a": b"safe", "f": None, "f/b": b""}
    assert after([*SAFE, *inside, SyncFolder(ROOT)], "nothing") == whole


def test_a_file_made_anew_under_its_name_is_another_one() -> None:
    events = [*SAFE, Delete(FILE), Create(FILE, 2), Write(2, 0, b"new"), Sync(2)]
    assert after(events, "nothing") == {"a": b"safe"}
    states = outcomes(events, "some")
    assert {state.get("a") for state in states} == {None, b"safe", b"new"}
    assert len(states) == 3


def test_a_prefix_is_torn_at_one_moment() -> None:
    events = [*SAFE, Write(1, 0, b"1111"), Write(1, 0, b"2222")]
    found = {state["a"] for state in outcomes(events, "prefix")}
    assert found == {b"safe"[i:].rjust(4, b"1") for i in range(5)} | {
        b"1111"[i:].rjust(4, b"2") for i in range(5)
    }


def test_some_is_any_subset_of_sectors_with_garbage_and_sizes_of_their_own() -> None:
    old = [Create(FILE, 1), Write(1, 0, b"o" * 4 * SECTOR_BYTES), Sync(1), SyncFolder(ROOT)]
    events = [*old, Write(1, 100, b"n" * 2 * SECTOR_BYTES)]
    states = [state["a"] for state in outcomes(events, "some", 2_000)]
    borders = (100, SECTOR_BYTES, 2 * SECTOR_BYTES, 2 * SECTOR_BYTES + 100)
    fates = set()
    for state in states:
        assert state is not None
        assert len(state) == 4 * SECTOR_BYTES
        assert set(state[:100] + state[borders[-1] :]) == {ord("o")}
        pieces = [state[a:b] for a, b in itertools.pairwise(borders)]
        kinds = ({ord("o"): "o", ord("n"): "n"}[p[0]] if len(set(p)) == 1 else "?" for p in pieces)
        fates.add("".join(kinds))
    assert fates == {a + b + c for a in "on?" for b in "on?" for c in "on?"}
    grown = [*SAFE, Write(1, SECTOR_BYTES, b"n")]
    assert {len(state["a"] or b"") for state in outcomes(grown, "some")} == {4, SECTOR_BYTES + 1}
    assert {"a": b"safe" + bytes(SECTOR_BYTES - 3)} in outcomes(grown, "some")


def test_the_journal_tells_the_files_as_they_are(tmp_path: Path) -> None:
    """All events in a row make the same bytes that SQLite and Python have left on the disk."""
    root = tmp_path / "seen"
    root.mkdir()
    (root / "before").write_bytes(b"there")
    recorder = Recorder(root)
    vfs = RecordingVfs("seen", recorder)
    with recorder.watching():
        (root / "sub").mkdir()
        connection = apsw.Connection(str(root / "sub" / "g.db"), vfs=vfs.name)
        connection.execute("PRAGMA page_size = 512; PRAGMA journal_mode = truncate")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 7")
        for number in range(100):
            connection.execute("INSERT INTO t VALUES (randomblob(?))", (number * 40,))
            if number % 9 == 0:
                connection.execute("DELETE FROM t WHERE rowid % 3 = 1")
        with open(root / "new.part", "wb") as file:
            file.write(b"by Python")
            file.flush()
            os.fsync(file.fileno())
        os.replace(root / "new.part", root / "before")
    disk = LossyDisk(root)
    for event in recorder.events:
        disk.apply(event)
    state = disk.after_power_loss("everything", 0)
    on_disk = {
        path.relative_to(root): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
        if not path.name.endswith("-shm")
    }
    assert state == on_disk
    assert state[Path("before")] == b"by Python"
    # Its bytes were synced, its new name was not.
    assert disk.after_power_loss("nothing", 0)[Path("before")] == b"there"
    connection.close()


def test_the_first_sync_of_a_log_syncs_its_folder(tmp_path: Path) -> None:
    """Independent of what the recorder believes: SQLite's own calls that open a folder."""
    seen: list[int] = []
    recorder = Recorder(tmp_path)
    vfs = RecordingVfs("folders", recorder)
    usual = vfs.xGetSystemCall("openDirectory")
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int))

    @kind
    def noted(path: bytes, descriptor: "ctypes._Pointer[ctypes.c_int]") -> int:
        seen.append(len(recorder.events))
        return int(kind(usual)(path, descriptor))

    vfs.xSetSystemCall("openDirectory", ctypes.cast(noted, ctypes.c_void_p).value)
    try:
        connection = apsw.Connection(str(tmp_path / "g.db"), vfs=vfs.name)
        connection.execute("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        connection.execute("PRAGMA journal_mode = wal")
        for _ in range(3):
            connection.execute("INSERT INTO t VALUES (1)")
        connection.close()
    finally:
        vfs.xSetSystemCall("openDirectory", 0)
    # The folder is opened within the sync, so just before both events are in the journal.
    told = [i for i, event in enumerate(recorder.events) if isinstance(event, SyncFolder)][1:]
    assert len(told) >= 3
    assert [i - 1 for i in told] == seen


def acknowledged_rows(folder: Path, synchronous: str) -> Recorder:
    """Inserts and deletions into a small WAL database, with a mark for each that returned."""
    recorder = Recorder(folder)
    vfs = RecordingVfs("careless", recorder)
    connection = apsw.Connection(str(folder / "g.db"), vfs=vfs.name)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute(f"PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 5")
    connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY, y)")
    recorder.mark(frozenset())
    there: set[int] = set()
    for number in range(30):
        connection.execute("INSERT INTO t VALUES (?, randomblob(300))", (number,))
        there.add(number)
        recorder.mark(frozenset(there))
        if number % 4 == 3:
            connection.execute("DELETE FROM t WHERE x = ?", (number - 2,))
            there.remove(number - 2)
            recorder.mark(frozenset(there))
    connection.close()
    return recorder


def violations(recorder: Recorder, folder: Path, policy: str) -> Iterator[str]:
    """What is wrong after a power loss at each place of the journal."""
    disk = LossyDisk(recorder.root)
    marks = [event.said for event in recorder.events if isinstance(event, Mark)]
    passed = -1
    for place, event in enumerate(recorder.events):
        disk.apply(event)
        passed += isinstance(event, Mark)
        if passed < 0:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        write_out(disk.after_power_loss(policy, place), folder)
        connection = apsw.Connection(str(folder / "g.db"))
        try:
            if connection.pragma("integrity_check") != "ok":
                yield "damaged"
            found = frozenset(row[0] for row in connection.execute("SELECT x FROM t"))
            if found not in marks[passed : passed + 2]:
                yield f"{sorted(found)} instead of {sorted(marks[passed])}"
        except apsw.Error as error:
            yield str(error)
        finally:
            connection.close()


@pytest.mark.parametrize("policy", POLICIES)
def test_full_loses_nothing_and_a_careless_database_is_found_out(
    tmp_path: Path, policy: str
) -> None:
    found = {}
    for synchronous in ("full", "normal", "off"):
        (tmp_path / synchronous).mkdir()
        recorder = acknowledged_rows(tmp_path / synchronous, synchronous)
        found[synchronous] = list(violations(recorder, tmp_path / "restart", policy))
    assert found["full"] == []
    # What is only not synced yet is all there if everything in flight is kept.
    assert bool(found["normal"]) == bool(found["off"]) == (policy != "everything")


def test_a_sync_that_the_disk_forgets_is_found_out(tmp_path: Path) -> None:
    """Dropping every tenth sync from the journal of a careful database must be seen."""
    recorder = acknowledged_rows(tmp_path, "full")
    syncs = [i for i, event in enumerate(recorder.events) if isinstance(event, Sync)]
    dropped = set(random.Random(0).sample(syncs[5:], len(syncs) // 10))
    recorder.events = [e for i, e in enumerate(recorder.events) if i not in dropped]
    assert list(violations(recorder, tmp_path.with_name("restart"), "nothing"))
