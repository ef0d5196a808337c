"""Searches in PostgreSQL itself: each sees what is committed, by whichever replica."""

from contract.embedding_contract import EmbeddingContract
from contract.errors import SwitchedMeanwhileError
from index.postgres import PostgresDatabase
from index.postgres_search import nearest
from index.records import Embeddings
from index.search import Change, Shortlists
from index.tables import collections
from index.tables.templates import UnderContract


class PostgresSearcher:
    """Searcher that holds nothing; `of` says which templates are looked at."""

    def __init__(
        self, database: PostgresDatabase, contract: EmbeddingContract, of: UnderContract
    ) -> None:
        """contract: that of `of`."""
        self._database = database
        self._contract = contract
        self._of = of
        self._ensure_index()

    def shortlists(self, probes_BD: Embeddings, rows: int) -> Shortlists:
        """See Searcher. All of one state of the database.

        Raises CollectionNotFoundError or SwitchedMeanwhileError: another replica has removed the
        collection, or switched it to another bundle.
        """
        with self._database.reading() as c:
            stored = collections.get_collection(c, self._of.collection)
            # What is being built may be searched, too, to compare it.
            if self._of.contract not in (stored.contract_number, stored.next_contract_number):
                there = collections.get_contract(c, stored.contract_number)
                raise SwitchedMeanwhileError(
                    gallery_contract_id=there.id, bundle_contract_id=self._contract.id
                )
            found = tuple(
                nearest(
                    c,
                    self._of.collection,
                    self._of.contract,
                    self._of.size,
                    probe_D,
                    rows,
                    d_max=self._contract.d_max,
                ).shortlist
                for probe_D in probes_BD
            )
        return Shortlists(lists=found, revision=stored.revision, error=0.0)

    def before_write(self) -> None:
        """See Searcher. Nothing: there is no copy."""

    def show(self, change: Change) -> None:
        """See Searcher. What is committed is shown; the collection may now ask for an index."""
        self._ensure_index()

    def check(self) -> None:
        """See Searcher. Nothing: what searches look at is the truth."""

    def save(self) -> None:
        """See Searcher. Nothing."""

    def close(self) -> None:
        """See Searcher. Nothing; the database is closed by its owner."""

    def _ensure_index(self) -> None:
        self._database.ensure_index(self._of.collection, self._of.contract, self._of.size)
