"""Calibration: thresholds by target FPIR and gallery size, or why the data cannot give them.

Two rules decide what is stated. Threshold and FPIR need 3 / FPIR strangers, since zero errors in n
searches bound a rate at 3 / n (95 %), and searches for one stranger are not independent: strangers
are counted, not searches. FNIR needs ten mated subjects: a bootstrap over fewer is too narrow.

Shapes: N images, D embedding size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.manifest import (
    Calibration,
    DefaultThreshold,
    GalleryCalibration,
    OperatingPoint,
    TailPoint,
    UnsupportedPoint,
)
from training.evaluation.intervals import REPLICATES, fnir_replicates, interval, upper_bound
from training.evaluation.open_set import (
    Searches,
    TooFewError,
    draw_searches,
    fnir_at,
    fpir_at,
    threshold_at,
)
from training.evaluation.roc import RULE_OF_THREE

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

TARGET_FPIRS = (0.1, 0.01, 0.003, 0.001)
GALLERY_SIZES = (10, 30, 100, 300, 500, 1_000, 3_000)
# At least so many draws, and so many that this number of templates has been enrolled.
DRAWS = 10
ENROLMENTS = 1_000
MATED_SUBJECTS_LEAST = 10
# The service's default: what it does without a calibration for its gallery's size.
DEFAULT_FPIR = 0.01
DEFAULT_GALLERY = 100
# Quantiles of the tail: half of the searches, then eight to each power of ten.
TAIL_SHARES = (0.5, *(10 ** (-k / 8) for k in range(4, 49)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSet:
    """What open-set search gave. searches: a set for each gallery size, ascending.

    calibration: None where no target FPIR could be supported at any size.
    unsupported: what could not be said and why, a line each.
    """

    searches: tuple[Searches, ...]
    calibration: Calibration | None
    unsupported: tuple[str, ...]

    @property
    def reference(self) -> Searches:
        """Those of the size that the default threshold is stated for, the largest up to 100."""
        return max(
            (s for s in self.searches if s.gallery_subjects <= DEFAULT_GALLERY),
            key=lambda s: s.gallery_subjects,
        )


def open_set(
    embeddings_ND: Floats,
    labels_N: Indices,
    *,
    d_max: float,
    enrolled: int = 1,
    seed: int = 0,
    data: str,
    replicates: int = REPLICATES,
) -> OpenSet:
    """Search galleries of several sizes made of identities that were never trained on.

    data: whose images they are, in words. Raises TooFewError where there are not two identities of
    `enrolled` images.
    """
    searches = tuple(
        draw_searches(
            embeddings_ND,
            labels_N,
            gallery_subjects=size,
            enrolled=enrolled,
            draws=max(DRAWS, -(-ENROLMENTS // size)),
            seed=seed,
            d_max=d_max,
        )
        for size in gallery_sizes(labels_N, enrolled=enrolled)
    )
    galleries = [gallery_calibration(s, seed=seed, replicates=replicates) for s in searches]
    supported = any(gallery.points for gallery in galleries)
    calibration = Calibration(
        data=data,
        images_enrolled=enrolled,
        template_fusion="best",
        replicates=replicates,
        galleries=galleries,
    )
    return OpenSet(
        searches=searches,
        calibration=calibration if supported else None,
        unsupported=tuple(_unsupported(galleries)),
    )


def gallery_sizes(labels_N: Indices, *, enrolled: int) -> tuple[int, ...]:
    """Sizes of GALLERY_SIZES that leave at least as many strangers; the half where none does.

    Raises TooFewError where there are not two identities of `enrolled` images.
    """
    _, counts = np.unique(labels_N, return_counts=True)
    able = int((counts >= enrolled).sum())
    most = min(able, len(counts) // 2)
    if not most or len(counts) < 2:
        raise TooFewError(
            f"Open-set search needs two identities, one of them with {enrolled} images to enrol: "
            f"there are {len(counts)}, {able} of them with so many images."
        )
    return tuple(size for size in GALLERY_SIZES if size <= most) or (most,)


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


def _unsupported(galleries: Sequence[GalleryCalibration]) -> list[str]:
    """A line for each target; its reason is that of the smallest gallery, with most strangers."""
    reasons: dict[float, str] = {}
    sizes: dict[float, list[str]] = {}
    for gallery in galleries:
        for point in gallery.unsupported:
            reasons.setdefault(point.target_fpir, point.reason)
            sizes.setdefault(point.target_fpir, []).append(str(gallery.subjects))
    lines = [
        f"FPIR {target:.1%} among {', '.join(sizes[target])} subjects is not supported: {reason}."
        for target, reason in reasons.items()
    ]
    few = [str(g.subjects) for g in galleries if g.mated_subjects < MATED_SUBJECTS_LEAST]
    if few:
        lines.append(
            f"FNIR among {', '.join(few)} subjects is not stated: at most "
            f"{max(g.mated_subjects for g in galleries)} of them have an image to search for, "
            f"{MATED_SUBJECTS_LEAST} are needed."
        )
    return lines


def default_threshold(calibration: Calibration | None) -> DefaultThreshold | None:
    """The threshold at FPIR 1 % in the largest gallery up to 100 subjects that supports it.

    `searches` counts the strangers of one draw: further draws steady the estimate but add no
    people. None where no such gallery supports it.
    """
    if calibration is None:
        return None
    supported = [
        (gallery, point)
        for gallery in calibration.galleries
        for point in gallery.points
        if point.target_fpir == DEFAULT_FPIR and gallery.subjects <= DEFAULT_GALLERY
    ]
    if not supported:
        return None
    gallery, point = supported[-1]
    return DefaultThreshold(
        similarity=point.threshold,
        fpir=point.fpir,
        gallery_subjects=gallery.subjects,
        searches=gallery.nonmated_subjects,
        data=calibration.data,
    )
