"""Gallery files of older releases become current ones, whole or not at all."""

from pathlib import Path

import apsw
import numpy as np
import pytest

from contract.errors import GalleryError, GalleryUnavailableError
from index import sqlite_schema
from index.gallery import Gallery
from index.records import Subject
from tests.conftest import CONTRACT

# Version 1 as it was released: never to be changed.
VERSION_1 = """
CREATE TABLE gallery (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    contract_id TEXT NOT NULL,
    embedding_size INTEGER NOT NULL CHECK (embedding_size > 0),
    d_max REAL NOT NULL CHECK (d_max > 0),
    revision INTEGER NOT NULL CHECK (revision >= 0)
) STRICT;
CREATE TABLE subjects (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT,
    external_id TEXT UNIQUE,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE TABLE templates (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    subject_number INTEGER NOT NULL REFERENCES subjects (number) ON DELETE CASCADE,
    embedding BLOB NOT NULL
) STRICT;
CREATE INDEX templates_of_subject ON templates (subject_number);
PRAGMA application_id = 1332634951;
PRAGMA user_version = 1;
"""
ROWS = np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32)
SUBJECTS = (
    (1, "ann", "Ann", "7", '{"a":["ö",null]}', "2025-01-02T03:04:05.678Z"),
    (2, "bob", None, None, "{}", "2025-02-02T03:04:05.678Z"),
    (5, "cy", "Cy", None, '{"n":1}', "2025-03-02T03:04:05.678Z"),
)
# Number, id, subject's number; the embedding is the row of that number.
TEMPLATES = ((1, "t1", 1), (2, "t2", 5), (4, "t4", 1), (5, "t5", 2))


