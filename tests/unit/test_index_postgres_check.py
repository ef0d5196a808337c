"""Checking and compacting a gallery in PostgreSQL."""

import numpy as np
import pytest

from benchmarks.postgres_server import PostgresServer
from contract.errors import GalleryUnavailableError
from index.postgres import PostgresDatabase
from index.postgres_check import check_tables
from index.postgres_connection import PostgresConnection
from tests.postgres import insert, new_collection, undone


def test_a_whole_gallery_passes_and_faults_are_named(database: PostgresDatabase) -> None:
    with database.writing() as c:
        collection, contract = new_collection(c)
        facts = {"collection_number": collection, "created_at": "t"}
        subject = insert(c, "subjects", id="ann", metadata="{}", **facts)
        template = {"subject_number": subject, "contract_number": contract, **facts}
        row = np.ones(4, np.float32)
        insert(c, "templates", id="t", embedding=c.pack(row), **template)
        c.execute("UPDATE collections SET subject_count = 1, template_count = 1")
    database.verify()
    with database.writing() as c:
        c.execute("CREATE EXTENSION amcheck")
    database.verify()
    faults = {
        "UPDATE collections SET subject_count = 2": "wrong count of subjects",
        "UPDATE collections SET template_count = 2": "wrong count of templates",
        "UPDATE templates SET embedding = '[1, 2]'": "another size",
        "SET LOCAL session_replication_role = replica; DELETE FROM subjects": "without their sub",
        "SET LOCAL session_replication_role = replica; DELETE FROM collections": "without their c",
    }
    for damage, words in faults.items():

        def spoil(c: PostgresConnection, damage: str = damage) -> None:
            for statement in damage.split("; "):
                c.execute(statement)
            check_tables(c)

        with pytest.raises(GalleryUnavailableError, match=words):
            undone(database, spoil)
    database.verify()


def test_a_damaged_page_is_found_where_amcheck_is_there(
    database: PostgresDatabase, postgres_server: PostgresServer
) -> None:
    with database.writing() as c:
        c.execute("CREATE EXTENSION amcheck")
        collection, _ = new_collection(c)
        # A row that an index does not know: written while the index looked away.
        c.execute("UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid ="
                  " 'subjects_collection_number_id_key'::regclass")  # fmt: skip
    with database.writing() as c:
        facts = {"collection_number": collection, "created_at": "t"}
        insert(c, "subjects", id="ann", metadata="{}", **facts)
        c.execute("UPDATE collections SET subject_count = 1")
        c.execute("UPDATE pg_index SET indisready = true, indisvalid = true WHERE indexrelid ="
                  " 'subjects_collection_number_id_key'::regclass")  # fmt: skip
    with pytest.raises(GalleryUnavailableError, match=r"damaged .subjects: .*lacks matching index"):
        database.verify()


def test_compacting_gives_back_the_room_of_what_was_removed(database: PostgresDatabase) -> None:
    with database.writing() as c:
        collection, _ = new_collection(c)
        c.execute(
            "INSERT INTO subjects (collection_number, id, metadata, created_at)"
            " SELECT ?, 's' || n, repeat('x', 100), 't' FROM generate_series(1, 5000) n",
            (collection,),
        )
        c.execute("DELETE FROM subjects WHERE id <> 's1'")

    def size() -> int:
        with database.reading() as c:
            return int(c.execute("SELECT pg_total_relation_size('subjects')")[0][0])

    before = size()
    database.erased()
    database.compact()
    with database.reading() as c:
        assert c.execute("SHOW statement_timeout") == [("30s",)]
    assert size() < before / 10
    with database.reading() as c:
        assert c.execute("SELECT id FROM subjects") == [("s1",)]
