"""How the embeddings of one generation are turned before they are stored, and back.

Distances are what they were, up to the rounding of float32; so everything that compares stored
embeddings with one another works on them as they are. What comes in from outside is turned first,
what goes out is turned back.
Shapes: M rows, D embedding size.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from index.checks import NUMBER_MAX
from index.protection.rotation import Matrix
from index.records import Embeddings

# A row that was turned back and turned again is off by a few roundings of float32.
SAME_WITHIN: Final = 2.0**-20


@dataclass(frozen=True, slots=True)
class Protection:
    """label: what is stored of it, "" for none; see index/protection/label.py. Two of one label
    are the same. matrix_DD: orthogonal, and secret; None where embeddings are stored as they are.
    """

    label: str
    matrix_DD: Matrix | None = field(default=None, repr=False, compare=False)

    def protect(self, embeddings_MD: Embeddings) -> Embeddings:
        """Checked embeddings, float32 (M, D), as they are stored.

        Raises ValueError: one is longer than any index holds once it is turned.
        """
        if self.matrix_DD is None:
            return embeddings_MD
        turned_MD = _turned(self.matrix_DD, embeddings_MD)
        if np.abs(turned_MD).max(initial=0.0) > NUMBER_MAX:
            raise ValueError(
                f"An embedding of a protected collection may be up to {NUMBER_MAX:g} long: scale "
                "the embedding space down."
            )
        return turned_MD

    def plain(self, stored_MD: Embeddings) -> Embeddings:
        """Stored embeddings, float32 (M, D), as they came in, up to a rounding of float32."""
        return stored_MD if self.matrix_DD is None else _turned(self.matrix_DD.T, stored_MD)

    def same(self, stored_D: Embeddings, given_D: Embeddings) -> bool:
        """Whether an embedding that comes in as `given_D` is the one stored as `stored_D`.

        Bit for bit where they are stored as they are, else up to the roundings on the way.
        """
        if self.matrix_DD is None:
            return stored_D.tobytes() == given_D.tobytes()
        kept, new = stored_D.astype(np.float64), self.protect(given_D[None])[0].astype(np.float64)
        return float(np.linalg.norm(kept - new)) <= SAME_WITHIN * float(np.linalg.norm(kept))


PLAIN: Final = Protection("")


def _turned(matrix_DD: Matrix, rows_MD: Embeddings) -> Embeddings:
    # Row by row: the product of a whole batch may round another way, and the same photo is to be
    # the same bits, whoever comes with it.
    turned = np.empty(rows_MD.shape, dtype=np.float32)
    for place, row_D in enumerate(rows_MD.astype(np.float64)):
        turned[place] = matrix_DD @ row_D
    return turned
