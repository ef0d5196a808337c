"""Searches in this process: an index in memory, read from its snapshot or built from the truth.

The snapshot lies beside the database from a closing to the first write after it: while it is
there, it is true, and nobody who was removed lingers in it.
"""

import logging
from pathlib import Path
from typing import Final, Self

import numpy as np

from contract.embedding_contract import EmbeddingContract
from contract.errors import GalleryError, GalleryUnavailableError
from index.database import Connection
from index.records import Embeddings, TemplateBatch
from index.scoring import Scoring
from index.search import Change, SearchIndex, Shortlists, SnapshotKey
from index.snapshot import load_snapshot
from index.sqlite import SqliteDatabase
from index.tables.collections import StoredCollection
from index.tables.templates import UnderContract
from index.tiers import Tier, make_index

log = logging.getLogger(__name__)

# Below that, building from the truth takes a few tenths of a second at most.
SNAPSHOT_FROM_ROWS: Final = 20_000


class MemorySearcher:
    """Searcher over a SearchIndex; `of` says which templates it has."""

    def __init__(
        self,
        database: SqliteDatabase,
        of: UnderContract,
        scoring: Scoring,
        index: SearchIndex,
        snapshot: Path,
        key: SnapshotKey,
    ) -> None:
        """Take over an index that holds all rows; `load` makes one."""
        self._database = database
        self._of = of
        self._scoring = scoring
        self._index = index
        self._snapshot = snapshot
        self._key = key
        # While it is there it is true: `load` has removed any other.
        self._snapshot_is_there = False

    @classmethod
    def load(
        cls,
        database: SqliteDatabase,
        collection: StoredCollection,
        contract: EmbeddingContract,
        of: UnderContract,
        *,
        scoring: Scoring,
        tier: Tier,
        from_snapshot: bool,
    ) -> Self:
        """Read the rows `of` a collection, from the snapshot if there is a true one.

        from_snapshot: false for a view that is not the one that the snapshot is for.
        """
        path = snapshot_path(database.path, collection.number)
        key = SnapshotKey(
            contract_id=contract.id,
            collection_id=collection.id,
            scoring=scoring.name,
            size=contract.size,
            d_max=contract.d_max,
            protection=of.protection.label,
        )
        index = None
        if from_snapshot:
            # It is not sealed, as rows are.
            if not database.cipher.seals:
                index = load_snapshot(path, key, revision=collection.revision, tier=tier)
            if index is None:
                # It may hold somebody who was removed since.
                remove_snapshot(path)
        loaded = index is not None
        if index is None:
            index = make_index(size=contract.size, d_max=contract.d_max, tier=tier)
            with database.reading() as c:
                _fill(index, scoring, c, of, collection.revision)
        searcher = cls(database, of, scoring, index, path, key)
        searcher._snapshot_is_there = loaded
        return searcher

    def __len__(self) -> int:
        return len(self._index)

    def shortlists(self, probes_BD: Embeddings, rows: int) -> Shortlists:
        """See Searcher."""
        return self._index.shortlist(probes_BD, rows=rows)

    def before_write(self) -> None:
        """See Searcher."""
        if self._snapshot_is_there:
            remove_snapshot(self._snapshot)
            self._snapshot_is_there = False

    def show(self, change: Change) -> None:
        """See Searcher."""
        # A subject's mean is removed before its new one comes, but a new subject had none.
        there = [number for number in change.removed.tolist() if number in self._index]
        self._index.apply(
            Change(
                removed=np.array(there, dtype=np.int64),
                added=change.added,
                revision=change.revision,
            )
        )

    def check(self) -> None:
        """See Searcher."""
        with self._database.reading() as c:
            seen = 0
            for batch in self._scoring.all_rows(c, self._of):
                seen += len(batch)
                if not self._holds(batch):
                    raise GalleryError(
                        "The search index differs from the store among the rows numbered "
                        f"{batch.numbers[0]} to {batch.numbers[-1]}: open the gallery anew."
                    )
        if seen != len(self._index):
            raise GalleryError(
                f"The search index holds {len(self._index)} rows, the store {seen}: "
                "open the gallery anew."
            )

    def save(self) -> None:
        """See Searcher."""
        if self._snapshot_is_there or len(self._index) < SNAPSHOT_FROM_ROWS:
            return
        if self._database.cipher.seals:
            return
        try:
            self._index.save(self._snapshot, self._key)
        except OSError as error:
            log.warning("no snapshot of the search index was written: %s", error)

    def close(self) -> None:
        """See Searcher."""
        self._index.close()

    def _holds(self, batch: TemplateBatch) -> bool:
        try:
            held = self._index.embeddings(batch.numbers)
            subjects = self._index.subjects(batch.numbers)
        except KeyError:
            return False
        # Bytes, not values: 0.0 and -0.0 are equal but not the same embedding.
        rounded = batch.embeddings.astype(np.float16).astype(np.float32)
        return rounded.tobytes() == held.tobytes() and np.array_equal(
            subjects, batch.subject_numbers
        )


def snapshot_path(database: Path, collection_number: int) -> Path:
    """Where the snapshot of a collection lies."""
    return database.with_name(f"{database.name}.index-{collection_number}")


def _fill(
    index: SearchIndex, scoring: Scoring, c: Connection, of: UnderContract, revision: int
) -> None:
    none = np.zeros(0, dtype=np.int64)
    index.apply(Change(removed=none, added=TemplateBatch.empty(of.size), revision=revision))
    for batch in scoring.all_rows(c, of):
        index.apply(Change(removed=none, added=batch, revision=revision))


def remove_snapshot(path: Path) -> None:
    """Remove a snapshot, if it is there. Raises GalleryUnavailableError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise GalleryUnavailableError(
            f"The outdated snapshot {path} cannot be removed ({error.strerror}): "
            "give this process the right to."
        ) from error
