"""What open-set searches gave, and the error rates of a threshold among them.

A mated search is a miss unless its own subject is at rank 1 with similarity >= threshold: what the
service answers. (FNIR without the rank condition would count the right subject in second place
below somebody else as found; the service would name the wrong one.) A non-mated search is an error
when its best candidate reaches the threshold. Thresholds come from the maxima of whole searches,
never from pooled pairs (ISO/IEC 19795-1).

Shapes: S mated and T non-mated searches.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Similarities = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searches:
    """Searches in galleries of `gallery_subjects` subjects with `enrolled` templates each.

    mated_subject_S, nonmated_subject_T: whom the probe shows (labels of the images).
    similarity_S: to the probe's own subject. rank_S: of that subject, 1 is best.
    best_T: similarity of the best candidate of a non-mated search.
    Each draw has as many subjects of either kind: `mated_subjects`, `nonmated_subjects`.
    """

    gallery_subjects: int
    enrolled: int
    draws: int
    mated_subjects: int
    nonmated_subjects: int
    mated_subject_S: Indices
    similarity_S: Similarities
    rank_S: Indices
    nonmated_subject_T: Indices
    best_T: Similarities

    @property
    def found_S(self) -> Similarities:  # noqa: N802 - a shape suffix
        """Up to which threshold a mated search finds its subject; -1 where another is before it."""
        return np.where(self.rank_S == 1, self.similarity_S, -1.0)


def threshold_at(best_T: Similarities, fpir: float) -> float | None:
    """The smallest threshold that at most a share `fpir` of non-mated searches reaches.

    None where there is none up to 1, since too many reach similarity 1. Raises ValueError without
    searches.
    """
    if not len(best_T):
        raise ValueError("A threshold needs non-mated searches, and there are none.")
    allowed = allowed_errors(len(best_T), fpir)
    if allowed >= len(best_T):
        return 0.0
    # Just above the first maximum that must be refused.
    threshold = float(np.nextafter(np.sort(best_T)[::-1][allowed], 2.0))
    return threshold if threshold <= 1.0 else None


def allowed_errors(searches: int, fpir: float) -> int:
    """Non-mated searches that may be accepted: floor(fpir * searches), safe from rounding."""
    return int(np.floor(fpir * searches + 1e-9))


def fpir_at(searches: Searches, threshold: float) -> float:
    """Share of the non-mated searches that reach `threshold`. Raises ValueError without any."""
    if not len(searches.best_T):
        raise ValueError("FPIR needs non-mated searches, and there are none.")
    return float((searches.best_T >= threshold).mean())


def fnir_at(searches: Searches, threshold: float) -> float:
    """Share of the mated searches that miss at `threshold`. Raises ValueError without any."""
    if not len(searches.rank_S):
        raise ValueError("FNIR needs mated searches, and there are none.")
    return float((searches.found_S < threshold).mean())
