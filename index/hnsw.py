"""Rows as a graph of neighbours: HNSW (arXiv 1603.09320) over half-precision copies, by FAISS.

Shapes: B probes, N rows, K positions found, D embedding size.
"""

from collections.abc import Sequence
from typing import Any, Final, Self

import faiss

from index.records import Embeddings, Numbers

_faiss: Any = faiss  # Its stubs lack what is used of it here.
_NEIGHBOURS: Final = 32
_BUILD_BREADTH: Final = 100
_FEWEST: Final = 32
SEARCH_BREADTH: Final = 128


class Hnsw:
    """Finder by IndexHNSWSQ: the fastest to search, the slowest to build.

    It holds its own copy of each row, and keeps that of a removed one, as its graph leads over
    it, until the next generation.
    """

    kind = "hnsw"
    bulk = 64

    def __init__(self, size: int) -> None:
        """size: D."""
        self._index = _faiss.IndexHNSWSQ(
            size, faiss.ScalarQuantizer.QT_fp16, _NEIGHBOURS, faiss.METRIC_L2
        )
        self._index.hnsw.efConstruction = _BUILD_BREADTH

    @classmethod
    def loaded(cls, index: Any, size: int) -> Self:
        """Over what a snapshot held. ValueError: not an index of ours."""
        if not isinstance(index, faiss.IndexHNSWSQ) or index.d != size:
            raise ValueError("Not an HNSW index of this size.")
        finder = cls(size)
        finder._index = index
        return finder

    @property
    def index(self) -> Any:
        """See Finder."""
        return self._index

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def train(self, sample_ND: Embeddings) -> None:
        """See Finder; there is nothing to learn."""
        self._index.train(sample_ND)

    def add(self, embeddings_ND: Embeddings) -> None:
        """See Finder."""
        faiss.omp_set_num_threads(1)
        self._index.add(embeddings_ND)

    def erase(self, positions: Sequence[int]) -> int:
        """See Finder: not without breaking the graph."""
        return len(positions)

    def count(self, rows: int) -> int:
        """See Finder."""
        return max(_FEWEST, 2 * rows)

    def search(self, probes_BD: Embeddings, count: int) -> Numbers:
        """See Finder."""
        faiss.omp_set_num_threads(1)
        breadth = _faiss.SearchParametersHNSW(efSearch=max(SEARCH_BREADTH, 2 * count))
        found_BK: Numbers = self._index.search(probes_BD, count, params=breadth)[1]
        return found_BK
