"""Looking subjects up by name and external id, templates by id; in a file and in PostgreSQL."""

import threading
from pathlib import Path

import apsw
import psycopg
import pytest

from contract.errors import SubjectNotFoundError, TemplateNotFoundError
from index import postgres_schema
from index.gallery import Gallery
from tests.conftest import CONTRACT, UNIT, GalleryOpener
from tests.old_galleries import make_postgres_version_1, old_gallery

NAMES = ["Ann", "Bob", "Ann", None, "ann", "Änn", "Ann", "A_n", "%"]
ODD = ("", "\0", "Ann\0", "\ud800", "x" * 5_000)


@pytest.fixture
def people(gallery: Gallery) -> Gallery:
    """Subjects s0, s1 and so on of NAMES; their external ids are e0, e1 and so on."""
    for n, name in enumerate(NAMES):
        gallery.enroll(UNIT[:1], subject_id=f"s{n}", name=name, external_id=f"e{n}")
    return gallery


def found(gallery: Gallery, **wanted: str) -> list[str]:
    return [subject.id for subject in gallery.subjects(limit=1_000, **wanted).subjects]


def test_a_name_finds_exactly_those_who_have_it(people: Gallery) -> None:
    for name in {name for name in NAMES if name is not None} | {"An", "A%", "ANN"}:
        assert found(people, name=name) == [f"s{n}" for n, had in enumerate(NAMES) if had == name]
    assert len(found(people)) == len(NAMES)


def test_an_external_id_finds_the_one_who_has_it(people: Gallery) -> None:
    for n in range(len(NAMES)):
        assert found(people, external_id=f"e{n}") == [f"s{n}"]
    assert found(people, external_id="e") == []
    assert found(people, name="Ann", external_id="e2") == ["s2"]
    assert found(people, name="Ann", external_id="e1") == []


def test_a_name_is_followed_over_pages_and_changes(people: Gallery) -> None:
    first = people.subjects(limit=2, name="Ann")
    assert [subject.id for subject in first.subjects] == ["s0", "s2"]
    people.remove_subject("s2")
    people.update_subject("s3", name="Ann")
    people.update_subject("s0", name="Bob")
    second = people.subjects(limit=2, name="Ann", after=first.next_after)
    assert ([subject.id for subject in second.subjects], second.next_after) == (["s3", "s6"], None)
    assert found(people, name="Bob") == ["s0", "s1"]


def test_of_another_collection_nobody_is_found(
    people: Gallery, open_gallery: GalleryOpener
) -> None:
    people.close()
    other = open_gallery(collection="other")
    assert found(other, name="Ann") == found(other, external_id="e0") == []


@pytest.mark.parametrize("text", ODD)
def test_text_that_nobody_can_have_finds_nobody(people: Gallery, text: str) -> None:
    assert found(people, name=text) == found(people, external_id=text) == []
    for call in (people.subject, people.templates, people.remove_subject):
        with pytest.raises(SubjectNotFoundError):
            call(text)
    with pytest.raises(SubjectNotFoundError):
        people.update_subject(text, name="Ann")
    for ids in ((text, "s0"), ("s0", text)):
        with pytest.raises(SubjectNotFoundError):
            people.merge_subjects(ids[0], into=ids[1])
    for look in (people.template, people.remove_template):
        with pytest.raises(TemplateNotFoundError):
            look(text)
    assert people.crop(text) is None
    assert people.revision == len(NAMES)


def test_a_template_is_found_with_its_subject(
    gallery: Gallery, open_gallery: GalleryOpener
) -> None:
    ids = gallery.enroll(UNIT[:2], subject_id="ann", crops=[b"1", None]).template_ids
    gallery.enroll(UNIT[2:3], subject_id="bob")
    held = gallery.templates("ann")
    assert [gallery.template(template_id) for template_id in ids] == list(held)
    assert [(t.id, t.subject_id, t.has_crop) for t in held] == [
        (ids[0], "ann", True),
        (ids[1], "ann", False),
    ]
    gallery.merge_subjects("ann", into="bob")
    assert gallery.template(ids[0]).subject_id == "bob"
    gallery.remove_template(ids[0])
    with pytest.raises(TemplateNotFoundError, match=ids[0]):
        gallery.template(ids[0])
    gallery.close()
    with pytest.raises(TemplateNotFoundError):
        open_gallery(collection="other").template(ids[1])


FILTERED = "SELECT number FROM subjects WHERE collection_number = 1 AND number > 0"
BY_NAME = f"{FILTERED} AND name = 'N7' ORDER BY number LIMIT 9"
MANY = 5_000


def test_a_file_finds_a_name_by_its_index(tmp_path: Path) -> None:
    Gallery.open(tmp_path / "g.db", CONTRACT).close()
    connection = apsw.Connection(str(tmp_path / "g.db"))
    plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {BY_NAME}"))
    connection.close()
    assert "USING COVERING INDEX subjects_by_name" in plan
    assert "TEMP B-TREE" not in plan


def test_postgres_finds_a_name_by_its_index(postgres_dsn: str) -> None:
    Gallery.open(postgres_dsn, CONTRACT).close()
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(
            b"INSERT INTO subjects (collection_number, id, name, metadata, created_at)"
            b" SELECT 1, 's' || n, 'N' || n, '{}', 't' FROM generate_series(1, %d) n" % MANY
        )
        connection.execute("ANALYZE subjects")
        rows = connection.execute(f"EXPLAIN {BY_NAME}".encode()).fetchall()
    plan = " ".join(row[0] for row in rows)
    assert "subjects_by_name" in plan
    assert "Sort" not in plan


@pytest.fixture(params=["file", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A gallery from before there was an index of names; its one subject is called Ann."""
    return old_gallery(request, tmp_path, file=2, postgres=1)


def test_an_older_gallery_gets_the_index(old: Path | str) -> None:
    with Gallery.open(old, CONTRACT) as gallery:
        assert found(gallery, name="Ann") == ["ann"]
        gallery.verify()
    sql = "SELECT count(*) FROM {} WHERE {} = 'subjects_by_name'"
    if isinstance(old, Path):
        connection = apsw.Connection(str(old))
        assert connection.execute(sql.format("sqlite_schema", "name")).get == 1
        connection.close()
    else:
        with psycopg.connect(old) as server:
            rows = server.execute(sql.format("pg_indexes", "indexname").encode()).fetchall()
        assert rows == [(1,)]


def test_the_released_version_2_of_a_database_becomes_the_present_one(postgres_dsn: str) -> None:
    # Version 2 as it was released: version 1 and this table.
    make_postgres_version_1(postgres_dsn)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(
            """
            CREATE TABLE calibrations (
                number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                collection_number bigint NOT NULL UNIQUE
                    REFERENCES collections (number) ON DELETE CASCADE,
                contract_number bigint NOT NULL REFERENCES contracts (number),
                made_at text COLLATE "C" NOT NULL,
                record text COLLATE "C" NOT NULL
            )
            """
        )
        connection.execute("UPDATE schema_version SET version = 2")
    barrier = threading.Barrier(3)
    names: list[list[str]] = []

    def open_one() -> None:
        barrier.wait()
        with Gallery.open(postgres_dsn, CONTRACT) as gallery:
            names.append(found(gallery, name="Ann"))

    threads = [threading.Thread(target=open_one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == [["ann"]] * 3
    with psycopg.connect(postgres_dsn) as connection:
        rows = connection.execute("SELECT version FROM schema_version").fetchall()
    assert rows == [(postgres_schema.SCHEMA_VERSION,)]
