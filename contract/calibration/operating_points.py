"""From searches to what may be stated of them, or why it may not.

Two rules decide. Threshold and FPIR need 3 / FPIR strangers, since zero errors in n searches bound
a rate at 3 / n (95 %), and searches for one stranger are not independent: strangers are counted,
not searches. FNIR needs ten mated subjects: a bootstrap over fewer is too narrow.
"""

import math
from collections.abc import Sequence

from contract.calibration.intervals import (
    REPLICATES,
    RULE_OF_THREE,
    fnir_replicates,
    interval,
    upper_bound,
)
from contract.calibration.records import (
    GalleryCalibration,
    OperatingPoint,
    TailPoint,
    UnsupportedPoint,
)
from contract.calibration.searches import Searches, fnir_at, fpir_at, threshold_at

TARGET_FPIRS = (0.1, 0.01, 0.003, 0.001)
MATED_SUBJECTS_LEAST = 10
# Quantiles of the tail: half of the searches, then eight to each power of ten.
TAIL_SHARES = (0.5, *(10 ** (-k / 8) for k in range(4, 49)))


def gallery_calibration(
    searches: Searches,
    *,
    fpirs: Sequence[float] = TARGET_FPIRS,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> GalleryCalibration:
    """The operating points that one set of searches supports, and why it does not the others."""
    supported = [f for f in fpirs if unsupported_reason(searches, f) is None]
    stated = searches.mated_subjects >= MATED_SUBJECTS_LEAST
    drawn_RF = (
        fnir_replicates(searches, supported, replicates=replicates, seed=seed)
        if stated and supported
        else None
    )
    points = []
    for i, target in enumerate(supported):
        threshold = threshold_at(searches.best_T, target)
        assert threshold is not None  # or it would be unsupported
        fpir = fpir_at(searches, threshold)
        strangers = searches.nonmated_subjects
        points.append(
            OperatingPoint(
                target_fpir=target,
                threshold=threshold,
                fpir=fpir,
                fpir_upper95=upper_bound(math.ceil(fpir * strangers - 1e-9), strangers),
                fnir=None
                if drawn_RF is None
                else interval(fnir_at(searches, threshold), drawn_RF[:, i]),
            )
        )
    return GalleryCalibration(
        subjects=searches.gallery_subjects,
        draws=searches.draws,
        mated_subjects=searches.mated_subjects,
        mated_searches=len(searches.rank_S),
        nonmated_subjects=searches.nonmated_subjects,
        nonmated_searches=len(searches.best_T),
        points=points,
        unsupported=[
            UnsupportedPoint(target_fpir=target, reason=reason)
            for target in fpirs
            if (reason := unsupported_reason(searches, target)) is not None
        ],
        tail=_tail(searches),
    )


def unsupported_reason(searches: Searches, fpir: float) -> str | None:
    """Why these searches cannot state a threshold for `fpir`; None where they can."""
    needed = math.ceil(RULE_OF_THREE / fpir - 1e-9)
    if searches.nonmated_subjects < needed:
        return f"{searches.nonmated_subjects} strangers cannot show it, {needed} are needed"
    if threshold_at(searches.best_T, fpir) is None:
        share = fpir_at(searches, 1.0)
        return f"{share:.1%} of the searches by strangers reach similarity 1, the highest threshold"
    return None


def _tail(searches: Searches) -> list[TailPoint]:
    """Quantiles as far as one stranger of a draw goes, where there is a threshold up to 1."""
    points = [
        (share, threshold_at(searches.best_T, share))
        for share in TAIL_SHARES
        if share * searches.nonmated_subjects >= 1
    ] or [(TAIL_SHARES[0], threshold_at(searches.best_T, TAIL_SHARES[0]))]
    return [TailPoint(share=s, similarity=1.0 if t is None else t) for s, t in points]
