"""An open database with its collections."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from contract.embedding_contract import EmbeddingContract
from contract.errors import (
    CollectionNotFoundError,
    ContractMismatchError,
    GalleryError,
    SwitchedMeanwhileError,
)
from index.checks import check_subject_id
from index.clock import now
from index.database import Connection, Database
from index.memory_searcher import MemorySearcher, remove_snapshot, snapshot_path
from index.protection.label import Label
from index.protection.protector import Protector
from index.protection.row_cipher import RowCipher
from index.protection.secrets import GallerySecrets, secret_path_beside
from index.scoring import SCORINGS, ScoringName
from index.searcher import Searcher
from index.sqlite import SqliteDatabase
from index.tables import audit, collections
from index.tables.collections import StoredCollection
from index.tables.templates import UnderContract
from index.tiers import Tier
from index.write_queue import Shown, WriteQueue
from index.writes.scope import begin


@dataclass(frozen=True, slots=True)
class View:
    """What is searched: by which contract, which templates, where."""

    contract: EmbeddingContract
    of: UnderContract
    searcher: Searcher


class Galleries:
    """The database at a location, for index.gallery.Gallery to work on. Any thread may call."""

    def __init__(
        self,
        database: Database,
        *,
        tier: Tier,
        scoring: ScoringName,
        secrets: GallerySecrets,
    ) -> None:
        """Take over an open database."""
        self.database = database
        self.protector = Protector(secrets)
        self.scoring = SCORINGS[scoring]
        self.queue = WriteQueue(database, last=audit.seal)
        self._tier = tier
        # The view of each open collection, by its number.
        self._views: dict[int, View] = {}

    @classmethod
    def open(
        cls,
        location: Path | str,
        *,
        tier: Tier = "auto",
        scoring: ScoringName = "best",
        secrets: GallerySecrets | None = None,
        row_keys: GallerySecrets | None = None,
    ) -> Self:
        """See index.gallery.Gallery.open."""
        if secrets is None:
            secrets = GallerySecrets(default_secret_path(location), protects_new=False)
        if not is_postgres(location):
            database = SqliteDatabase(Path(location), cipher=RowCipher(row_keys))
            return cls(database, tier=tier, scoring=scoring, secrets=secrets)
        if row_keys is not None:
            raise GalleryError(
                "A gallery on PostgreSQL is searched in the database, so its rows cannot be "
                "encrypted: leave row_key_file and row_key out, and keep it on an encrypted disk."
            )
        if scoring != "best":
            raise GalleryError(
                "A gallery on PostgreSQL scores a subject by its best template: set scoring to "
                "best, or use a gallery in a file."
            )
        try:
            from index.postgres import PostgresDatabase
        except ModuleNotFoundError as error:
            raise GalleryError(
                f"A gallery on PostgreSQL needs the package {error.name}: "
                "pip install 'oneglance[postgres]'."
            ) from error
        return cls(
            PostgresDatabase.open(str(location)), tier=tier, scoring=scoring, secrets=secrets
        )

    def close(self) -> None:
        """Finish the write under way and let the database go; a second call does nothing."""
        self.queue.close(self._close)

    def _close(self) -> None:
        for view in self._views.values():
            if not self.queue.parted:
                view.searcher.save()
            view.searcher.close()
        self.database.close()

    def collections(self) -> list[StoredCollection]:
        """All of them, oldest first."""
        self.queue.check_usable()
        with self.database.reading() as c:
            return collections.all_collections(c)

    def find(self, collection_id: str) -> StoredCollection | None:
        """The collection of that id as it is now, or None."""
        self.queue.check_usable()
        with self.database.reading() as c:
            return collections.find_collection(c, collection_id)

    def contract_of(self, collection: StoredCollection) -> EmbeddingContract:
        """What the embeddings of a collection that are searched were made by."""
        with self.database.reading() as c:
            return collections.get_contract(c, collection.contract_number)

    def secret_id_of(self, collection: StoredCollection) -> str | None:
        """Id of the secret that a collection's templates are protected by; None: by none.

        Raises GalleryError: in a way that this release does not know.
        """
        with self.database.reading() as c:
            label = collections.protection_label(c, collection.contract_number)
        return Label.parsed(label).secret_id if label else None

    def remove_collection(self, collection_id: str) -> None:
        """Remove a collection that no Gallery is open on, with all that is in it.

        Raises CollectionNotFoundError.
        """

        def work(c: Connection) -> tuple[None, Shown]:
            known = collections.find_collection(c, collection_id)
            if known is None:
                raise CollectionNotFoundError(collection_id)
            of = UnderContract(collection=known.number, contract=known.contract_number, size=0)
            scope = begin(c, of)
            scope.log("remove_collection", subjects=known.subject_count)
            collections.remove_collection(c, known.number)
            if isinstance(self.database, SqliteDatabase):
                # Before the commit: nobody would look for it afterwards.
                remove_snapshot(snapshot_path(self.database.path, known.number))
            return None, Shown(erases=True)

        self.queue.run(work, lambda change: None)

    def release(self, number: int) -> None:
        """Let the view of a collection go, before it is removed."""
        self._views.pop(number).searcher.close()

    def view(
        self, collection_id: str, contract: EmbeddingContract | None
    ) -> tuple[StoredCollection, View]:
        """A collection as it is, and a new view on it; made if it is not there and `contract` is
        given. None takes whatever contract it has.

        Raises ContractMismatchError, GalleryError (a contract that contradicts itself, or the
        collection is open already), or CollectionNotFoundError.
        """
        check_subject_id(collection_id)
        stored = self.find(collection_id)
        if stored is not None and stored.number in self._views:
            # Two views would need to hear of each other's writes.
            raise GalleryError(f"The collection {collection_id!r} is open already: use that one.")
        if stored is None:
            if contract is None:
                raise CollectionNotFoundError(collection_id)
            stored = self._create(collection_id, contract)
        there = self.contract_of(stored)
        if contract is not None and there.id != contract.id:
            raise ContractMismatchError(
                gallery_contract_id=there.id, bundle_contract_id=contract.id
            )
        if contract is not None:
            collections.check_same(there, contract)
        view = self.make_view(stored, there, stored.contract_number, from_snapshot=True)
        self._views[stored.number] = view
        return stored, view

    def make_view(
        self,
        stored: StoredCollection,
        contract: EmbeddingContract,
        contract_number: int,
        *,
        from_snapshot: bool = False,
    ) -> View:
        """A view on a collection under any of its contracts, to be closed by the caller."""
        with self.database.reading() as c:
            of = self.under(c, stored, contract, contract_number)
        return View(contract, of, self._searcher(stored, contract, of, from_snapshot))

    def under(
        self, c: Connection, stored: StoredCollection, contract: EmbeddingContract, number: int
    ) -> UnderContract:
        """A collection's templates under the contract of that number, and how they are protected.

        Raises GallerySecretError.
        """
        return UnderContract(
            collection=stored.number,
            contract=number,
            size=contract.size,
            protection=self.protector.of(
                collections.protection_label(c, number),
                size=contract.size,
                collection_id=stored.id,
            ),
        )

    def followed(self, view: View) -> View:
        """The view that has taken this one's place by a re-keying, or this one.

        The embeddings are the same, under another secret, so whoever holds the one before goes on
        with the new one; after a switch to another bundle nobody does.
        """
        now = self._views.get(view.of.collection, view)
        rekeyed = now.contract.id == view.contract.id and now.of.contract != view.of.contract
        return now if rekeyed else view

    def check_shown(self, view: View) -> None:
        """Raise SwitchedMeanwhileError where another view has taken this one's place.

        Even under the same contract, after a switch and the way back: a write that is shown to the
        one before would not be found.
        """
        now = self._views.get(view.of.collection, view)
        if now is not view:
            raise SwitchedMeanwhileError(
                gallery_contract_id=now.contract.id, bundle_contract_id=view.contract.id
            )

    def adopt(self, view: View) -> None:
        """Let a view take the place of its collection's former one."""
        self._views[view.of.collection].searcher.close()
        self._views[view.of.collection] = view

    def _searcher(
        self,
        stored: StoredCollection,
        contract: EmbeddingContract,
        of: UnderContract,
        from_snapshot: bool,
    ) -> Searcher:
        if isinstance(self.database, SqliteDatabase):
            return MemorySearcher.load(
                self.database,
                stored,
                contract,
                of,
                scoring=self.scoring,
                tier=self._tier,
                from_snapshot=from_snapshot,
            )
        from index.postgres import PostgresDatabase
        from index.postgres_searcher import PostgresSearcher

        assert isinstance(self.database, PostgresDatabase)
        return PostgresSearcher(self.database, contract, of)

    def _create(self, collection_id: str, contract: EmbeddingContract) -> StoredCollection:
        label = self.protector.new_label()

        def work(c: Connection) -> tuple[None, Shown]:
            # Another replica may have been faster.
            if collections.find_collection(c, collection_id) is None:
                number = collections.contract_number(c, contract, label)
                at = now()
                made = collections.insert_collection(c, collection_id, number, at)
                if made is not None:
                    audit.log(c, made, "create_collection", at=at, contract_id=contract.id)
            return None, Shown()

        self.queue.run(work, lambda change: None)
        stored = self.find(collection_id)
        assert stored is not None
        return stored


def default_secret_path(location: Path | str) -> Path:
    """The file of a gallery's secrets, unless another is named."""
    gallery = Path("data/gallery") if is_postgres(location) else Path(location)
    return secret_path_beside(gallery)


def is_postgres(location: Path | str) -> bool:
    """Whether a location is a PostgreSQL URL; else it is a path."""
    return isinstance(location, str) and location.startswith(("postgresql://", "postgres://"))
