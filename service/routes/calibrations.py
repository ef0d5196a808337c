"""POST and GET of /v1/collections/{id}/calibrations."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from service.calibration import (
    embed_strangers,
    keep,
    measure,
    stored_calibration,
)
from service.calibration_answer import CalibrationList, CalibrationOut
from service.calibration_record import CollectionCalibration
from service.calibration_renewal import KIND
from service.collections import ServedCollection
from service.jobs import JobResult, Progress
from service.options import FeedbackUse
from service.request_error import RequestError
from service.routes.common import RuntimeDep, collection_of, problems, read_upload
from service.routes.jobs import accepted
from service.runtime import Runtime
from service.schemas import JobAnswer

# Of a job's time: to embed a photo takes far longer than to search for it.
PHOTOS_SHARE = 0.5

router = APIRouter(prefix="/v1/collections/{collection_id}/calibrations", tags=["calibration"])


class CalibrationForm(BaseModel):
    """The multipart form. A field that is not listed is refused, so that no wish is lost."""

    model_config = ConfigDict(extra="forbid")

    strangers: list[UploadFile] = Field(
        [], description="photos of people who are not enrolled, one of each, largest face taken"
    )
    feedback: FeedbackUse = Field(
        "use", description="use counts what was said of answers, ignore does not"
    )


@router.post(
    "", status_code=202, response_model=JobAnswer, responses=problems(400, 404, 409, 413, 422, 503)
)
async def calibrate(
    collection_id: str,
    form: Annotated[CalibrationForm, Form(media_type="multipart/form-data")],
    runtime: RuntimeDep,
    request: Request,
    response: Response,
) -> JobAnswer:
    """Measure the collection's error rates on its own templates, in the background.

    Each template is searched for without its subject (a stranger) and without itself (a mate).
    Photos of further strangers support smaller targets; they are not kept. The job's result is the
    calibration, which is in use from then on.
    """
    served = await collection_of(runtime, collection_id)
    limit = runtime.settings.max_strangers_per_calibration
    if len(form.strangers) > limit:
        raise RequestError(
            "strangers", f"Send up to {limit} photos of strangers, not {len(form.strangers)}."
        )
    photos = [(await read_upload(upload)).data for upload in form.strangers]
    job = runtime.jobs.submit(
        KIND,
        partial(_work, runtime, served, photos, form.feedback),
        collection_id=served.id,
        alone=True,
    )
    return accepted(job, request, response)


@router.get("", response_model=CalibrationList, responses=problems(404, 409, 422, 503))
async def list_calibrations(collection_id: str, runtime: RuntimeDep) -> CalibrationList:
    """The collection's calibration, and whether thresholds come from it."""
    served = await collection_of(runtime, collection_id)
    record = await runtime.workers.run(partial(stored_calibration, served.gallery))
    return CalibrationList(calibrations=[_shown(runtime, served, record)] if record else [])


def _work(
    runtime: Runtime,
    served: ServedCollection,
    photos: list[bytes],
    feedback: FeedbackUse,
    progress: Progress,
) -> JobResult:
    def told() -> Iterator[bytes]:
        for done, photo in enumerate(photos):
            progress(PHOTOS_SHARE * done / len(photos))
            yield photo

    strangers = embed_strangers(served.bundle.recognizer, told())
    record = measure(
        served.gallery,
        strangers,
        bundle=served.bundle.id,
        quality_policy=runtime.quality_policy_id,
        with_feedback=feedback == "use",
        tell=lambda done: progress(PHOTOS_SHARE + (1 - PHOTOS_SHARE) * done),
    )
    keep(served.gallery, record)
    return _shown(runtime, served, record).model_dump(mode="json")


def _shown(
    runtime: Runtime, served: ServedCollection, record: CollectionCalibration
) -> CalibrationOut:
    unfit = record.unfit(
        contract_id=served.gallery.contract.id,
        quality_policy=runtime.quality_policy_id,
        scoring=served.gallery.scoring,
    )
    return CalibrationOut.of(record, unfit)
