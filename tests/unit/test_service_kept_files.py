"""Files that are removed when their time is over, and those that must not be."""

import fcntl
import logging
import os
from pathlib import Path

import pytest

from service.kept_files import KeptFiles

KEEP_S = 3600.0


@pytest.fixture
def kept(tmp_path: Path) -> KeptFiles:
    """Its own thread has ended, so that it sweeps when a test says so and not beside it."""
    files = KeptFiles(tmp_path, "*.report", keep_s=KEEP_S)
    files.close()
    return files


def old(path: Path, *, s: float = KEEP_S + 1) -> Path:
    path.touch()
    before = path.stat().st_mtime - s
    os.utime(path, (before, before))
    return path


def test_only_old_files_of_that_name_go(kept: KeptFiles, tmp_path: Path) -> None:
    gone, other = old(tmp_path / "a.report"), old(tmp_path / "b.txt")
    young = old(tmp_path / "c.report", s=KEEP_S - 60)
    kept.sweep()
    assert (gone.exists(), other.exists(), young.exists()) == (False, True, True)


def test_one_that_somebody_locks_stays_until_it_is_let_go(kept: KeptFiles, tmp_path: Path) -> None:
    path = old(tmp_path / "a.report")
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept.sweep()
        assert path.exists()
    kept.sweep()
    assert not path.exists()


def test_one_that_is_written_to_before_it_is_locked_stays(
    kept: KeptFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old(tmp_path / "a.report")
    plain = fcntl.flock

    def late(file: int, operation: int) -> None:
        path.write_bytes(b"a line")
        plain(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    kept.sweep()
    assert path.read_bytes() == b"a line"


def test_one_that_cannot_be_removed_keeps_no_other(
    kept: KeptFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.report").mkdir()
    old(tmp_path / "a.report")
    gone = old(tmp_path / "b.report")
    with caplog.at_level(logging.ERROR):
        kept.sweep()
    assert not gone.exists()
    assert "a.report is too old and cannot be removed" in caplog.text


def test_a_folder_that_is_not_there_yet_is_no_error(tmp_path: Path) -> None:
    files = KeptFiles(tmp_path / "later", "*", keep_s=1)
    files.sweep()
    files.close()
    assert not (tmp_path / "later").exists()
