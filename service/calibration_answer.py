"""The JSON of a collection's calibration."""

from typing import Annotated

from pydantic import Field

from contract.calibration.curve import RateCurve
from contract.calibration.records import OperatingPoint, UnsupportedPoint
from service.calibration_record import CollectionCalibration, UnfitReason
from service.schemas import Model

Count = Annotated[int, Field(ge=0)]


class CalibratedGallery(Model):
    """The collection when it was calibrated."""

    subject_count: Count
    template_count: Count
    gallery_revision: Count


class StrangersOut(Model):
    """Whom the non-mated searches were for."""

    enrolled: Count = Field(description="subjects, each searched for among all others")
    uploaded: Count = Field(description="photos of strangers with a usable face")
    failures_to_acquire: Count = Field(description="uploaded photos without one; in no rate below")
    uploaded_photos: Count = Field(description="all of them, failures included")
    rejected: Count = Field(
        description="whom feedback tells of: all who were taken for one subject are one of them"
    )
    feedback: Count = Field(description="verdicts on answers that count in the rates below")
    feedback_left_out: Count = Field(
        description="verdicts that do not: of another bundle, of a much smaller collection, of "
        "more of one person than is of use, or of one side only"
    )


class CalibrationOut(Model):
    """Error rates of the collection, measured on its own templates."""

    made_at: str
    bundle_id: str = Field(description="name and version")
    contract_id: str
    quality_policy: str = Field(description="id of what photos were asked for")
    scoring: str
    gallery: CalibratedGallery
    strangers: StrangersOut
    mated_subjects: Count = Field(description="subjects with two templates or more")
    mated_searches: Count
    nonmated_searches: Count
    points: list[OperatingPoint]
    unsupported: list[UnsupportedPoint] = Field(description="targets that the data cannot show")
    curve: RateCurve | None = Field(
        description="rates of every threshold, to be drawn; null of one from before there was any"
    )
    in_use: bool
    not_in_use_because: UnfitReason | None

    @classmethod
    def of(cls, record: CollectionCalibration, unfit: UnfitReason | None) -> "CalibrationOut":
        """From what is stored, and why it says nothing about what is searched now."""
        seen = record.gallery
        return cls(
            made_at=record.made_at,
            bundle_id=record.bundle,
            contract_id=record.contract_id,
            quality_policy=record.quality_policy,
            scoring=record.scoring,
            gallery=CalibratedGallery(
                subject_count=record.gallery_subjects,
                template_count=record.gallery_templates,
                gallery_revision=record.gallery_revision,
            ),
            strangers=StrangersOut(
                enrolled=seen.nonmated_subjects
                - record.uploaded_strangers
                - record.rejected_strangers,
                uploaded=record.uploaded_strangers,
                failures_to_acquire=record.failures_to_acquire,
                uploaded_photos=record.uploaded_strangers + record.failures_to_acquire,
                rejected=record.rejected_strangers,
                feedback=record.feedback,
                feedback_left_out=record.feedback_left_out,
            ),
            mated_subjects=seen.mated_subjects,
            mated_searches=seen.mated_searches,
            nonmated_searches=seen.nonmated_searches,
            points=seen.points,
            unsupported=seen.unsupported,
            curve=record.curve,
            in_use=unfit is None,
            not_in_use_because=unfit,
        )


class CalibrationList(Model):
    """The calibration that is kept with the collection, if there is one."""

    calibrations: list[CalibrationOut]
