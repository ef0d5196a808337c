"""What tests of PostgreSQL put into a database by plain statements, and look up there."""

from collections.abc import Callable
from typing import Any

from contract.embedding_contract import EmbeddingContract
from index.postgres import PostgresDatabase
from index.postgres_connection import PostgresConnection
from index.tables import collections


def insert(c: PostgresConnection, table: str, **values: Any) -> int:
    """A new row; its number."""
    columns, marks = ", ".join(values), ", ".join("?" * len(values))
    sql = f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING number"
    return int(c.execute(sql, list(values.values()))[0][0])


def new_collection(c: PostgresConnection, name: str = "default", size: int = 4) -> tuple[int, int]:
    """Numbers of a new collection and of its new contract."""
    made_by = EmbeddingContract(id=f"test:{name}", size=size, d_max=2.0)
    contract = collections.contract_number(c, made_by)
    made = collections.insert_collection(c, name, contract, "t")
    assert made is not None
    return made.number, contract


def count_up(c: PostgresConnection, collection: int) -> int:
    return collections.begin_write(c, collection).revision


def undone(database: PostgresDatabase, work: Callable[[PostgresConnection], Any]) -> None:
    """Do some work in a transaction that writes; for pytest.raises around it."""
    with database.writing() as c:
        work(c)


def revision(database: PostgresDatabase, collection: int) -> int:
    with database.reading() as c:
        return collections.get_collection(c, collection).revision
