"""Checking and compacting a gallery in PostgreSQL."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from benchmarks.postgres_server import PostgresServer
from contract.embedding_contract import EmbeddingContract
from contract.errors import GalleryUnavailableError
from index.postgres import PostgresDatabase
from index.postgres_check import check_tables
from index.postgres_connection import PostgresConnection
from index.tables import collections


@pytest.fixture
def database(postgres_dsn: str) -> Iterator[PostgresDatabase]:
    """An open database, with the tables and nothing in them."""
    opened = PostgresDatabase.open(postgres_dsn)
    yield opened
    opened.close()


def insert(c: PostgresConnection, table: str, **values: Any) -> int:
    """A new row; its number."""
    columns, marks = ", ".join(values), ", ".join("?" * len(values))
    sql = f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING number"
    return int(c.execute(sql, list(values.values()))[0][0])


def new_collection(c: PostgresConnection, name: str = "default", size: int = 4) -> tuple[int, int]:
    """Numbers of a new collection and of its new contract."""
    made_by = EmbeddingContract(id=f"test:{name}", size=size, d_max=2.0)
    contract = collections.contract_number(c, made_by)
    return collections.insert_collection(c, name, contract, "t"), contract


def count_up(c: PostgresConnection, collection: int) -> int:
    return collections.begin_write(c, collection).revision


def undone(database: PostgresDatabase, work: Callable[[PostgresConnection], Any]) -> None:
    """Do some work in a transaction that writes; for pytest.raises around it."""
    with database.writing() as c:
        work(c)


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
