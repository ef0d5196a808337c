"""The statements about collections. Each takes a transaction under way."""

from dataclasses import dataclass

from contract.embedding_contract import EmbeddingContract
from contract.errors import CollectionNotFoundError, GalleryError
from index.database import Connection

DEFAULT_COLLECTION = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCollection:
    """A collection as it is stored.

    contract_number: of the embeddings that are searched. next_contract_number: of those that a
    re-embedding is building. former_contract_number: of those that it left, to go back to.
    """

    number: int
    id: str
    contract_number: int
    next_contract_number: int | None
    former_contract_number: int | None
    revision: int
    subject_count: int
    template_count: int
    created_at: str


_COLUMNS = (
    "number, id, contract_number, next_contract_number, former_contract_number, revision,"
    " subject_count, template_count, created_at"
)


def find_collection(c: Connection, collection_id: str) -> StoredCollection | None:
    """The collection of that id, or None."""
    rows = c.execute(f"SELECT {_COLUMNS} FROM collections WHERE id = ?", (collection_id,))
    return _stored(rows[0]) if rows else None


def all_collections(c: Connection) -> list[StoredCollection]:
    """Every collection, oldest first."""
    return [
        _stored(row) for row in c.execute(f"SELECT {_COLUMNS} FROM collections ORDER BY number")
    ]


def get_collection(c: Connection, number: int) -> StoredCollection:
    """The collection of that number. Raises CollectionNotFoundError."""
    rows = c.execute(f"SELECT {_COLUMNS} FROM collections WHERE number = ?", (number,))
    if not rows:
        raise CollectionNotFoundError(str(number))
    return _stored(rows[0])


def created_at(c: Connection, number: int) -> str:
    """When the collection of that number was made. Raises CollectionNotFoundError."""
    return get_collection(c, number).created_at


def insert_collection(
    c: Connection, collection_id: str, contract_number: int, at: str
) -> StoredCollection | None:
    """A new, empty collection; None where another replica has made it just now."""
    rows = c.execute(
        "INSERT INTO collections"
        " (id, contract_number, revision, subject_count, template_count, created_at)"
        " VALUES (?, ?, 0, 0, 0, ?) ON CONFLICT (id) DO NOTHING"
        f" RETURNING {_COLUMNS}",
        (collection_id, contract_number, at),
    )
    return _stored(rows[0]) if rows else None


def begin_write(c: Connection, number: int) -> StoredCollection:
    """Count the revision up, as the first statement of a write.

    In PostgreSQL it also makes other writers to this collection wait for the transaction's end.
    Raises CollectionNotFoundError.
    """
    rows = c.execute(
        f"UPDATE collections SET revision = revision + 1 WHERE number = ? RETURNING {_COLUMNS}",
        (number,),
    )
    if not rows:
        raise CollectionNotFoundError(str(number))
    return _stored(rows[0])


def count(c: Connection, number: int, *, subjects: int, templates: int) -> None:
    """Add to the counts of a collection what a write added (or, negative, removed)."""
    c.execute(
        "UPDATE collections SET subject_count = subject_count + ?,"
        " template_count = template_count + ? WHERE number = ?",
        (subjects, templates, number),
    )


def check_counts(c: Connection, number: int) -> None:
    """Compare the counts of a collection with what is there. Raises GalleryError."""
    stored = get_collection(c, number)
    subjects = c.execute("SELECT count(*) FROM subjects WHERE collection_number = ?", (number,))[0][
        0
    ]
    templates = c.execute(
        "SELECT count(*) FROM templates WHERE collection_number = ? AND contract_number = ?",
        (number, stored.contract_number),
    )[0][0]
    if (stored.subject_count, stored.template_count) != (subjects, templates):
        raise GalleryError(
            f"The collection {stored.id!r} counts {stored.subject_count} subjects and "
            f"{stored.template_count} templates, but holds {subjects} and {templates}: "
            "bring back a copy."
        )


def set_contracts(
    c: Connection, number: int, *, contract: int, next_contract: int | None, former: int | None
) -> None:
    """Say which embeddings are searched, built and left; counts the templates anew."""
    c.execute(
        "UPDATE collections SET contract_number = ?, next_contract_number = ?,"
        " former_contract_number = ?, template_count = (SELECT count(*) FROM templates"
        " WHERE collection_number = ? AND contract_number = ?) WHERE number = ?",
        (contract, next_contract, former, number, contract, number),
    )


def remove_collection(c: Connection, number: int) -> None:
    """Remove a collection with all its subjects and templates."""
    c.execute("DELETE FROM collections WHERE number = ?", (number,))


def contract_number(c: Connection, contract: EmbeddingContract, protection: str = "") -> int:
    """The number of a contract under a protection, by its label; entered if it is new.

    Raises GalleryError: a contract of the same id says something else.
    """
    for (known,) in c.execute("SELECT number FROM contracts WHERE id = ?", (contract.id,)):
        check_same(get_contract(c, known), contract)
    c.execute(
        "INSERT INTO contracts (id, embedding_size, d_max, protection) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (id, protection) DO NOTHING",
        (contract.id, contract.size, contract.d_max, protection),
    )
    rows = c.execute(
        "SELECT number FROM contracts WHERE id = ? AND protection = ?", (contract.id, protection)
    )
    return int(rows[0][0])


def protection_label(c: Connection, number: int) -> str:
    """How embeddings under the contract of that number are protected; "" where they are not."""
    rows = c.execute("SELECT protection FROM contracts WHERE number = ?", (number,))
    return str(rows[0][0])


def get_contract(c: Connection, number: int) -> EmbeddingContract:
    """The contract of that number."""
    rows = c.execute("SELECT id, embedding_size, d_max FROM contracts WHERE number = ?", (number,))
    contract_id, size, d_max = rows[0]
    return EmbeddingContract(id=contract_id, size=size, d_max=d_max)


def check_same(there: EmbeddingContract, given: EmbeddingContract) -> None:
    """Raise GalleryError where two contracts of one id differ otherwise."""
    if there != given:
        raise GalleryError(
            f"The gallery says of the contract {there.id} embedding size {there.size} and d_max "
            f"{there.d_max}, the bundle says {given.size} and {given.d_max}: one of them is wrong."
        )


def _stored(row: tuple[object, ...]) -> StoredCollection:
    names = [name.strip() for name in _COLUMNS.split(",")]
    return StoredCollection(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]
