"""What every threshold does, not the stated ones alone: to be looked at as a curve."""

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from contract.calibration.records import Estimate
from contract.strict import Share, Strict

# Thresholds are a 200th apart: a factor of two in FPIR is about two of them on faces.
STEPS: Final = 200
Counts = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=STEPS, max_length=STEPS)]


class CurvePoint(Strict):
    """The rates of one threshold, each as an operating point's.

    fpir: the share of non-mated searches that reach it. fpir_upper95: exact one-sided bound on it,
    counting each stranger once. fnir: share of mated searches that miss at it; null where there
    were too few mated subjects to say.
    """

    threshold: Share
    fpir: Share
    fpir_upper95: Share
    fnir: Estimate | None


class RateCurve(Strict):
    """Rates at thresholds from 0 to 1 in STEPS equal steps, and the searches they come from.

    mated, nonmated: searches by their similarity, in STEPS equal parts of 0 to 1; the last one has
    similarity 1, too. Of mated searches those count that have their subject at rank 1;
    mated_not_first is how many have not.
    """

    points: Annotated[list[CurvePoint], Field(min_length=STEPS + 1, max_length=STEPS + 1)]
    mated: Counts
    nonmated: Counts
    mated_not_first: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _evenly(self) -> Self:
        if [point.threshold for point in self.points] != [i / STEPS for i in range(STEPS + 1)]:
            raise ValueError(f"points must be at thresholds from 0 to 1, a {STEPS}th apart")
        return self
