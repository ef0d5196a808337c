"""One person under two labels: identities that a calibration is better off without.

A search for a stranger who is enrolled under another name counts as an error of the network, so
that thresholds come out stricter than they state. Two identities are taken for one person where
an image of each is at least as alike as two images of one identity are in the middle: nothing is
looked at but the data that are calibrated on. Some doubles stay in, and look-alikes past that limit
go with the others; there have to be few of these, or thresholds come out too low.

Shapes: N images, D embedding size, P pairs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.similarity import distance_from_similarity
from training.evaluation.distances import pair_similarities, row_pieces, squared_distances
from training.evaluation.open_set import TooFewError

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

# Of identities with two images, so that their middle says something.
IDENTITIES_LEAST = 30
# Of the identities: where more than this look like others, the network cannot tell people apart.
SHARE_MOST = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Doubles:
    """similarity: from which two identities are one person. pairs: of such identities, (P, 2).

    left_out: one of each pair, that of fewer images, ascending.
    """

    similarity: float
    pairs: Indices
    left_out: Indices


def find_doubles(embeddings_ND: Floats, labels_N: Indices, *, d_max: float) -> Doubles:
    """Who looks like somebody else. Raises TooFewError where the data cannot say."""
    similarity = _usual_similarity(embeddings_ND, labels_N, d_max)
    distance = float(distance_from_similarity(np.array(similarity), d_max))
    pairs = _alike(embeddings_ND, labels_N, distance)
    identities, counts = np.unique(labels_N, return_counts=True)
    images = dict(zip(identities.tolist(), counts.tolist(), strict=True))
    left_out: set[int] = set()
    for one, other in pairs.tolist():
        if not left_out & {one, other}:
            left_out.add(one if images[one] < images[other] else other)
    if len(left_out) > SHARE_MOST * len(identities):
        raise TooFewError(
            f"{len(left_out)} of {len(identities)} identities look like others: the network cannot "
            "tell them apart well enough to say who is there twice."
        )
    return Doubles(
        similarity=similarity, pairs=pairs, left_out=np.array(sorted(left_out), dtype=np.int64)
    )


def _usual_similarity(embeddings_ND: Floats, labels_N: Indices, d_max: float) -> float:
    """The middle one over identities of the middle one over pairs of its images."""
    order = np.argsort(labels_N, kind="stable")
    _, starts, counts = np.unique(labels_N[order], return_index=True, return_counts=True)
    several = np.flatnonzero(counts > 1)
    if len(several) < IDENTITIES_LEAST:
        raise TooFewError(
            f"{len(several)} identities have two images, {IDENTITIES_LEAST} are needed to say how "
            "alike images of one person are."
        )
    middles = []
    for start, count in zip(starts[several], counts[several], strict=True):
        first, second = np.triu_indices(count, 1)
        rows = order[start : start + count]
        found = pair_similarities(embeddings_ND, rows[first], rows[second], d_max=d_max)
        middles.append(np.median(found))
    return float(np.median(middles))


def _alike(embeddings_ND: Floats, labels_N: Indices, distance: float) -> Indices:
    """Pairs of identities with an image each that are no further apart, (P, 2), each once."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for piece in row_pieces(len(embeddings_ND), len(embeddings_ND)):
        near = squared_distances(embeddings_ND[piece], embeddings_ND) <= distance**2
        near &= labels_N[piece, None] < labels_N[None, :]
        rows, columns = np.nonzero(near)
        found.append(np.stack([labels_N[piece][rows], labels_N[columns]], axis=1))
    return np.unique(np.concatenate(found), axis=0)
