"""The 1:1 trade-off of a set of pairs: ROC curve, TAR at FAR, EER.

A pair is accepted at score >= threshold. A NaN score (a face could not be acquired) is never
accepted, whatever the threshold: of a mated pair that is an error at every threshold, and both
kinds stay in the denominators. FMR and FNMR are ISO/IEC 19795-1's words; TAR at FAR, as papers
write it, is 1 - FNMR at FMR.

Shapes: P pairs, T thresholds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.calibration.intervals import RULE_OF_THREE

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]

# The false accept rate that figures are stated at.
FAR = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RocCurve:
    """Rates at each threshold that decides differently, thresholds descending from infinity.

    fmr_T: share of the non-mated pairs that are accepted. tmr_T: share of the mated ones.
    mated, nonmated: numbers of pairs, those without a score included.
    """

    threshold_T: npt.NDArray[np.float64]
    fmr_T: npt.NDArray[np.float64]
    tmr_T: npt.NDArray[np.float64]
    mated: int
    nonmated: int


def roc_curve(scores_P: Floats, mated_P: Bools) -> RocCurve:
    """The curve of P pairs. Raises ValueError unless there are pairs of both kinds."""
    mated, nonmated = int(mated_P.sum()), int((~mated_P).sum())
    if not mated or not nonmated:
        raise ValueError("Both mated and non-mated pairs are needed.")
    usable = ~np.isnan(scores_P)
    scores = scores_P[usable].astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    scores, accepted_mated = scores[order], np.cumsum(mated_P[usable][order])
    # Equal scores are accepted together: only the last of each counts.
    last = np.flatnonzero(np.append(np.diff(scores) != 0, np.ones(min(1, len(scores)), dtype=bool)))
    tmr = accepted_mated[last] / mated
    fmr = (last + 1 - accepted_mated[last]) / nonmated
    return RocCurve(
        threshold_T=np.concatenate([[np.inf], scores[last]]),
        fmr_T=np.concatenate([[0.0], fmr]),
        tmr_T=np.concatenate([[0.0], tmr]),
        mated=mated,
        nonmated=nonmated,
    )


@dataclass(frozen=True, slots=True)
class TarAtFar:
    """The largest true accept rate of all thresholds whose false accept rate is at most `far`.

    threshold: the highest that has it.
    """

    tar: float
    threshold: float


def tar_at_far(curve: RocCurve, far: float) -> TarAtFar | None:
    """None where the pairs cannot show it: 3 / far non-mated pairs are needed (rule of three)."""
    if curve.nonmated * far < RULE_OF_THREE - 1e-9:
        return None
    tar = curve.tmr_T[np.flatnonzero(curve.fmr_T <= far + 1e-12)[-1]]
    first = int(np.searchsorted(curve.tmr_T, tar))
    return TarAtFar(float(tar), float(curve.threshold_T[first]))


@dataclass(frozen=True, slots=True)
class EqualError:
    """rate: mean of FMR and FNMR at `threshold`, where the two are nearest to each other."""

    rate: float
    threshold: float


def equal_error(curve: RocCurve) -> EqualError:
    """EER at a threshold that can be chosen: nothing is interpolated between two of them.

    Of several equally near ones that of the smallest mean counts, then the highest.
    """
    fnmr_T = 1.0 - curve.tmr_T
    # Rounded, so that equal rates of different denominators tie.
    apart_T = np.round(np.abs(curve.fmr_T - fnmr_T), 12)
    mean_T = np.round((curve.fmr_T + fnmr_T) / 2, 12)
    best = int(np.lexsort((mean_T, apart_T))[0])
    return EqualError(float(mean_T[best]), float(curve.threshold_T[best]))