def connected(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("secure_delete", "on")
    return connection


def make_version_1(path: Path, *, empty: bool = False) -> None:
    """A file of the first release; numbers above the highest that is there were given out, too."""
    connection = connected(path)
    connection.execute(VERSION_1)
    connection.execute("INSERT INTO gallery VALUES (1, 'test:a', 4, 2.0, 41)")
    if not empty:
        gone = ((9, "gone", "Gone", None, "{}", "2025-04-02T03:04:05.678Z"),)
        for row in SUBJECTS + gone:
            connection.execute("INSERT INTO subjects VALUES (?, ?, ?, ?, ?, ?)", row)
        for number, template_id, subject in (*TEMPLATES, (20, "t20", 9)):
            blob = ROWS[number % 6].tobytes()
            connection.execute(
                "INSERT INTO templates VALUES (?, ?, ?, ?)", (number, template_id, subject, blob)
            )
        connection.execute("DELETE FROM templates WHERE number = 20")
        connection.execute("DELETE FROM subjects WHERE number = 9")
    connection.close()


def content(path: Path) -> list[list[tuple[object, ...]]]:
    """All rows of a version 1 file, and what its header says."""
    connection = apsw.Connection(str(path))
    tables = ("sqlite_schema", "gallery", "subjects", "templates", "sqlite_sequence")
    found = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
    found.append([(connection.pragma("user_version"), connection.pragma("application_id"))])
    connection.close()
    return found


def test_a_file_of_version_1_opens_with_all_that_was_in_it(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    make_version_1(path)
    with Gallery.open(path, CONTRACT) as gallery:
        assert (gallery.revision, gallery.subject_count, gallery.template_count) == (41, 3, 4)
        assert gallery.collection_id == "default"
        assert gallery.stored().created_at == SUBJECTS[0][5]
        assert gallery.subjects(limit=9).subjects == tuple(
            Subject(
                id=subject_id,
                name=name,
                external_id=external_id,
                metadata={"ann": {"a": ["ö", None]}, "bob": {}, "cy": {"n": 1}}[subject_id],
                template_count={"ann": 2, "bob": 1, "cy": 1}[subject_id],
                created_at=created_at,
            )
            for _, subject_id, name, external_id, _, created_at in SUBJECTS
        )
        assert [t.id for t in gallery.templates("ann")] == ["t1", "t4"]
        assert gallery.templates("cy")[0].created_at == SUBJECTS[2][5]
        for number, template_id, subject in TEMPLATES:
            (best,) = gallery.search(ROWS[number][None], top_k=1).candidates[0]
            owner = next(s[1] for s in SUBJECTS if s[0] == subject)
            assert (best.subject.id, best.template_id) == (owner, template_id)
            assert best.similarity == 1.0
        gallery.verify()
    connection = apsw.Connection(str(path))
    assert connection.pragma("user_version") == sqlite_schema.SCHEMA_VERSION
    stored = connection.execute(
        "SELECT number, id, subject_number, embedding FROM templates ORDER BY number"
    ).fetchall()
    assert stored == [(*row, ROWS[row[0]].tobytes()) for row in TEMPLATES]
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    assert not any(name.endswith("_1") for name in names if not name.startswith("sqlite_auto"))
    connection.close()


def test_it_has_the_tables_of_a_new_file(tmp_path: Path) -> None:
    make_version_1(tmp_path / "old.db")
    schemas = []
    for name in ("old.db", "new.db"):
        Gallery.open(tmp_path / name, CONTRACT).close()
        connection = apsw.Connection(str(tmp_path / name))
        schemas.append(
            set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema"))
        )
        connection.close()
    assert schemas[0] == schemas[1]


def test_numbers_that_were_given_out_before_are_not_given_out_again(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    make_version_1(path)
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.enroll(ROWS[:2], subject_id="new")
        page = gallery.subjects(limit=3)
        assert page.next_after == "5"
        assert gallery.enroll(ROWS[:1], subject_id="newer").revision == 43

        def numbers(table: str) -> list[int]:
            sql = f"SELECT number FROM {table} ORDER BY number"
            return [n for (n,) in gallery.read(lambda scope: scope.c.execute(sql))]

        assert numbers("subjects") == [1, 2, 5, 10, 11]
        assert numbers("templates") == [1, 2, 4, 5, 21, 22, 23]


@pytest.mark.parametrize("removed", ["subjects", "templates"])
def test_numbers_are_remembered_even_where_no_row_is_left(tmp_path: Path, removed: str) -> None:
    path = tmp_path / "g.db"
    make_version_1(path)
    connection = connected(path)
    connection.pragma("foreign_keys", "on")
    connection.execute(f"DELETE FROM {removed}")
    connection.close()
    with Gallery.open(path, CONTRACT) as gallery:
        assert (gallery.subject_count, gallery.template_count) == (3 * (removed != "subjects"), 0)
        gallery.enroll(ROWS[:1])
        for table, number in (("subjects", 10), ("templates", 21)):
            sql = f"SELECT max(number) FROM {table}"
            assert gallery.read(lambda scope, sql=sql: scope.c.execute(sql)) == [(number,)]
        gallery.verify()


def test_an_empty_gallery_of_version_1_opens(tmp_path: Path) -> None:
    make_version_1(tmp_path / "g.db", empty=True)
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        assert (gallery.revision, gallery.subject_count) == (41, 0)
        assert gallery.enroll(ROWS[:1], subject_id="ann").revision == 42
        gallery.verify()


def test_removals_after_a_migration_reach_what_came_from_before(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    make_version_1(path)
    with Gallery.open(path, CONTRACT) as gallery:
        assert ROWS[1].tobytes() in path.read_bytes()
        gallery.remove_template("t4")
        gallery.remove_subject("ann")
        assert (gallery.subject_count, gallery.template_count) == (2, 2)
        gallery.verify()
        left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert ROWS[1].tobytes() not in left
        assert ROWS[4].tobytes() not in left
        assert ROWS[2].tobytes() in left


@pytest.mark.parametrize("failing", ["an error", "a lost process"])
def test_a_migration_that_fails_in_the_middle_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "g.db"
    make_version_1(path)
    before, as_bytes = content(path), path.read_bytes()
    whole = sqlite_schema._MIGRATIONS[1]
    middle = whole.index("INSERT INTO templates")
    assert middle > len(whole) / 2

    def break_off(connection: apsw.Connection, version: int) -> None:
        connection.execute(whole[:middle])
        assert connection.execute("SELECT count(*) FROM subjects").get == 3
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if failing == "an error":
            broken = whole[:middle] + "INSERT INTO nowhere VALUES (1);" + whole[middle:]
            patch.setitem(sqlite_schema._MIGRATIONS, 1, broken)
            with pytest.raises(GalleryUnavailableError, match="nowhere"):
                Gallery.open(path, CONTRACT)
        else:
            patch.setattr(sqlite_schema, "migrate", break_off)
            with pytest.raises(KeyboardInterrupt):
                Gallery.open(path, CONTRACT)
    assert content(path) == before
    assert path.read_bytes() == as_bytes
    with Gallery.open(path, CONTRACT) as gallery:
        assert (gallery.revision, gallery.subject_count, gallery.template_count) == (41, 3, 4)
        gallery.verify()


def test_a_log_of_version_1_that_was_left_behind_is_not_lost(tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    killed.mkdir()
    make_version_1(tmp_path / "g.db")
    connection = connected(tmp_path / "g.db")
    connection.execute("UPDATE gallery SET revision = 42")
    for name in ("g.db", "g.db-wal"):
        (killed / name).write_bytes((tmp_path / name).read_bytes())
    connection.close()
    with Gallery.open(killed / "g.db", CONTRACT) as gallery:
        assert gallery.revision == 42
        gallery.verify()


def test_a_damaged_file_of_version_1_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    make_version_1(path)
    connection = connected(path)
    connection.execute("DROP TABLE templates")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(GalleryUnavailableError, match="is damaged"):
        Gallery.open(path, CONTRACT)
    assert path.read_bytes() == before


def test_a_version_that_never_was_is_refused(tmp_path: Path) -> None:
    for version in (-1, 0, 99):
        path = tmp_path / f"{version}.db"
        make_version_1(path)
        connection = connected(path)
        connection.pragma("user_version", version)
        connection.close()
        with pytest.raises(GalleryError, match=f"schema version {version}"):
            Gallery.open(path, CONTRACT)
