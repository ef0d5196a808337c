"""Uncertainty: bootstrap over subjects, and the exact bound on a rate that was counted.

The images of a subject are alike, so that many searches of few subjects say little: each replicate
draws subjects with replacement, with all their searches, mated and non-mated, and computes its
threshold and then its rate anew. Subjects that were mated in some draw and all others are drawn
apart, so that no replicate is without mated searches. Galleries are not drawn again: their chance
is in the several draws of `Searches`.

Shapes: R replicates, U subjects, S mated and T non-mated searches, F target rates.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from contract.calibration.records import Estimate
from contract.calibration.searches import Searches, allowed_errors

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int32]

# Zero errors in n independent trials bound the rate at 3 / n (95 %): the rule of three.
RULE_OF_THREE = 3
REPLICATES = 1_000
CONFIDENCE = 0.95
# Numbers of one piece of replicates: 16 MB in int32.
PIECE = 2**22


def fnir_replicates(
    searches: Searches, fpirs: Sequence[float], *, replicates: int = REPLICATES, seed: int = 0
) -> Floats:
    """FNIR at each target FPIR in each replicate, float64 (R, F).

    A replicate without any stranger (there are few of them, and all mated in other draws) is NaN.
    """
    subjects_U, of = np.unique(
        np.concatenate([searches.mated_subject_S, searches.nonmated_subject_T]), return_inverse=True
    )
    mated, nonmated = of[: len(searches.rank_S)], of[len(searches.rank_S) :]
    strata_U = np.isin(np.arange(len(subjects_U)), mated)
    counts_RU = draw_counts(strata_U, replicates=replicates, seed=seed)

    best_order, found_order = np.argsort(-searches.best_T), np.argsort(searches.found_S)
    best, found = searches.best_T[best_order], searches.found_S[found_order]
    step = max(1, PIECE // max(len(best), len(found)))
    out = np.full((replicates, len(fpirs)), np.nan)
    for start in range(0, replicates, step):
        counts = counts_RU[start : start + step]
        accepted_RT = np.cumsum(counts[:, nonmated[best_order]], axis=1, dtype=np.int32)
        missed_RS = np.cumsum(counts[:, mated[found_order]], axis=1, dtype=np.int32)
        for i, (accepted, missed) in enumerate(zip(accepted_RT, missed_RS, strict=True)):
            if accepted[-1]:
                thresholds = [_threshold(accepted, best, fpir) for fpir in fpirs]
                below = np.concatenate([[0], missed])[np.searchsorted(found, thresholds)]
                out[start + i] = below / missed[-1]
    return out


def _threshold(accepted_T: Counts, best_T: Floats, fpir: float) -> float:
    """As `threshold_at`, of searches that count so often, best first; above 1 nothing is found."""
    allowed = np.int32(allowed_errors(int(accepted_T[-1]), fpir))
    refused = int(np.searchsorted(accepted_T, allowed, side="right"))
    return 0.0 if refused == len(best_T) else float(np.nextafter(best_T[refused], 2.0))


def share_interval(
    hit_S: npt.NDArray[np.bool_], subject_S: Indices, *, replicates: int = REPLICATES, seed: int = 0
) -> Estimate:
    """Share of hits among searches, with its interval by subject. Raises ValueError without any."""
    if not len(hit_S):
        raise ValueError("A share needs searches, and there are none.")
    _, of = np.unique(subject_S, return_inverse=True)
    hits_U, all_U = np.bincount(of, weights=hit_S), np.bincount(of)
    counts_RU = draw_counts(np.ones(len(all_U), dtype=bool), replicates=replicates, seed=seed)
    return interval(float(hit_S.mean()), (counts_RU @ hits_U) / (counts_RU @ all_U))


def draw_counts(strata_U: npt.NDArray[np.bool_], *, replicates: int, seed: int) -> Counts:
    """How often each subject is drawn, int32 (R, U); as many of each stratum as it has."""
    rng = np.random.default_rng(seed)
    counts_RU = np.zeros((replicates, len(strata_U)), dtype=np.int32)
    for stratum in (True, False):
        members = np.flatnonzero(strata_U == stratum)
        if len(members):
            equal = np.full(len(members), 1 / len(members))
            counts_RU[:, members] = rng.multinomial(len(members), equal, size=replicates)
    return counts_RU


def interval(value: float, replicates_R: Floats) -> Estimate:
    """The middle 95 % of the replicates that are not NaN, widened to hold the value itself."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(replicates_R, [tail, 1 - tail])
    return Estimate(value=value, low95=min(float(low), value), high95=max(float(high), value))


def upper_bound(errors: int, trials: int) -> float:
    """One-sided 95 % bound of Clopper and Pearson on a rate with so many errors in `trials`.

    Without errors it is about 3 / trials, the rule of three. Raises ValueError without trials.
    """
    if not 0 <= errors <= trials or not trials:
        raise ValueError(f"{errors} errors in {trials} trials are no rate.")
    if errors == trials:
        return 1.0
    k = np.arange(errors + 1)
    ways = np.array(
        [math.lgamma(trials + 1) - math.lgamma(i + 1) - math.lgamma(trials - i + 1) for i in k]
    )
    low, high = errors / trials, 1.0
    while high - low > 1e-12:
        p = (low + high) / 2
        if p in (low, high):
            break
        so_few = np.exp(ways + k * math.log(p) + (trials - k) * math.log1p(-p)).sum()
        low, high = (p, high) if so_few > 1 - CONFIDENCE else (low, p)
    return high
