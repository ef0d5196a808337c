"""The calls about collections and what is measured of them."""

from typing import Any

from service.calibration_answer import CalibrationList
from service.client.call import Call, answer, fields, nothing
from service.client.photo import Photos, as_photos
from service.collection_answer import CollectionList, CollectionOut
from service.options import FeedbackUse
from service.schemas import JobAnswer


def list_collections() -> Call[CollectionList]:
    """All collections, oldest first."""
    return Call(method="GET", path="/v1/collections", parse=answer(CollectionList))


def create_collection(collection_id: str, *, bundle: str | None = None) -> Call[CollectionOut]:
    """Make an empty collection of a served bundle: a name, or name@version."""
    wanted: dict[str, Any] = {"id": collection_id}
    if bundle is not None:
        wanted["bundle"] = bundle
    return Call(method="POST", path="/v1/collections", json=wanted, parse=answer(CollectionOut))


def get_collection(collection_id: str) -> Call[CollectionOut]:
    """One collection."""
    return Call(
        method="GET",
        path="/v1/collections/{collection_id}",
        ids={"collection_id": collection_id},
        parse=answer(CollectionOut),
    )


def delete_collection(collection_id: str) -> Call[None]:
    """Remove a collection with all its subjects and templates."""
    return Call(
        method="DELETE",
        path="/v1/collections/{collection_id}",
        ids={"collection_id": collection_id},
        parse=nothing,
    )


def calibrate(
    collection_id: str, *, strangers: Photos = (), feedback: FeedbackUse | None = None
) -> Call[JobAnswer]:
    """Measure a collection's error rates on its own templates, as a job.

    strangers: photos of people who are not enrolled, one of each. feedback: ignore leaves out what
    was said of answers.
    """
    return Call(
        method="POST",
        path="/v1/collections/{collection_id}/calibrations",
        ids={"collection_id": collection_id},
        files=tuple(("strangers", photo) for photo in as_photos(strangers)),
        data=fields(feedback=feedback),
        parse=answer(JobAnswer),
    )


def list_calibrations(collection_id: str) -> Call[CalibrationList]:
    """The collection's calibration, and whether thresholds come from it."""
    return Call(
        method="GET",
        path="/v1/collections/{collection_id}/calibrations",
        ids={"collection_id": collection_id},
        parse=answer(CalibrationList),
    )


def report_health(collection_id: str) -> Call[JobAnswer]:
    """Look for what is probably wrong in a collection, as a job."""
    return Call(
        method="POST",
        path="/v1/collections/{collection_id}/health-reports",
        ids={"collection_id": collection_id},
        parse=answer(JobAnswer),
    )
