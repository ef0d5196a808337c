"""An open collection: its view, and its transactions. What they mean is index/gallery.py's.

A write is committed to the truth first, then shown to searches, then acknowledged; writes that
wait for one another share a commit.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from contract.embedding_contract import EmbeddingContract
from contract.errors import SwitchedMeanwhileError
from index.clock import now
from index.database import Connection
from index.galleries import Galleries, View
from index.scoring import ScoringName
from index.search import Change
from index.tables import collections
from index.tables.collections import StoredCollection
from index.write_queue import Shown
from index.writes.effect import Effect
from index.writes.scope import Scope, begin

T = TypeVar("T")


class OpenCollection:
    """For Gallery to stand on, and for the modules of index/ that work on one."""

    def __init__(self, galleries: Galleries, collection: StoredCollection, view: View) -> None:
        """Stand on what `galleries.view` gave."""
        self.galleries = galleries
        self.collection_id = collection.id
        self.number = collection.number
        self._view = view
        self._scoring = galleries.scoring

    def close(self) -> None:
        """Finish the write under way and let the database go; a second call does nothing."""
        self.galleries.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def shown(self) -> View:
        """What is searched at this moment: what it stood on, or what a re-keying has made of it."""
        return self.galleries.followed(self._view)

    def twin(self) -> Self:
        """The same collection once more: a switch of the one leaves the other where it is.

        It searches then what was searched until the switch, and no longer writes.
        """
        return type(self)(self.galleries, self.stored(), self.shown)

    @property
    def contract_number(self) -> int:
        """The number of that contract in this database."""
        return self.shown.of.contract

    @property
    def contract(self) -> EmbeddingContract:
        """What the embeddings that are searched were made by."""
        return self._view.contract

    @property
    def scoring(self) -> ScoringName:
        """How a subject is scored."""
        return self._scoring.name

    @property
    def revision(self) -> int:
        """Number of acknowledged writes in the life of the collection."""
        return self.stored().revision

    @property
    def subject_count(self) -> int:
        """Number of enrolled subjects."""
        return self.stored().subject_count

    @property
    def template_count(self) -> int:
        """Number of templates that are searched."""
        return self.stored().template_count

    def stored(self) -> StoredCollection:
        """The collection as it is stored now."""
        return self.read(lambda scope: scope.collection)

    def read(self, find: Callable[[Scope], T]) -> T:
        """Look something up, all of one moment.

        Raises SwitchedMeanwhileError: another replica has re-keyed the collection.
        """
        while True:
            self.galleries.queue.check_usable()
            view = self.shown
            with self.galleries.database.reading() as c:
                collection = collections.get_collection(c, self.number)
                there = collection.contract_number
                if (
                    there == view.of.contract
                    or collections.get_contract(c, there).id != view.contract.id
                ):
                    return find(Scope(c=c, collection=collection, searched=view.of, at=now()))
            # Re-keyed: what the view is on may be gone. Committed here, it is shown in a moment.
            self.galleries.queue.exclusively(lambda: None)
            if self.shown is view:
                raise SwitchedMeanwhileError(
                    gallery_contract_id=view.contract.id, bundle_contract_id=view.contract.id
                )

    def write(
        self,
        operation: Callable[[Scope], tuple[T, Effect]],
        view: View | None = None,
    ) -> T:
        """Commit an operation that was made for `view`, the present one unless given."""

        def work(c: Connection) -> tuple[T, Shown]:
            shown = self.shown
            self.galleries.check_shown(shown)
            shown.searcher.before_write()
            scope = begin(c, self.galleries.followed(view or shown).of)
            result, effect = operation(scope)
            change = self._scoring.change(c, scope.searched, effect)
            return result, Shown(change=change, erases=effect.erases)

        return self.galleries.queue.run(work, self._show)

    def switch(
        self,
        operation: Callable[[Scope], tuple[T, Effect]],
        contract: EmbeddingContract,
        contract_number: int,
    ) -> T:
        """Commit an operation after which another contract is searched; searches change over at
        once when it is durable."""
        new: list[View] = []

        def work(c: Connection) -> tuple[T, Shown]:
            shown = self.shown
            self.galleries.check_shown(shown)
            shown.searcher.before_write()
            scope = begin(c, shown.of)
            result, effect = operation(scope)
            # Built from what is committed, without what this operation adds: that is the change.
            new.append(self.galleries.make_view(scope.collection, contract, contract_number))
            return result, Shown(
                change=self._scoring.change(c, new[0].of, effect), erases=effect.erases
            )

        def show(change: Change) -> None:
            new[0].searcher.show(change)
            self._view = new.pop()
            self.galleries.adopt(self._view)

        try:
            return self.galleries.queue.run(work, show, alone=True)
        finally:
            for unused in new:
                unused.searcher.close()

    def _show(self, change: Change) -> None:
        # By the view of this moment: a write before in the same commit may have switched it.
        self.shown.searcher.show(change)
