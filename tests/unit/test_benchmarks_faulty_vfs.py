"""The instrument that lets storage fail: it does what it says, and finds who ignores a fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from benchmarks import storage_faults
from benchmarks.fault_trials import Faulted
from benchmarks.faulty_python import FaultyPython
from benchmarks.faulty_vfs import CODES, Fault, FaultyVfs
from benchmarks.os_calls import Asked, intercepted
from contract.errors import GalleryError
from index.sqlite import SqliteDatabase
from index.sqlite_connection import SqliteConnection


@contextmanager
def table(path: Path, vfs: FaultyVfs) -> Iterator[apsw.Connection]:
    """A table of one column in a WAL database on this file system."""
    connection = apsw.Connection(str(path), vfs=vfs.name)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.execute("CREATE TABLE t (x)")
    yield connection
    connection.close()


def insert(connection: apsw.Connection) -> bool:
    """Whether a row was acknowledged."""
    try:
        connection.execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (1); COMMIT").fetchall()
    except apsw.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return False
    return True


def count(connection: apsw.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM t").get)


def test_nothing_fails_before_it_is_asked_to(tmp_path: Path) -> None:
    with FaultyVfs("faulty") as vfs:
        assert "faulty" in apsw.vfs_names()
        with table(tmp_path / "g.db", vfs) as connection:
            assert insert(connection)
            assert vfs.calls["write"] > 5
            assert vfs.calls["sync"] > 2
            assert vfs.calls["shm_map"] > 0
            assert not vfs.hits
    assert "faulty" not in apsw.vfs_names()


def test_other_file_systems_can_come_and_go_meanwhile() -> None:
    usual = apsw.vfs_names()
    with FaultyVfs("one"):
        other = apsw.VFS("another", "unix")
        with FaultyVfs("two"):
            assert {"one", "two", "another"} < set(apsw.vfs_names())
            other.unregister()
        assert "one" in apsw.vfs_names()
    assert apsw.vfs_names() == usual


@pytest.mark.parametrize("kind", [kind for kind in CODES if kind != "unreadable"])
@pytest.mark.parametrize("lasting", [False, True])
def test_each_place_fails_in_turn_and_sqlite_keeps_its_promise(
    tmp_path: Path, kind: str, lasting: bool
) -> None:
    with FaultyVfs("faulty") as vfs, table(tmp_path / "g.db", vfs) as connection:
        connection.pragma("wal_autocheckpoint", 2)
        expected, seen = 0, set()
        for place in range(1, 200):
            vfs.arm(Fault(kind=kind, at=place, lasting=lasting))
            for _ in range(3):
                expected += insert(connection)
            if not vfs.hits:
                break
            seen |= {hit.call for hit in vfs.hits}
            assert all(hit.code == CODES[kind][hit.call] for hit in vfs.hits)
            assert lasting or len(vfs.hits) == 1
            vfs.lift()
            assert count(connection) == expected
            assert insert(connection)
            expected += 1
        assert place > 5
        assert seen >= {"write", "sync"} & CODES[kind].keys()


def test_half_a_write_is_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with FaultyVfs("faulty") as vfs, table(path, vfs) as connection:
        assert insert(connection)
        log = path.with_name("g.db-wal")
        before = log.stat().st_size
        vfs.arm(Fault(kind="full", at=2, half=True))
        assert not insert(connection)
        vfs.lift()
        # The header of a frame is 24 bytes, the page that follows it was written to its half.
        assert log.stat().st_size == before + 24 + 2048
        assert insert(connection)
        assert count(connection) == 2


def test_a_checkpoint_that_fails_after_a_commit_is_no_error_to_the_caller(tmp_path: Path) -> None:
    """Why this is no class of apsw's: there the commit would raise, though it is durable."""
    with FaultyVfs("faulty") as vfs, table(tmp_path / "g.db", vfs) as connection:
        connection.pragma("wal_autocheckpoint", 1)
        for place in range(1, 50):
            vfs.arm(Fault(kind="ioerr", at=place))
            acknowledged = insert(connection)
            vfs.lift()
            if acknowledged and any(hit.file == "db" for hit in vfs.hits):
                return
    pytest.fail("no checkpoint has failed")


def test_calls_of_python_fail_below_the_folder_only(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    outside.mkdir()
    with FaultyPython(inside) as python:
        inside.mkdir()
        python.arm(Fault(kind="full", at=2))
        (inside / "a").write_text("first")
        (outside / "a").write_text("not counted")
        with pytest.raises(OSError, match="made to fail"):
            (inside / "b").write_text("second")
        assert (inside / "a").read_text() == "first"
        (inside / "b").write_text("third")
        assert [hit.call for hit in python.hits] == ["Python's open"]
        python.arm(Fault(kind="unreadable", at=1, lasting=True))
        for _ in range(2):
            with pytest.raises(OSError, match="made to fail"):
                (inside / "a").read_text()
        python.lift()
        assert (inside / "a").read_text() == "first"


def test_what_python_asks_for_is_told_and_done(tmp_path: Path) -> None:
    told: list[Asked] = []

    def between(asked: Asked, call: object) -> object:
        told.append(asked)
        return call()  # type: ignore[operator]

    with intercepted(between):
        (tmp_path / "f").mkdir()
        with open(tmp_path / "f" / "a", "wb") as file:
            file.write(b"x")
        (tmp_path / "f" / "a").replace(tmp_path / "b")
        assert (tmp_path / "b").read_bytes() == b"x"
        (tmp_path / "b").unlink()
    assert told == [
        Asked("mkdir", tmp_path / "f"),
        Asked("open", tmp_path / "f" / "a"),
        Asked("replace", tmp_path / "f" / "a", tmp_path / "b"),
        Asked("read", tmp_path / "b"),
        Asked("unlink", tmp_path / "b"),
    ]
    (tmp_path / "c").write_text("nobody is told of this")
    assert len(told) == 5


def trials(folder: Path, places: int = 25) -> Faulted:
    """A full disk, at some places of the row of calls."""
    findings = Faulted()
    row = storage_faults.Trials(folder, findings)
    with FaultyVfs("faulty") as vfs:
        for place in range(1, places, 3):
            row.place(vfs, "full", {}, place)
    return findings


def test_a_gallery_that_is_careful_is_not_blamed(tmp_path: Path) -> None:
    findings = trials(tmp_path)
    assert findings.faults == []
    assert findings.refused["GalleryFullError"] > 2


def test_a_gallery_that_acknowledges_what_was_refused_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = SqliteDatabase.writing

    @contextmanager
    def careless(self: SqliteDatabase) -> Iterator[SqliteConnection]:
        try:
            with usual(self) as connection:
                yield connection
        except GalleryError:
            pass

    monkeypatch.setattr(SqliteDatabase, "writing", careless)
    assert trials(tmp_path).bad()


def test_a_gallery_that_tells_faults_in_words_of_sqlite_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def untold(path: Path) -> Iterator[None]:
        yield

    for module in ("sqlite", "sqlite_connection"):
        monkeypatch.setattr(f"index.{module}.storage_errors", untold)
    assert "FullError" in " ".join(trials(tmp_path).faults)
