"""The seam between a gallery and where its searches run: in this process, or in the database."""

from typing import Protocol

from index.records import Embeddings
from index.search import Change, Shortlists


class Searcher(Protocol):
    """Finds the rows of one collection. Any thread may call anything."""

    def shortlists(self, probes_BD: Embeddings, rows: int) -> Shortlists:
        """At least `rows` rows nearest to each probe, fewer only where there are fewer."""

    def before_write(self) -> None:
        """Told inside a write, before it is durable: let go of what it makes untrue.

        Raises GalleryUnavailableError, and then the write is refused.
        """

    def show(self, change: Change) -> None:
        """Told after a write is durable, before it is acknowledged."""

    def check(self) -> None:
        """Compare with the truth, while nobody writes. Slow. Raises GalleryError."""

    def save(self) -> None:
        """Leave, after the last write, what makes the next opening faster."""

    def close(self) -> None:
        """Let go; a second call does nothing."""
