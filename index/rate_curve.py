"""From a collection's searches of itself to the rates of every threshold.

Shapes: S mated and T non-mated searches.
"""

import functools
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from contract.calibration.curve import STEPS, CurvePoint, RateCurve
from contract.calibration.intervals import REPLICATES, upper_bound
from contract.calibration.operating_points import MATED_SUBJECTS_LEAST
from contract.calibration.records import Estimate
from contract.calibration.searches import Similarities, fpir_at
from index.calibrating import SelfSearch
from index.missed import missed_at

THRESHOLDS: Final = tuple(i / STEPS for i in range(STEPS + 1))


def rate_curve(search: SelfSearch, *, replicates: int = REPLICATES) -> RateCurve:
    """Of searches that a calibration was made of. replicates: of FNIR's intervals."""
    searches = search.searches
    fnirs: Sequence[Estimate | None] = [None] * len(THRESHOLDS)
    if searches.mated_subjects >= MATED_SUBJECTS_LEAST:
        fnirs = missed_at(search.mated, searches.mated_subject_S, THRESHOLDS, replicates=replicates)
    bound = functools.cache(upper_bound)
    strangers = searches.nonmated_subjects
    points = []
    for threshold, fnir in zip(THRESHOLDS, fnirs, strict=True):
        fpir = fpir_at(searches, threshold)
        upper = bound(math.ceil(fpir * strangers - 1e-9), strangers)
        points.append(CurvePoint(threshold=threshold, fpir=fpir, fpir_upper95=upper, fnir=fnir))
    first_S = searches.rank_S == 1
    return RateCurve(
        points=points,
        mated=_counts(searches.similarity_S[first_S]),
        nonmated=_counts(searches.best_T),
        mated_not_first=int((~first_S).sum()),
    )


def _counts(similarities: Similarities) -> list[int]:
    """How many lie in each part; one on an edge belongs above it, as a threshold has it."""
    part = np.searchsorted(THRESHOLDS, similarities, side="right") - 1
    return [int(n) for n in np.bincount(np.clip(part, 0, STEPS - 1), minlength=STEPS)]
