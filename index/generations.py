"""When an approximate search is built, kept, rebuilt and dropped; the work in the background."""

import logging
import threading
from dataclasses import dataclass
from typing import Final, Literal

from index.generation import Finder, Generation
from index.hnsw import Hnsw
from index.positions import Positions
from index.rabitq import Rabitq
from index.readers_writer import ReadersWriterLock
from index.rows import Move, Rows

log = logging.getLogger(__name__)

FinderKind = Literal["rabitq", "hnsw"]
FINDERS: Final[dict[FinderKind, type[Rabitq] | type[Hnsw]]] = {"rabitq": Rabitq, "hnsw": Hnsw}
# The rest of a generation that is added while searches wait.
_LAST_ROWS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When to search approximately, and by what.

    From more than `above` rows on until there are fewer than `below`, 1 <= below <= above + 1: the
    gap keeps a gallery that hovers about one size from building again and again.
    dead_share: a generation with more dead positions than this share is rebuilt.
    """

    finder: FinderKind
    above: int
    below: int
    dead_share: float = 0.2


class Generations:
    """The generation that searches go through, if any, and the one that is being built.

    The caller holds the lock: exclusively for `follow` and `adopt`, at least shared while it uses
    `live`; not at all for `settle` and `close`.
    """

    def __init__(self, rows: Rows, lock: ReadersWriterLock, policy: Policy | None) -> None:
        """policy: None, always scan all rows."""
        self.live: Generation | None = None
        self.policy = policy
        self._rows = rows
        self._lock = lock
        self._building: Generation | None = None
        self._thread: threading.Thread | None = None
        self._ended = policy is None

    def follow(self, moves: list[Move], added: int) -> None:
        """Bring the live generation up to date after a change of the rows, or do without it."""
        try:
            self._extend(moves, added)
        except (MemoryError, RuntimeError):
            log.exception("the search index drops its approximate part: all rows are scanned")
            self.live, self._building, self._ended = None, None, True
        self._review()

    def adopt(self, generation: Generation | None) -> None:
        """Go through a generation that holds the rows as they are now, if there is one."""
        self.live = generation
        self._review()

    def settle(self) -> None:
        """Wait for what is being built."""
        while True:
            with self._lock.shared():
                thread = self._thread
            if thread is None:
                return
            thread.join()

    def close(self) -> None:
        """Stop what is being built, and build nothing more."""
        with self._lock.exclusive():
            self._ended = True
            self._building = None
        self.settle()

    def _extend(self, moves: list[Move], added: int) -> None:
        for generation in (self.live, self._building):
            if generation:
                generation.follow(moves, added)
        if self.live and added > self.live.finder.bulk:
            # Searches would wait too long: the scan answers until this is done beside them.
            self._building, self.live = self._building or self.live, None
        if self.live:
            self.live.extend(self._rows)

    def _review(self) -> None:
        policy = self.policy
        if policy and len(self._rows) < policy.below:
            self.live = self._building = None
        if self._thread is None and self._is_due():
            thread = threading.Thread(target=self._work, name="index-build", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # No more threads: the next change tries again.
                log.exception("the search index cannot be built now: all rows are scanned")
            else:
                self._thread = thread

    def _is_due(self) -> bool:
        policy = self.policy
        if policy is None or self._ended:
            return False
        if self.live is None:
            return self._building is not None or len(self._rows) > policy.above
        return self.live.positions.dead > policy.dead_share * len(self.live.positions)

    def _work(self) -> None:
        while True:
            try:
                self._build()
            except (MemoryError, RuntimeError):
                log.exception("the search index could not be built: all rows are scanned")
                with self._lock.exclusive():
                    self._building, self._ended = None, True
            with self._lock.exclusive():
                if not self._is_due():
                    self._thread = None
                    return

    def _begin(self) -> Generation | None:
        """A new generation, or the one that has fallen behind; None: no longer wanted."""
        with self._lock.exclusive():
            if self.policy is None or not self._is_due():
                return None
            if self._building:
                return self._building
            finder: Finder = FINDERS[self.policy.finder](self._rows.size)
            new = self._building = Generation(finder, Positions.first(len(self._rows)))
            sample = new.sample(self._rows)
        finder.train(sample)
        return new

    def _build(self) -> None:
        new, replaced = self._begin(), None
        while new:
            with self._lock.shared():
                if self._building is not new:
                    return
                left = len(new.positions) - new.built
                chunk, died = new.chunk(self._rows), new.died()
            # Only this thread uses the finder, so searches and changes go on.
            new.erase(died)
            if left <= _LAST_ROWS:
                break
            new.take(chunk)
        with self._lock.exclusive():
            if new and self._building is new:
                new.extend(self._rows)
                self.live, self._building, replaced = new, None, self.live
        del replaced  # Freed here, not while searches wait.
