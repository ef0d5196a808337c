"""Euclidean distances of many embeddings to many, a bounded piece at a time.

Shapes: A and B embeddings, P pairs, D embedding size.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from contract.similarity import similarity_from_distance

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

# Numbers of one piece: 32 MB in float64.
PIECE = 2**22
# What rounding leaves of the squared distance of equal embeddings, as a share of their norms.
ROUNDING = 1e-13


def squared_distances(a_AD: Floats, b_BD: Floats) -> npt.NDArray[np.float64]:
    """Squared Euclidean distances, float64 (A, B), exactly 0 where embeddings are equal.

    Distances below about 4e-7 of the embeddings' norm count as 0, so that a network that sends
    everything to one point makes ties and no lucky order. Raises ValueError where an embedding is
    not finite.
    """
    a, b = a_AD.astype(np.float64), b_BD.astype(np.float64)
    norms_AB = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :]
    if not np.isfinite(norms_AB).all():
        raise ValueError("An embedding is not finite: the network is of no use as it is.")
    squares_AB: npt.NDArray[np.float64] = norms_AB - 2 * (a @ b.T)
    squares_AB[squares_AB <= ROUNDING * norms_AB] = 0.0
    return squares_AB


def row_pieces(rows: int, columns: int) -> Iterator[slice]:
    """Slices of `rows` whose products with `columns` stay within PIECE numbers."""
    step = max(1, PIECE // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def pair_similarities(
    embeddings_ND: Floats, first_P: Indices, second_P: Indices, *, d_max: float
) -> npt.NDArray[np.float64]:
    """Similarity of each pair of rows, float64 (P,). Raises ValueError if one is not finite."""
    distances_P = np.empty(len(first_P))
    for piece in row_pieces(len(first_P), embeddings_ND.shape[1]):
        moved = embeddings_ND[first_P[piece]].astype(np.float64) - embeddings_ND[second_P[piece]]
        distances_P[piece] = np.sqrt((moved**2).sum(axis=1))
    if not np.isfinite(distances_P).all():
        raise ValueError("An embedding is not finite: the network is of no use as it is.")
    return similarity_from_distance(distances_P, d_max).astype(np.float64)
