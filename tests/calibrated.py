"""A world whose error rates are known in closed form, and calibrations of it.

A stranger is as similar to each enrolled subject as an independent draw that reaches t with
probability exp((BASE - t) / SLOPE).
"""

import math
from collections.abc import Callable

from contract.calibration.operating_points import TAIL_SHARES, TARGET_FPIRS
from contract.calibration.records import (
    Calibration,
    GalleryCalibration,
    OperatingPoint,
    TailPoint,
)

SLOPE = 0.02
BASE = 0.35


def exponential(share: float, subjects: float) -> float:
    """The similarity that the best of `subjects` reaches with probability `share`."""
    each = -math.expm1(math.log1p(-share) / subjects)
    return BASE - SLOPE * math.log(each)


def true_fpir(threshold: float, subjects: float) -> float:
    each = math.exp((BASE - threshold) / SLOPE)
    return -math.expm1(subjects * math.log1p(-each))


def measured(
    subjects: int,
    strangers: int,
    law: Callable[[float, float], float] = exponential,
) -> GalleryCalibration:
    """What endless draws would give, cut where so few strangers end."""
    return GalleryCalibration(
        subjects=subjects,
        draws=1,
        mated_subjects=0,
        mated_searches=0,
        nonmated_subjects=strangers,
        nonmated_searches=strangers,
        points=[
            OperatingPoint(
                target_fpir=target,
                threshold=law(target, subjects),
                fpir=target,
                fpir_upper95=1.0,
                fnir=None,
            )
            for target in TARGET_FPIRS
            if strangers * target >= 3
        ],
        unsupported=[],
        tail=[
            TailPoint(share=share, similarity=law(share, subjects))
            for share in TAIL_SHARES
            if share * strangers >= 1
        ],
    )


def calibration(*galleries: GalleryCalibration) -> Calibration:
    """Of a bundle, by one template a subject."""
    return Calibration(
        data="a world of numbers",
        images_enrolled=1,
        template_fusion="best",
        replicates=1,
        galleries=list(galleries),
    )
