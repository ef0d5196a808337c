"""Calibration: thresholds by target FPIR and gallery size, or why the data cannot give them.

What may be stated of a gallery's searches: contract/calibration/operating_points.py.

Shapes: N images, D embedding size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.calibration.intervals import REPLICATES
from contract.calibration.operating_points import MATED_SUBJECTS_LEAST, gallery_calibration
from contract.calibration.records import Calibration, GalleryCalibration
from contract.calibration.searches import Searches
from contract.manifest import DefaultThreshold
from training.evaluation.open_set import TooFewError, draw_searches

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

GALLERY_SIZES = (10, 30, 100, 300, 500, 1_000, 3_000)
# At least so many draws, and so many that this number of templates has been enrolled.
DRAWS = 10
ENROLMENTS = 1_000
# The service's default: what it does without a calibration for its gallery's size.
DEFAULT_FPIR = 0.01
DEFAULT_GALLERY = 100


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
