"""The threshold for a target FPIR in a gallery of N subjects, from what was seen in others.

A stranger's search is N chances of an error. Were they independent, FPIR(N, T) would be
1 - (1 - c(T))^N with a share c per enrolled subject that does not depend on N, so that what was
seen in one gallery says what another of any size would do. On real faces galleries of 10 to 1,000
subjects agree on c within a few per cent (docs/measurements.md), so:

- in a gallery as large as a measured one the threshold is the measured one;
- between two measured sizes both say a threshold for the same c, and the answer lies between them
  as ln N does;
- beyond them the nearest size says it, and the answer is an estimate. Where this needs rarer
  errors than its strangers can show, the tail goes on as a straight line over ln c, as fitted to
  its last part (and the same way for more frequent errors than half of all searches, by its first
  part): similarities are bounded, so true tails bend below such lines, and the threshold is rather
  too high than too low.

A target is refused where the strangers cannot show it at all (3 / target of them are needed).
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from contract.calibration.intervals import RULE_OF_THREE, upper_bound
from contract.calibration.records import GalleryCalibration, TailPoint

Basis = Literal["measured", "interpolated", "estimate"]

# A gallery so many times larger than the largest measured one is refused: nothing was seen of it.
GROWTH_MAX: Final = 100
# The part of a tail that its continuation is fitted to: from the rarest share that its strangers
# can show up to so many times that share.
FIT_SPAN: Final = 30
# ln N so near a measured size counts as that size.
_SAME: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class FpirThreshold:
    """Accept at similarity >= value for at most `target_fpir` of the searches by strangers.

    basis: `measured` in a gallery of this size, `interpolated` between two, or an `estimate`.
    fpir_upper95: one-sided 95 % bound on the FPIR that the number of strangers allows; it knows
    nothing of photos unlike those of the calibration. gallery: the measured one that it rests on.
    """

    target_fpir: float
    subjects: float
    value: float
    basis: Basis
    fpir_upper95: float
    gallery: GalleryCalibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """No threshold, and in words why not and what would help."""

    target_fpir: float
    reason: str


def fpir_threshold(
    galleries: Sequence[GalleryCalibration], *, target_fpir: float, subjects: float
) -> FpirThreshold | Unsupported:
    """The threshold for `target_fpir` in (0, 1) among `subjects`; below one they count as one.

    galleries: at least one, of rising subjects. Raises ValueError for another target.
    """
    if not 0 < target_fpir < 1:
        raise ValueError(f"target_fpir must be between 0 and 1, not {target_fpir}.")
    size = max(1.0, subjects)
    able = [g for g in galleries if _shows(g, target_fpir)]
    if not able:
        return Unsupported(target_fpir=target_fpir, reason=_too_few(galleries, target_fpir))
    if size > GROWTH_MAX * able[-1].subjects:
        return Unsupported(
            target_fpir=target_fpir,
            reason=f"{size:,.0f} subjects are more than {GROWTH_MAX} times the "
            f"{able[-1].subjects:,} that were measured: calibrate on this collection.",
        )
    below = [g for g in able if g.subjects <= size * (1 + _SAME)]
    above = [g for g in able if g.subjects >= size * (1 - _SAME)]
    # The one that the answer rests on is the larger, which has fewer strangers.
    base = above[0] if above else below[-1]
    rate = _rate(target_fpir, size)
    value = _similarity_at(base, rate)
    basis: Basis = "estimate"
    if below and above:
        basis = "measured" if below[-1] is base else "interpolated"
        if basis == "interpolated":
            lower = below[-1]
            share = math.log(size / lower.subjects) / math.log(base.subjects / lower.subjects)
            value = (1 - share) * _similarity_at(lower, rate) + share * value
    if value > 1:
        return Unsupported(
            target_fpir=target_fpir,
            reason=f"FPIR {target_fpir:.2%} among {size:,.0f} subjects asks for a similarity above "
            "1: strangers are too alike to this embedding.",
        )
    return FpirThreshold(
        target_fpir=target_fpir,
        subjects=subjects,
        value=max(0.0, value),
        basis=basis,
        fpir_upper95=_upper95(base, rate, size),
        gallery=base,
    )


def _shows(gallery: GalleryCalibration, target: float) -> bool:
    return gallery.nonmated_subjects * target >= RULE_OF_THREE - 1e-9 and len(_shown(gallery)) > 1


def _too_few(galleries: Sequence[GalleryCalibration], target: float) -> str:
    needed = math.ceil(RULE_OF_THREE / target - 1e-9)
    most = max(g.nonmated_subjects for g in galleries)
    return f"FPIR {target:.2%} needs {needed:,} strangers to show it: the calibration has {most:,}."


def _rate(share: float, subjects: float) -> float:
    """Errors per enrolled subject that make a share of all searches, were they independent."""
    return -math.log1p(-share) / subjects


def _share(rate: float, subjects: float) -> float:
    """The inverse of `_rate`."""
    return -math.expm1(-rate * subjects)


def _upper95(gallery: GalleryCalibration, rate: float, subjects: float) -> float:
    """The bound at the measured size, brought to `subjects`."""
    strangers = gallery.nonmated_subjects
    errors = math.ceil(_share(rate, gallery.subjects) * strangers - 1e-9)
    bound = upper_bound(min(errors, strangers), strangers)
    return 1.0 if bound == 1.0 else _share(_rate(bound, gallery.subjects), subjects)


def _similarity_at(gallery: GalleryCalibration, rate: float) -> float:
    """The similarity that errors of such a rate reach in a measured gallery."""
    for point in gallery.points:
        if abs(_rate(point.target_fpir, gallery.subjects) - rate) <= 1e-9 * rate:
            return point.threshold
    shown, x = _shown(gallery), math.log(rate)
    for near, far in itertools.pairwise(shown):
        near_x, far_x = _x(near, gallery), _x(far, gallery)
        if x >= far_x:
            part = (near_x - x) / (near_x - far_x)
            return near.similarity + part * (far.similarity - near.similarity)
    last = shown[-1]
    return last.similarity + _rise(shown, gallery) * (_x(last, gallery) - x)


def _shown(gallery: GalleryCalibration) -> list[TailPoint]:
    """The part of the tail that its strangers can show."""
    least = RULE_OF_THREE / gallery.nonmated_subjects
    return [p for p in gallery.tail if p.share >= least]


def _x(point: TailPoint, gallery: GalleryCalibration) -> float:
    return math.log(_rate(point.share, gallery.subjects))


def _rise(shown: list[TailPoint], gallery: GalleryCalibration) -> float:
    """How much similarity rises where ln of the rate falls by one, by least squares."""
    part = [p for p in shown if p.share <= FIT_SPAN * shown[-1].share]
    xs = [-_x(p, gallery) for p in part]
    slope, _ = statistics.linear_regression(xs, [p.similarity for p in part])
    return slope
