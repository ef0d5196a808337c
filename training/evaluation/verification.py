"""1:1 verification: are two images of one identity?

Shapes: P pairs, N images, D embedding size.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedAccuracy:
    """Accuracy in [0, 1] over folds: mean, its standard error, pairs counted."""

    mean: float
    standard_error: float
    pairs: int


def folded_accuracy(
    scores_P: Floats, mated_P: Bools, folds_P: npt.NDArray[np.int64]
) -> FoldedAccuracy:
    """Accuracy of each fold at the threshold that is best on the other folds (LFW, View 2).

    A pair is accepted at score >= threshold; a NaN score (a face could not be acquired) is an
    error whatever the threshold. Raises ValueError with fewer than two folds.
    """
    folds = np.unique(folds_P)
    if len(folds) < 2:
        raise ValueError(f"Accuracy over folds needs pairs in two of them, not in {len(folds)}.")
    accuracies = []
    for fold in folds:
        test = folds_P == fold
        threshold = best_threshold(scores_P[~test], mated_P[~test])
        accuracies.append(accuracy_at(threshold, scores_P[test], mated_P[test]))
    return FoldedAccuracy(
        mean=float(np.mean(accuracies)),
        standard_error=float(np.std(accuracies, ddof=1) / np.sqrt(len(accuracies))),
        pairs=len(scores_P),
    )


def accuracy_at(threshold: float, scores_P: Floats, mated_P: Bools) -> float:
    """Share of pairs decided rightly at `threshold`; NaN scores are decided wrongly."""
    right = ((scores_P >= threshold) == mated_P) & ~np.isnan(scores_P)
    return float(right.mean())


def best_threshold(scores_P: Floats, mated_P: Bools) -> float:
    """The threshold of highest accuracy: midway between two neighbouring scores.

    Raises ValueError if all scores are NaN.
    """
    usable = ~np.isnan(scores_P)
    if not usable.any():
        raise ValueError("A threshold needs pairs with a score, and there are none.")
    order = np.argsort(scores_P[usable])
    scores, mated = scores_P[usable][order], mated_P[usable][order]
    # Cut i accepts scores[i:]: non-mated below the cut and mated above it are right.
    right = np.concatenate([[0], np.cumsum(~mated)]) + np.concatenate(
        [np.cumsum(mated[::-1])[::-1], [0]]
    )
    # Equal scores are accepted together: no threshold cuts between them.
    right[1:-1][scores[1:] == scores[:-1]] = -1
    # Midway between neighbouring floats is one of them: the upper one, to cut between them.
    middles = np.maximum((scores[1:] + scores[:-1]) / 2, np.nextafter(scores[:-1], np.inf))
    edges = np.concatenate([[scores[0] - 1e-6], middles, [scores[-1] + 1e-6]])
    return float(edges[int(np.argmax(right))])


def pair_auc(embeddings_ND: Floats, labels_N: npt.NDArray[np.int64]) -> float:
    """Share of (mated, non-mated) couples of pairs in which the mated pair is nearer.

    A tie counts half. Raises ValueError unless there are pairs of both kinds.
    """
    wide = embeddings_ND.astype(np.float32)
    squares = (wide**2).sum(1)
    distances = squares[:, None] + squares[None, :] - 2 * wide @ wide.T
    upper = np.triu_indices(len(wide), k=1)
    distance, mated = distances[upper], (labels_N[:, None] == labels_N[None, :])[upper]
    if mated.all() or not mated.any():
        raise ValueError("Both mated and non-mated pairs are needed.")
    _, inverse, counts = np.unique(-distance, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # equal distances share a rank
    positives = int(mated.sum())
    above = ranks[mated].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(distance) - positives)))
