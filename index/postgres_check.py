"""Whether a gallery in PostgreSQL is whole, as far as the database itself can tell."""

from typing import Final

from contract.errors import GalleryUnavailableError
from index.postgres_connection import PostgresConnection
from index.postgres_errors import damaged
from index.postgres_schema import TABLES

# Each finds rows that must not be there. Foreign keys are asked again: damage does not keep them.
_FAULTS: Final = {
    "subjects without their collection": """
        SELECT count(*) FROM subjects s WHERE NOT EXISTS
            (SELECT 1 FROM collections c WHERE c.number = s.collection_number)""",
    "templates without their subject": """
        SELECT count(*) FROM templates t WHERE NOT EXISTS (SELECT 1 FROM subjects s
            WHERE s.number = t.subject_number AND s.collection_number = t.collection_number)""",
    "templates of another size than their contract says": """
        SELECT count(*) FROM templates t LEFT JOIN contracts k ON k.number = t.contract_number
            WHERE vector_dims(t.embedding) IS DISTINCT FROM k.embedding_size""",
    "crops without their subject": """
        SELECT count(*) FROM crops r WHERE NOT EXISTS
            (SELECT 1 FROM subjects s WHERE s.number = r.subject_number)""",
    "collections with a wrong count of subjects": """
        SELECT count(*) FROM collections c WHERE c.subject_count <>
            (SELECT count(*) FROM subjects s WHERE s.collection_number = c.number)""",
    "collections with a wrong count of templates": """
        SELECT count(*) FROM collections c WHERE c.template_count <>
            (SELECT count(*) FROM templates t WHERE t.collection_number = c.number
            AND t.contract_number = c.contract_number)""",
}
_AMCHECK: Final = """
    SELECT count(*) = 2 AND bool_and(has_function_privilege(p.oid, 'EXECUTE'))
    FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'amcheck'
    WHERE p.proname = 'verify_heapam' OR (p.proname = 'bt_index_check' AND p.pronargs = 2)"""
_BTREES: Final = """
    SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am a ON a.oid = c.relam
    WHERE i.indrelid = to_regclass(?) AND a.amname = 'btree' AND i.indisvalid"""


def check_tables(connection: PostgresConnection) -> None:
    """Raise GalleryUnavailableError with what is found wrong. Reads every row."""
    if connection.execute(_AMCHECK) == [(True,)]:
        _check_pages(connection)
    for what, sql in _FAULTS.items():
        count = int(connection.execute(sql)[0][0])
        if count:
            raise damaged(connection.place, f"{count} {what}")


def _check_pages(connection: PostgresConnection) -> None:
    """Let amcheck look for damaged pages, and for rows that an index has not."""
    for table in TABLES:
        faults = connection.execute("SELECT msg FROM verify_heapam(?::regclass)", (table,))
        if faults:
            raise damaged(connection.place, f"{table}: {faults[0][0]}")
        for (index,) in connection.execute(_BTREES, (table,)):
            try:
                connection.execute("SELECT bt_index_check(?::oid::regclass, true)", (index,))
            except GalleryUnavailableError as error:
                raise damaged(connection.place, f"{table}: {error.__cause__}") from error
