"""A gallery file is copied while a service writes into it, and put back whole or not at all."""

import hashlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import numpy as np
import pytest

from contract.errors import GalleryError, GalleryLockedError, GalleryUnavailableError
from index.backup import ASIDE, Restored, back_up, restore
from index.gallery import Gallery
from index.records import Embeddings
from index.sqlite_schema import SCHEMA_VERSION
from service.cli import main
from tests.conftest import CONTRACT
from tests.unit.test_index_migration import make_version_1

ONEGLANCE = Path(sys.executable).with_name("oneglance")


def row(number: int) -> Embeddings:
    """float32 (1, 4) of unit length, another for each number."""
    drawn = np.random.default_rng(number).standard_normal((1, 4))
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def enrol(gallery: Gallery, *numbers: int) -> None:
    for number in numbers:
        gallery.enroll(row(number), subject_id=f"s{number}", name=f"Name {number}")


def stored_in(path: Path) -> dict[str, bytes]:
    """Embeddings by subject, by plain SQL on a copy: nothing that we made reads them."""
    with apsw.Connection(str(path)) as connection:
        return dict(
            connection.execute(
                "SELECT s.id, t.embedding FROM subjects s"
                " JOIN templates t ON t.subject_number = s.number"
            )
        )


def expected(*numbers: int) -> dict[str, bytes]:
    return {f"s{number}": row(number).tobytes() for number in numbers}


def test_a_backup_while_the_service_writes_is_of_one_moment(tmp_path: Path) -> None:
    """By the real command, in another process than the one that holds the gallery."""
    path, copy = tmp_path / "g.sqlite3", tmp_path / "copy.sqlite3"
    done = 0
    stop = threading.Event()
    with Gallery.open(path, CONTRACT) as gallery:

        def write() -> None:
            nonlocal done
            while not stop.is_set():
                enrol(gallery, done)
                done += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            while done < 50:
                assert writer.is_alive()
            before = done
            command = [str(ONEGLANCE), "gallery", "backup", str(copy), "--gallery", str(path)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            after = done
        finally:
            stop.set()
            writer.join()
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    assert said == f"{copy}: {copy.stat().st_size} bytes, SHA-256 {digest}\n"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert after > before  # Nobody waited for it.
    found = stored_in(copy)
    # One commit after the other, so one moment is the first so many of them.
    assert before <= len(found) <= after + 1
    assert found == expected(*range(len(found)))
    with Gallery.open(copy, CONTRACT) as gallery:
        gallery.verify()
        assert gallery.revision == gallery.subject_count == len(found)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".oneglance")) == []


def test_a_backup_holds_no_byte_of_who_was_removed_before(tmp_path: Path) -> None:
    path, copy = tmp_path / "g.sqlite3", tmp_path / "copy.sqlite3"
    with Gallery.open(path, CONTRACT) as gallery:
        enrol(gallery, 1, 2)
        gallery.remove_subject("s1")
        back_up(path, copy)
    assert row(1).tobytes() not in copy.read_bytes()
    assert row(2).tobytes() in copy.read_bytes()


def test_a_restore_brings_the_moment_of_the_backup_back(tmp_path: Path) -> None:
    path, copy = tmp_path / "g.sqlite3", tmp_path / "copy.sqlite3"
    with Gallery.open(path, CONTRACT) as gallery:
        enrol(gallery, 1, 2)
        back_up(path, copy)
        gallery.remove_subject("s2")
        enrol(gallery, 3)
        with pytest.raises(GalleryLockedError):
            restore(copy, path)
        assert gallery.subject_count == 2
    # Of an index in memory, true for no other file.
    snapshot = path.with_name("g.sqlite3.index-1")
    snapshot.write_bytes(b"snapshot")
    done = restore(copy, path)
    aside = path.with_name(path.name + ASIDE)
    # Who was removed since is told: nobody comes back in silence.
    assert done == Restored(aside=aside, returned=[("default", "s2")])
    assert not snapshot.exists()
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.verify()
        assert [subject.id for subject in gallery.subjects(limit=9).subjects] == ["s1", "s2"]
        enrol(gallery, 4)
    assert stored_in(path) == expected(1, 2, 4)
    assert stored_in(aside / path.name) == expected(1, 3)
    with pytest.raises(GalleryError, match="from an earlier restore"):
        restore(copy, path)


def test_a_log_that_a_crash_left_is_set_aside_with_its_file(tmp_path: Path) -> None:
    """A log that stayed would be read into the restored file."""
    path, copy, crashed = (tmp_path / name for name in ("g.sqlite3", "copy", "crashed"))
    crashed.mkdir()
    with Gallery.open(path, CONTRACT) as gallery:
        enrol(gallery, 1)
        back_up(path, copy)
        enrol(gallery, 2)
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", crashed)
    assert (crashed / "g.sqlite3-wal").stat().st_size
    aside = restore(copy, crashed / path.name).aside
    assert aside
    assert stored_in(crashed / path.name) == expected(1)
    assert stored_in(aside / path.name) == expected(1, 2)


