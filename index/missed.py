"""FNIR of subjects with all their templates, from searches that leave one of them out.

A subject of m templates is searched by m - 1 of them, but by all m later, so that leave-one-out
alone says too many misses: on faces, with five templates a subject, an eighth too many. What m
would miss follows from how misses fall with the number of templates. A probe misses k templates of
its subject with probability q^k, where q is the chance that one of them is too far from it; over
all probes FNIR(k) = E[q^k]. Leaving one, two or three out of m gives three members of that
sequence, with nothing assumed. Its ratios r_k = FNIR(k) / FNIR(k - 1) rise with k, and if q has a
beta distribution, 1 / (1 - r_k) rises along a straight line; so the next ratio is taken from there,
and never below the last one. The result lies between FNIR(m - 1) r_(m-1), the least that is
possible, and FNIR(m - 1).

It is for subjects that score by their best template and have three or more; others stay as they
are, rather too high.

Shapes: S mated searches, T non-mated ones, U subjects, R replicates, F targets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.calibration.intervals import REPLICATES, draw_counts, interval, upper_bound
from contract.calibration.records import Estimate
from contract.calibration.searches import Searches, allowed_errors, threshold_at

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatedSearches:
    """Searches for templates among the others of their subjects.

    own_S3: similarities of the three best other templates of the subject, falling; -1 where there
    are fewer. others_S: how many there are, 1 where they are scored as one. other_S: best
    similarity of another subject.
    """

    own_S3: Floats
    others_S: Numbers
    other_S: Floats


def missed(
    searches: Searches,
    mated: MatedSearches,
    fpirs: Sequence[float],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    tell: Callable[[float], None] = lambda _: None,
) -> list[Estimate]:
    """FNIR at each target FPIR, with its 95 % interval by a bootstrap over subjects.

    Each replicate draws subjects with all their searches, and computes threshold and FNIR anew.
    The interval never ends below what no miss at all would show, about 3 / subjects: the bootstrap
    knows only misses that it saw. tell: hears the share that is done, and may raise to stop.
    Raises ValueError without mated searches.
    """
    if not len(searches.rank_S):
        raise ValueError("FNIR needs mated searches, and there are none.")
    subjects_U, of = np.unique(
        np.concatenate([searches.mated_subject_S, searches.nonmated_subject_T]), return_inverse=True
    )
    of_S, of_T = of[: len(searches.rank_S)], of[len(searches.rank_S) :]
    strata_U = np.isin(np.arange(len(subjects_U)), of_S)
    counts_RU = draw_counts(strata_U, replicates=replicates, seed=seed)
    order_T = np.argsort(-searches.best_T)
    best_T = searches.best_T[order_T]
    drawn_RF = np.full((replicates, len(fpirs)), np.nan)
    for i, counts_U in enumerate(counts_RU):
        tell(i / replicates)
        reached_T = np.cumsum(counts_U[of_T[order_T]])
        if not reached_T[-1]:
            continue
        for j, fpir in enumerate(fpirs):
            place = np.searchsorted(
                reached_T, allowed_errors(int(reached_T[-1]), fpir), side="right"
            )
            threshold = 0.0 if place == len(best_T) else float(np.nextafter(best_T[place], 2.0))
            drawn_RF[i, j] = fnir(mated, threshold, counts_U[of_S])
    room = upper_bound(0, searches.mated_subjects)
    made = []
    for j, fpir in enumerate(fpirs):
        at = threshold_at(searches.best_T, fpir)
        equal_S = np.ones(len(of_S), dtype=np.int32)
        value = fnir(mated, 2.0 if at is None else at, equal_S)
        found = interval(value, drawn_RF[:, j])
        made.append(found.model_copy(update={"high95": max(found.high95, room)}))
    return made


def missed_at(
    mated: MatedSearches,
    subject_S: Numbers,
    thresholds: Sequence[float],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> list[Estimate]:
    """FNIR at each threshold, with its 95 % interval by a bootstrap over subjects.

    As `missed`, for thresholds that stay what they are in each replicate. Raises ValueError without
    mated searches.
    """
    if not len(subject_S):
        raise ValueError("FNIR needs mated searches, and there are none.")
    subjects_U, of_S = np.unique(subject_S, return_inverse=True)
    counts_RU = draw_counts(
        np.ones(len(subjects_U), dtype=bool), replicates=replicates, seed=seed
    ).astype(np.float64)
    room = upper_bound(0, len(subjects_U))
    made = []
    for threshold in thresholds:
        parts_S6 = _parts(mated, threshold)
        sums_U6 = np.stack([np.bincount(of_S, weights=part) for part in parts_S6.T], axis=1)
        found = interval(float(_combined(sums_U6.sum(axis=0))), _combined(counts_RU @ sums_U6))
        made.append(found.model_copy(update={"high95": max(found.high95, room)}))
    return made


def fnir(mated: MatedSearches, threshold: float, weight_S: npt.NDArray[np.int32]) -> float:
    """FNIR with all templates at a threshold, of searches that count so often."""
    return float(_combined(weight_S @ _parts(mated, threshold)))


def _parts(mated: MatedSearches, threshold: float) -> Floats:
    """What FNIR is a sum and a quotient of, float64 (S, 6).

    Of searches with one other template: that it is missed, and that it is a search. Of others: that
    it is missed without one, without two and without three, and that it is a search.
    """
    least_S = np.maximum(threshold, np.nextafter(mated.other_S, 2.0))
    below_S3 = mated.own_S3 < least_S[:, None]
    one_S = below_S3[:, 0].astype(np.float64)
    # How many of the n others are below: all of them, all but one, all but two. Of the sets of
    # n - 1 and of n - 2 of them, so many lie below as a whole.
    n_S = np.maximum(mated.others_S, 2)
    but_one_S = below_S3[:, 1] & ~below_S3[:, 0]
    but_two_S = below_S3[:, 2] & ~below_S3[:, 1]
    two_S = one_S + but_one_S / n_S
    three_S = one_S + but_one_S * 2 / n_S + but_two_S * 2 / (n_S * (n_S - 1))
    many_S = (mated.others_S >= 2).astype(np.float64)
    few_S = 1 - many_S
    return np.stack(
        [few_S * one_S, few_S, many_S * one_S, many_S * two_S, many_S * three_S, many_S], axis=1
    )


def _combined(sums_X6: Floats) -> Floats:
    """FNIR of sums of such parts, (X,)."""
    few_missed, few, one, two, three, many = np.moveaxis(sums_X6, -1, 0)
    each = np.maximum(many, 1.0)
    total = few_missed + many * with_all(one / each, two / each, three / each)
    return np.asarray(total / (few + many))


def with_all(
    without_one: Floats | float, without_two: Floats | float, without_three: Floats | float
) -> Floats:
    """FNIR with all templates from FNIR without one, two and three of them, of any one shape."""
    one, two, three = (np.asarray(f, np.float64) for f in (without_one, without_two, without_three))
    falls, fell = (one > 0) & (one < two), two < three
    last = 1 / (1 - np.divide(one, two, out=np.zeros_like(one), where=falls))
    before = 1 / (1 - np.divide(two, three, out=np.zeros_like(one), where=fell))
    before = np.where(fell, before, last)
    return np.where(falls, one * (1 - 1 / np.maximum(last, 2 * last - before)), one)
