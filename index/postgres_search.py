"""The rows nearest to a probe, found by the database itself.

Shapes: K rows on a shortlist, D embedding size.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from contract.similarity import pairwise_similarity, similarity_from_distance
from index.postgres_connection import PostgresConnection
from index.postgres_errors import server_errors
from index.postgres_hnsw import index_name, indexed_expression
from index.records import Embeddings
from index.search import Shortlist

# How many rows HNSW keeps in view: more finds more of the nearest, and takes longer.
EF_SEARCH: Final = 200
_EF_SEARCH_MAX: Final = 1_000  # pgvector's own limit
_FLOAT32_UNIT: Final = 2.0**-24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nearest:
    """The rows nearest to one probe, as they are stored.

    shortlist: its similarities are those of the stored embeddings, in float64 (`error` is 0).
    embeddings: float32 (K, D), in its order. exact: `left_out` can be relied on; False where an
    approximate index may have missed rows.
    """

    shortlist: Shortlist
    embeddings: Embeddings
    exact: bool


def nearest(
    connection: PostgresConnection,
    collection_number: int,
    contract_number: int,
    size: int,
    probe_D: Embeddings,
    rows: int,
    *,
    d_max: float,
) -> Nearest:
    """Up to `rows` templates of a collection under a contract, nearest first; size: D.

    Exact, unless the collection has an approximate index (`PostgresDatabase.ensure_index`); more
    rows than that keeps in view are looked for exactly, too.
    Raises GalleryUnavailableError.
    """
    approximate = rows <= _EF_SEARCH_MAX and _prepare(
        connection, index_name(collection_number, contract_number), max(rows, EF_SEARCH)
    )
    # Numbers, and no values: only so the planner can tell that the partial index fits.
    where = f"collection_number = {collection_number} AND contract_number = {contract_number}"
    order = f"{indexed_expression(size)} <-> %s::vector::halfvec({size})"
    found = _query(
        connection,
        "SELECT number, subject_number, embedding, embedding <-> %s::vector AS distance"
        f" FROM templates WHERE {where} ORDER BY {order if approximate else 'distance'}"
        f" LIMIT {rows}",
        [connection.pack(probe_D)] * (2 if approximate else 1),
    )
    embeddings = connection.unpack([row[2] for row in found], size=size)
    if approximate or len(found) < rows:
        left_out = -1.0
    else:
        left_out = _bound(found[-1][3] if found else 0.0, size, d_max)
    return _nearest(found, embeddings, probe_D, d_max, left_out=left_out, exact=not approximate)


def _prepare(connection: PostgresConnection, name: str, ef_search: int) -> bool:
    """Tell the HNSW index of that name how far to look, if there is one; whether there is."""
    rows = connection.execute(
        "SELECT set_config('hnsw.ef_search', ?, true),"
        # Rows that are removed but not yet vacuumed take places in view: then look on.
        " set_config('hnsw.iterative_scan', 'strict_order', true),"
        # The index alone needs no sorting. A planner with old statistics would read all rows.
        " set_config('enable_sort', 'off', true),"
        " coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(?)), false)",
        (str(ef_search), name),
    )
    return bool(rows[0][-1])


def _query(connection: PostgresConnection, sql: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with server_errors(connection.place):
        # Never a prepared plan: that would be made for any collection, and fit no index.
        cursor = connection.raw.execute(sql.encode(), values, prepare=False, binary=True)
        return cursor.fetchall()


def _bound(distance: float, size: int, d_max: float) -> float:
    """Largest similarity of a row that pgvector finds at `distance` or farther.

    It squares and sums in float32: off by at most D + 2 roundings, relatively, in any order of
    summing; half of that for the root. Twice is for good measure.
    """
    nearest_possible = distance * (1.0 - (size + 2) * _FLOAT32_UNIT)
    return float(similarity_from_distance(np.array(nearest_possible), d_max))


def _nearest(
    found: list[tuple[Any, ...]],
    embeddings: Embeddings,
    probe_D: Embeddings,
    d_max: float,
    *,
    left_out: float,
    exact: bool,
) -> Nearest:
    numbers = np.array([row[0] for row in found], dtype=np.int64)
    subjects = np.array([row[1] for row in found], dtype=np.int64)
    similarities = pairwise_similarity(probe_D[None], embeddings, d_max)[0]
    order = np.lexsort((numbers, subjects, -similarities))
    shortlist = Shortlist(
        numbers=numbers[order],
        subject_numbers=subjects[order],
        similarities=similarities[order],
        left_out=left_out,
    )
    return Nearest(shortlist=shortlist, embeddings=embeddings[order], exact=exact)
