"""Pairs of images for 1:1 verification, a bounded number of them.

Shapes: N images, P pairs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.evaluation.distances import pair_similarities
from training.evaluation.roc import (
    FAR,
    EqualError,
    RocCurve,
    TarAtFar,
    equal_error,
    roc_curve,
    tar_at_far,
)

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

MATED_MOST = 200_000
NONMATED_MOST = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VerificationResult:
    """1:1 verification of pairs of images. tar_at_far: at FAR 1e-3, None where the pairs are too
    few. data: which images, in words."""

    curve: RocCurve
    equal_error: EqualError
    tar_at_far: TarAtFar | None
    data: str


def verify_pairs(
    embeddings_ND: Floats, labels_N: Indices, *, d_max: float, seed: int, data: str
) -> VerificationResult | None:
    """Verification over `draw_pairs`; None where the images make pairs of one kind only."""
    first_P, second_P = draw_pairs(labels_N, seed=seed)
    mated_P = labels_N[first_P] == labels_N[second_P]
    if mated_P.all() or not mated_P.any():
        return None
    curve = roc_curve(pair_similarities(embeddings_ND, first_P, second_P, d_max=d_max), mated_P)
    return VerificationResult(
        curve=curve, equal_error=equal_error(curve), tar_at_far=tar_at_far(curve, FAR), data=data
    )


def draw_pairs(
    labels_N: Indices,
    *,
    seed: int,
    mated_most: int = MATED_MOST,
    nonmated_most: int = NONMATED_MOST,
) -> tuple[Indices, Indices]:
    """Rows of the two images of each pair, (P,) each, no pair twice and none of an image with
    itself, the mated ones first.

    All pairs of a kind where there are at most `mated_most` or `nonmated_most` of them, else so
    many drawn with `seed`, each equally likely.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(labels_N, kind="stable")
    _, counts = np.unique(labels_N, return_counts=True)
    count = len(labels_N)
    # Pairs are numbered; in order of labels, image i > j of one group are pair i (i - 1) / 2 + j.
    mated_of = counts * (counts - 1) // 2
    chosen = _sample(int(mated_of.sum()), mated_most, rng)
    ends = np.cumsum(mated_of)
    group = np.searchsorted(ends, chosen, side="right")
    upper, lower = _unnumbered(chosen - (ends - mated_of)[group])
    start = (np.cumsum(counts) - counts)[group]
    mated_first, mated_second = order[start + upper], order[start + lower]

    total, nonmated = count * (count - 1) // 2, count * (count - 1) // 2 - int(mated_of.sum())
    # Of all pairs, so many more than asked that enough non-mated ones are left.
    asked = nonmated_most * total // max(1, nonmated) * 6 // 5 + 100
    upper, lower = _unnumbered(rng.permutation(_sample(total, asked, rng)))
    apart = np.flatnonzero(labels_N[upper] != labels_N[lower])[:nonmated_most]
    return (
        np.concatenate([mated_first, upper[apart]]),
        np.concatenate([mated_second, lower[apart]]),
    )


def _sample(total: int, most: int, rng: np.random.Generator) -> Indices:
    """At most `most` different numbers below `total`, ascending."""
    if total <= most:
        return np.arange(total, dtype=np.int64)
    # Drawn with repeats and made unique until enough: `choice` may shuffle all of them.
    found = np.empty(0, dtype=np.int64)
    while len(found) < most:
        found = np.sort(np.concatenate([found, rng.integers(0, total, most)]))
        found = found[np.append(True, np.diff(found) > 0)]
    return np.sort(rng.permutation(found)[:most])


def _unnumbered(number_P: Indices) -> tuple[Indices, Indices]:
    """(i, j) with i > j and i (i - 1) / 2 + j = number; the root is exact for i below 2**26."""
    upper = ((1 + np.sqrt(1 + 8 * number_P.astype(np.float64))) // 2).astype(np.int64)
    return upper, number_P - upper * (upper - 1) // 2
