"""What a calibration states: thresholds by target FPIR and gallery size, and its evidence."""

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contract.strict import Share, Strict, Target, Text


class Estimate(Strict):
    """A rate, and the 95 % interval that a bootstrap over subjects gives it."""

    value: Share
    low95: Share
    high95: Share

    @model_validator(mode="after")
    def _in_its_interval(self) -> Self:
        if not self.low95 <= self.value <= self.high95:
            raise ValueError("value must lie in [low95, high95]")
        return self


class OperatingPoint(Strict):
    """The smallest threshold at which at most `target_fpir` of non-mated searches were accepted.

    fpir: the share that was. fpir_upper95: exact one-sided bound on it, counting each stranger
    once. fnir: share of mated searches whose subject was not at rank 1 with that similarity; null
    where there were too few mated subjects to say.
    """

    target_fpir: Target
    threshold: Share
    fpir: Share
    fpir_upper95: Share
    fnir: Estimate | None


class UnsupportedPoint(Strict):
    """A target that the data cannot show, and why."""

    target_fpir: Target
    reason: Text


class TailPoint(Strict):
    """A threshold of `similarity` let at most `share` of the non-mated searches through."""

    share: Target
    similarity: Share


class GalleryCalibration(Strict):
    """What was seen in galleries of `subjects` subjects.

    Each of `draws` galleries had other subjects; `mated_subjects` of them were searched for, and
    `nonmated_subjects` strangers. `_searches` count over all draws. `tail` holds quantiles of the
    best similarities of whole non-mated searches, share falling: what a threshold for another
    target or size can be computed from.
    """

    subjects: Annotated[int, Field(ge=1)]
    draws: Annotated[int, Field(ge=1)]
    mated_subjects: Annotated[int, Field(ge=0)]
    mated_searches: Annotated[int, Field(ge=0)]
    nonmated_subjects: Annotated[int, Field(ge=1)]
    nonmated_searches: Annotated[int, Field(ge=1)]
    points: list[OperatingPoint]
    unsupported: list[UnsupportedPoint]
    tail: Annotated[list[TailPoint], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.mated_subjects > self.subjects:
            raise ValueError("mated_subjects are subjects of the gallery: there are more of them")
        if self.nonmated_searches < self.nonmated_subjects * self.draws:
            raise ValueError("each draw searches for each stranger at least once")
        for near, far in itertools.pairwise(self.tail):
            if not (near.share > far.share and near.similarity <= far.similarity):
                raise ValueError("tail must have falling shares and rising similarities")
        return self


class Calibration(Strict):
    """Thresholds by target FPIR and gallery size, with the evidence behind each.

    data: whose images, none of them trained on. images_enrolled: templates a subject, of which
    the `best` makes its score. replicates: of the bootstrap.
    """

    data: Text
    images_enrolled: Annotated[int, Field(ge=1)]
    template_fusion: Literal["best"]
    replicates: Annotated[int, Field(ge=1)]
    galleries: Annotated[list[GalleryCalibration], Field(min_length=1)]

    @model_validator(mode="after")
    def _sizes_ascend(self) -> Self:
        for small, large in itertools.pairwise(self.galleries):
            if not small.subjects < large.subjects:
                raise ValueError("galleries must be of rising subjects")
        return self
