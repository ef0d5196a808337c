"""What is kept of a collection's calibration, and what it holds for."""

from typing import Annotated, Literal

from pydantic import Field

from contract.calibration.curve import RateCurve
from contract.calibration.records import GalleryCalibration
from contract.strict import Strict, Text
from index.scoring import ScoringName

Count = Annotated[int, Field(ge=0)]
UnfitReason = Literal["bundle_changed", "quality_policy_changed", "scoring_changed"]


class CollectionCalibration(Strict):
    """What a collection's searches of itself gave, and what it holds for.

    bundle: name and version, for people; contract_id is what counts. quality_policy: id of what
    photos were asked for. gallery_*: of the collection then. uploaded_strangers: with a usable
    face, beside the subjects themselves; failures_to_acquire: photos of strangers without one.
    rejected_strangers: whom rejected answers tell of; feedback: how much of it counts, and how much
    was left out, none in records from before there was any. replicates: of the bootstrap.
    curve: what every threshold does; None in records from before there was any.
    """

    version: Literal[1]
    made_at: Text
    bundle: Text
    contract_id: Text
    quality_policy: Text
    scoring: ScoringName
    gallery_subjects: Count
    gallery_templates: Count
    gallery_revision: Count
    uploaded_strangers: Count
    failures_to_acquire: Count
    rejected_strangers: Count = 0
    feedback: Count = 0
    feedback_left_out: Count = 0
    replicates: Annotated[int, Field(ge=1)]
    gallery: GalleryCalibration
    curve: RateCurve | None = None

    def unfit(
        self, *, contract_id: str, quality_policy: str, scoring: ScoringName
    ) -> UnfitReason | None:
        """Why it says nothing about what is searched now; None where it does."""
        if self.contract_id != contract_id:
            return "bundle_changed"
        if self.quality_policy != quality_policy:
            return "quality_policy_changed"
        if self.scoring != scoring:
            return "scoring_changed"
        return None

    def supports(self, other: "CollectionCalibration") -> bool:
        """Whether every target that `other` states a threshold for is stated here, too."""
        targets = {point.target_fpir for point in self.gallery.points}
        return targets >= {point.target_fpir for point in other.gallery.points}
