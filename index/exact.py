"""The slow, plain search that fast ones are tested against.

Shapes: B probes, N templates, D embedding size.
"""

from collections.abc import Iterable

import numpy as np

from contract.similarity import pairwise_similarity
from index.records import Embeddings, Hit, TemplateBatch


class ExactIndex:
    """SearchIndex by dictionary and loop; O(N D) Python and numpy a probe."""

    def __init__(self, *, size: int, d_max: float) -> None:
        """size: D. d_max: see contract/similarity.py."""
        self._size = size
        self._d_max = d_max
        self._rows: dict[int, tuple[int, Embeddings]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, batch: TemplateBatch) -> None:
        """See SearchIndex."""
        if batch.embeddings.shape != (len(batch), self._size):
            raise ValueError(f"Templates must have the shape (N, {self._size}).")
        numbers = batch.numbers.tolist()
        if len(set(numbers)) < len(numbers) or any(n in self._rows for n in numbers):
            raise ValueError("A template number may be added only once.")
        for number, subject, row in zip(
            numbers, batch.subject_numbers.tolist(), batch.embeddings, strict=True
        ):
            self._rows[number] = (subject, row.copy())

    def remove(self, numbers: Iterable[int]) -> None:
        """See SearchIndex."""
        gone = list(numbers)
        if len(set(gone)) < len(gone) or any(n not in self._rows for n in gone):
            raise ValueError("Only templates that are there can be removed, each once.")
        for number in gone:
            del self._rows[number]

    def search(self, probes_BD: Embeddings, *, top_k: int) -> list[list[Hit]]:
        """See SearchIndex."""
        held = self.templates()
        similarities_BN = pairwise_similarity(probes_BD, held.embeddings, self._d_max)
        found = []
        for similarities_N in similarities_BN:
            best: dict[int, Hit] = {}
            for number, subject, similarity in zip(
                held.numbers.tolist(),
                held.subject_numbers.tolist(),
                similarities_N.tolist(),
                strict=True,
            ):
                hit = Hit(subject_number=subject, template_number=number, similarity=similarity)
                if subject not in best or _rank(hit) < _rank(best[subject]):
                    best[subject] = hit
            found.append(sorted(best.values(), key=_rank)[:top_k])
        return found

    def templates(self) -> TemplateBatch:
        """See SearchIndex."""
        rows = [row for _, row in self._rows.values()]
        return TemplateBatch(
            numbers=np.array(list(self._rows), dtype=np.int64),
            subject_numbers=np.array([s for s, _ in self._rows.values()], dtype=np.int64),
            embeddings=np.array(rows, dtype=np.float32).reshape(-1, self._size),
        )


def _rank(hit: Hit) -> tuple[float, int, int]:
    return -hit.similarity, hit.subject_number, hit.template_number
