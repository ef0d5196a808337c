"""Rows as two bits a dimension, by FAISS's fast scan: RaBitQ (arXiv 2405.12497, 2409.09913).

Shapes: B probes, N rows, K positions found, D embedding size.
"""

from collections.abc import Sequence
from typing import Any, Final, Self

import faiss
import numpy as np

from index.records import Embeddings, Numbers

_faiss: Any = faiss  # Its stubs lack what is used of it here.

# Two bits find the best row of face-like embeddings among the first 128 also where it is a
# stranger's; one bit, twice as fast, misses one stranger in ten. See benchmarks/search.py.
BITS: Final = 2
FEWEST: Final = 128
_EACH: Final = 8  # Positions for each row that is asked for, if that is more.
_BLOCK: Final = 32  # Rows that the fast scan takes at once.
# Farther than half precision reaches from anywhere in it.
_FAR: Final = 2.0**20


class Rabitq:
    """Finder by IndexRaBitQFastScan behind a random rotation, which RaBitQ's error bound asks for.

    FAISS's row 0 is nobody's: its code says "far away from everything", and is written over the
    code of whoever is erased. Zeros would say "at the centre", so nearer than any stranger.
    """

    kind = "rabitq"
    bulk = 4096

    def __init__(self, size: int) -> None:
        """size: D."""
        rotation = faiss.RandomRotationMatrix(size, size)
        rotation.init(0)
        scan = _faiss.IndexRaBitQFastScan(size, faiss.METRIC_L2, _BLOCK, BITS)
        self._index = _faiss.IndexPreTransform(rotation, scan)
        self._scan = scan

    @classmethod
    def loaded(cls, index: Any, size: int) -> Self:
        """Over what a snapshot held. ValueError: not an index of ours."""
        scan: Any = faiss.downcast_index(index.index) if hasattr(index, "chain") else None
        if (
            not isinstance(scan, _faiss.IndexRaBitQFastScan)
            or (index.d, scan.d, scan.bbs) != (size, size, _BLOCK)
            or scan.rabitq.nb_bits != BITS
            or scan.ntotal < 1
        ):
            raise ValueError("Not a RaBitQ index of this size.")
        finder = cls(size)
        finder._index, finder._scan = index, scan
        return finder

    @property
    def index(self) -> Any:
        """See Finder."""
        return self._index

    def __len__(self) -> int:
        return int(self._scan.ntotal) - 1

    def train(self, sample_ND: Embeddings) -> None:
        """See Finder: RaBitQ learns the centre."""
        faiss.omp_set_num_threads(1)
        self._index.train(sample_ND)
        self._index.add(np.full((1, self._index.d), _FAR, dtype=np.float32))

    def add(self, embeddings_ND: Embeddings) -> None:
        """See Finder."""
        faiss.omp_set_num_threads(1)
        self._index.add(embeddings_ND)

    def erase(self, positions: Sequence[int]) -> int:
        """See Finder."""
        packer, codes = self._scan.get_CodePacker(), self._scan.codes.get()
        nobody = np.zeros(packer.code_size, dtype=np.uint8)
        packer.unpack_1_c(codes, 0, faiss.swig_ptr(nobody))
        code = faiss.swig_ptr(nobody)
        for position in positions:
            packer.pack_1_c(code, position + 1, codes)
        return 0

    def count(self, rows: int) -> int:
        """See Finder."""
        return max(FEWEST, _EACH * rows)

    def search(self, probes_BD: Embeddings, count: int) -> Numbers:
        """See Finder."""
        faiss.omp_set_num_threads(1)
        _, found_BK = self._index.search(probes_BD, count)
        positions_BK: Numbers = np.maximum(found_BK - 1, -1)
        return positions_BK