def test_a_restore_on_a_new_machine(tmp_path: Path) -> None:
    path, copy = tmp_path / "g.sqlite3", tmp_path / "copy.sqlite3"
    with Gallery.open(path, CONTRACT) as gallery:
        enrol(gallery, 1)
    back_up(path, copy)  # Of a service that is stopped.
    new = tmp_path / "new" / "g.sqlite3"
    assert restore(copy, new) == Restored(aside=None, returned=[])
    assert stored_in(new) == expected(1)


def test_a_damaged_gallery_is_replaced_and_what_that_means_is_said(
    tmp_path: Path, no_settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, copy = tmp_path / "g.sqlite3", tmp_path / "copy.sqlite3"
    with Gallery.open(path, CONTRACT) as gallery:
        enrol(gallery, 1)
    back_up(path, copy)
    no_gallery(path)
    no_settings.setenv("ONEGLANCE_GALLERY", str(path))
    assert main(["gallery", "restore", str(copy)]) == 0
    assert "delete again whoever was deleted" in capsys.readouterr().out
    assert stored_in(path) == expected(1)


def test_the_way_back_to_an_older_release(tmp_path: Path) -> None:
    """A backup from before an upgrade is of the older schema, which the older release knows."""
    path, copy = tmp_path / "g.sqlite3", tmp_path / "copy.sqlite3"
    make_version_1(path)
    back_up(path, copy)
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.verify()
    assert version(path) == SCHEMA_VERSION
    restore(copy, path)
    assert version(path) == 1
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.verify()


def version(path: Path) -> int:
    with apsw.Connection(str(path)) as connection:
        return int(connection.pragma("user_version"))


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def overwrite(path: Path) -> None:
    """The head of the second page: that of a tree."""
    content = bytearray(path.read_bytes())
    page_bytes = int.from_bytes(content[16:18], "big")
    content[page_bytes : page_bytes + 64] = bytes([255]) * 64
    path.write_bytes(content)


def no_gallery(path: Path) -> None:
    path.write_text("not a database " * 100)


def newer(path: Path) -> None:
    with apsw.Connection(str(path)) as connection:
        connection.execute("PRAGMA user_version = 1000")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "damaged"),
        (overwrite, "damaged"),
        (no_gallery, "is not a gallery"),
        (newer, "schema version 1000"),
        (Path.unlink, "cannot be opened"),
    ],
)
def test_a_spoilt_backup_changes_nothing(
    spoil: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    path, copy = tmp_path / "g.sqlite3", tmp_path / "copy.sqlite3"
    with Gallery.open(path, CONTRACT) as gallery:
        enrol(gallery, *range(20))
    back_up(path, copy)
    spoil(copy)
    before = path.read_bytes()
    with pytest.raises(GalleryError, match=words):
        restore(copy, path)
    assert path.read_bytes() == before
    assert not path.with_name(path.name + ASIDE).exists()


def test_nothing_is_written_over_and_nothing_is_made_of_nothing(tmp_path: Path) -> None:
    path, copy = tmp_path / "g.sqlite3", tmp_path / "copy.sqlite3"
    Gallery.open(path, CONTRACT).close()
    copy.write_text("mine")
    with pytest.raises(GalleryError, match="already"):
        back_up(path, copy)
    assert copy.read_text() == "mine"
    with pytest.raises(GalleryUnavailableError, match="no gallery"):
        back_up(tmp_path / "away.sqlite3", tmp_path / "other")
    with pytest.raises(FileNotFoundError):
        back_up(path, tmp_path / "away" / "copy")
    assert not (tmp_path / "away.sqlite3").exists()
    assert not (tmp_path / "other").exists()


def test_the_commands_say_what_they_did(
    tmp_path: Path, no_settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, copy = tmp_path / "g.sqlite3", tmp_path / "copy.sqlite3"
    no_settings.setenv("ONEGLANCE_GALLERY", str(path))
    Gallery.open(path, CONTRACT).close()
    assert main(["gallery", "backup", str(copy)]) == 0
    with Gallery.open(path, CONTRACT) as gallery:
        enrol(gallery, 1)
        gallery.remove_subject("s1")
    assert main(["gallery", "restore", str(copy)]) == 0
    said = capsys.readouterr().out
    assert f"The former is in {path}{ASIDE}" in said
    assert "is back" not in said
    assert main(["gallery", "backup", str(copy)]) == 1
    assert "already" in capsys.readouterr().err
    no_settings.setenv("ONEGLANCE_GALLERY", "postgresql://nobody@127.0.0.1:1/none")
    for words in (["backup", str(tmp_path / "new")], ["restore", str(copy)]):
        assert main(["gallery", *words]) == 1
        assert "docs/operations.md" in capsys.readouterr().err
