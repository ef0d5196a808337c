"""Dumps that are cut off, damaged or of something else: refused in words, never taken for whole."""

import gzip
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.postgres_server import PostgresServer
from service.compreface.migration import dump_file
from service.compreface.migration.error import MigrationError
from service.compreface.migration.source import open_source
from tests.unit.compreface_migration.conftest import Made, check, photos_of


@pytest.fixture
def archive(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_server: PostgresServer
) -> Path:
    """A dump that only pg_restore reads, which is at hand."""
    monkeypatch.setenv("PATH", str(postgres_server.programs))
    return made.database.dump(tmp_path / "dump", "--format=custom")


def test_a_dump_that_is_cut_off_anywhere_is_refused_and_never_taken_for_a_whole_one(
    made: Made, plain: bytes, tmp_path: Path
) -> None:
    dump = tmp_path / "dump.sql"
    # Subjects are the last table that is needed.
    end = plain.index(b"\n\\.\n", plain.index(b"COPY public.subject ")) + 3
    for length in (*range(0, end, 4001), end - 2, end - 1):
        dump.write_bytes(plain[:length])
        with pytest.raises(MigrationError) as caught:
            photos_of(dump)
        assert any(w in str(caught.value) for w in ("cut off", "damaged", "not a dump")), length
    dump.write_bytes(plain[: end + 1])
    check(made, dump)
    packed = gzip.compress(plain)
    for length in (2, 15, 1000, len(packed) - 9, len(packed) - 1):
        dump.write_bytes(packed[:length])
        with pytest.raises(MigrationError, match="cut off or damaged"):
            photos_of(dump)
    dump.write_bytes(packed[:2000] + bytes([packed[2000] ^ 255]) + packed[2001:])
    with pytest.raises(MigrationError):
        photos_of(dump)


def test_an_archive_that_is_cut_off_is_refused_in_pg_restores_words(archive: Path) -> None:
    whole = archive.read_bytes()
    for length in (5, 200, len(whole) // 2, len(whole) - 2000):
        archive.write_bytes(whole[:length])
        with pytest.raises(MigrationError, match=r"pg_restore cannot read .*pg_restore: error"):
            photos_of(archive)


def test_without_pg_restore_the_command_is_said(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = made.database.dump(tmp_path / "dump", "--format=custom")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MigrationError, match=r"pg_restore --file=compreface\.sql .*dump makes"):
        photos_of(dump)


def test_an_archive_is_let_go_when_nobody_reads_on(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    popen = dump_file.subprocess.Popen

    def kept(*args: Any, **options: Any) -> Any:
        started.append(popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(dump_file.subprocess, "Popen", kept)
    with open_source(str(archive), key=None, service=None) as compreface:
        photos = iter(compreface.photos())
        next(photos)
        photos.close()  # type: ignore[attr-defined]
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--inserts",), "--inserts"),
        (("--column-inserts",), "--inserts"),
        (("--encoding=LATIN1", "--table=model"), "LATIN1"),
        (("--schema-only",), "no rows for public.model, public.subject, public.embedding"),
        (("--exclude-table-data=img",), "no rows for public.img"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_dumps_that_cannot_be_read_are_refused_in_words(
    made: Made, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    with pytest.raises(MigrationError, match=words):
        photos_of(made.database.dump(tmp_path / "dump", *options))


def _damages(plain: bytes) -> Iterator[tuple[bytes, str]]:
    image = plain.index(b"\n", plain.index(b"COPY public.img ")) + 1
    digits = plain.index(b"\\\\x", image)
    yield plain[:digits] + b"\\\\xzz" + plain[digits + 5 :], "content of public.img"
    yield plain[: digits - 1] + b" " + plain[digits:], "has 2 fields, and it has 1"
    rest = plain.index(b"\n", image) + 1
    yield plain[:image] + plain[rest:], "rows of public.img are missing"
    yield plain.replace("日".encode(), b"\xff\xfe\xfd"), "subject_name of public.subject"
    yield plain.replace(b"subject_name", b"subject_nome"), "no column subject_name"
    yield plain.decode().encode("utf-16"), "UTF-16"
    yield b"\x89PNG\r\n" + bytes(100), "not a dump of pg_dump"
    yield b"", "not a dump of pg_dump"
    yield b"some words\n", "no rows for"
    yield plain.replace(b"public.embedding", b"public.face"), "older than 0.6"


def test_damage_is_said_with_its_line(made: Made, plain: bytes, tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    for damaged, words in _damages(plain):
        dump.write_bytes(damaged)
        with pytest.raises(MigrationError, match=words):
            photos_of(dump)
    with pytest.raises(MigrationError, match="No such file"):
        photos_of(tmp_path / "nowhere")


def test_no_room_for_the_small_tables_is_said(
    plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def tiny(place: str) -> sqlite3.Connection:
        connection = connect(place)
        connection.execute("PRAGMA max_page_count = 5")
        return connection

    monkeypatch.setattr(sqlite3, "connect", tiny)
    dump = tmp_path / "dump.sql"
    dump.write_bytes(plain)
    with pytest.raises(MigrationError, match=r"disk is full.*TMPDIR"):
        photos_of(dump)


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.compreface.migration.copied_rows.LINE_BYTES_MAX", 1 << 20)
    dump = tmp_path / "dump.sql"
    dump.write_bytes(b"x" * (2 << 20))
    with pytest.raises(MigrationError, match="Line 1 of the dump has more than 1 MiB"):
        photos_of(dump)
