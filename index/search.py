"""The seam between the gallery and whatever finds its nearest templates.

Shapes: B probes, N templates, D embedding size.
"""

from collections.abc import Iterable
from typing import Protocol

from index.records import Embeddings, Hit, TemplateBatch


class SearchIndex(Protocol):
    """Templates in memory, derived from the store and never the truth.

    One thread at a time: the gallery holds one lock over index and revision, so that a search
    sees a write whole or not at all. add and remove either do everything or change nothing.
    """

    def add(self, batch: TemplateBatch) -> None:
        """Take in templates. ValueError: wrong D, or a number that is there or given twice."""

    def remove(self, numbers: Iterable[int]) -> None:
        """Forget the templates of these numbers. ValueError: a number that is not there."""

    def search(self, probes_BD: Embeddings, *, top_k: int) -> list[list[Hit]]:
        """For each probe the `top_k` best subjects, fewer only where there are fewer.

        A subject scores as its best template does. Order: similarity downwards, then subject
        number and template number upwards (who was enrolled first), so equal scores have one
        order. Similarities are exact: float64 of the stored float32 embeddings.
        """

    def templates(self) -> TemplateBatch:
        """A copy of all that is held, in any order: what a check against the truth needs."""

    def __len__(self) -> int:
        """Number of templates, N."""
