"""The JSON of a batch of photos that were identified."""

from typing import Annotated

from pydantic import Field

from service.schemas import BundleRef, FaceOut, Model, Problem, ThresholdOut


class PhotoFaces(Model):
    """All faces of one photo, largest first."""

    faces: list[FaceOut]


class BatchResult(Model):
    """One image: either its answer or its problem is null."""

    index: Annotated[int, Field(ge=0, description="place in the request, from 0")]
    filename: str | None
    answer: PhotoFaces | None = Field(description="as of /v1/identify")
    problem: Problem | None = Field(description="why the image could not be used")


class BatchAnswer(Model):
    """A result for each image, in the order of the request; all against one gallery revision."""

    results: list[BatchResult]
    threshold: ThresholdOut
    bundle: BundleRef
    gallery_revision: int
    timing_ms: dict[str, float] = Field(description="of all images together")
    request_id: str
