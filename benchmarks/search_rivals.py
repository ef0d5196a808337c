"""hnswlib and usearch behind one call, to search beside ours. One thread each."""

from typing import Final, Protocol

import hnswlib
import numpy as np
from usearch.index import Index

from index.records import Embeddings

# hnswlib's usual M and ef_construction; its breadth of search is that of our own graphs.
_M: Final = 16
_BUILD_BREADTH: Final = 100
_SEARCH_BREADTH: Final = 128


class Rival(Protocol):
    """An index that is filled once and then searched."""

    def add(self, embeddings_ND: Embeddings) -> None:
        """Append rows."""

    def nearest(self, probe_1D: Embeddings) -> int:
        """Place of the row nearest to one probe, float32 (1, D)."""


class Hnswlib:
    """float32 rows and links."""

    def __init__(self, size: int, count: int) -> None:
        """size: D. count: N, to be."""
        self._index = hnswlib.Index("l2", size)
        self._index.init_index(count, ef_construction=_BUILD_BREADTH, M=_M)
        self._index.set_ef(_SEARCH_BREADTH)
        self._index.set_num_threads(1)

    def add(self, embeddings_ND: Embeddings) -> None:
        """See Rival."""
        self._index.add_items(embeddings_ND)

    def nearest(self, probe_1D: Embeddings) -> int:
        """See Rival."""
        return int(self._index.knn_query(probe_1D, k=1)[0][0, 0])


class Usearch:
    """Half-precision rows and links."""

    def __init__(self, size: int, count: int) -> None:
        """size: D. count: N, not needed."""
        self._index = Index(
            ndim=size,
            metric="l2sq",
            dtype="f16",
            connectivity=_M,
            expansion_add=_BUILD_BREADTH,
            expansion_search=_SEARCH_BREADTH,
        )

    def add(self, embeddings_ND: Embeddings) -> None:
        """See Rival."""
        first = len(self._index)
        self._index.add(np.arange(first, first + len(embeddings_ND)), embeddings_ND, threads=1)

    def nearest(self, probe_1D: Embeddings) -> int:
        """See Rival."""
        return int(self._index.search(probe_1D[0], 1, threads=1).keys[0])


RIVALS: Final[dict[str, type[Hnswlib] | type[Usearch]]] = {"hnswlib": Hnswlib, "usearch": Usearch}
