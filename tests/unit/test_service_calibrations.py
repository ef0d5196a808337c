"""A collection's calibration over the API: made by a job, kept, shown, and no longer in use."""

import json
import logging
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from index.calibrating import calibrated, search_itself
from index.rate_curve import rate_curve
from service.calibration import stored_calibration
from service.calibration_record import CollectionCalibration
from tests.conftest import NO_FACE, Api, ApiMaker, check_problem, face_photo

PATH = "/v1/collections/default/calibrations"
WAIT_S = 30.0
NO_FEEDBACK = {"rejected": 0, "feedback": 0, "feedback_left_out": 0}


def enrol_people(api: Api, count: int, *, templates: int = 2, seed: int = 0) -> None:
    """Subjects s0, s1, … with templates around a centre each, straight into the gallery."""
    rng = np.random.default_rng(seed)
    first = api.runtime.default.gallery.subject_count
    for number in range(first, first + count):
        rows = rng.standard_normal(64) + 0.5 * rng.standard_normal((templates, 64))
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        api.runtime.default.gallery.enroll(unit.astype(np.float32), subject_id=f"s{number}")


def calibrate(api: Api, *photos: bytes) -> dict[str, Any]:
    """Post, wait, and give the job as the API shows it."""
    files = [("strangers", (f"{i}.png", photo)) for i, photo in enumerate(photos)]
    answer = api.post(PATH, files=files)
    assert answer.status_code == 202, answer.text
    job = answer.json()["job"]
    assert (job["kind"], answer.headers["location"]) == ("calibration", f"/v1/jobs/{job['id']}")
    assert api.runtime.jobs.wait(job["id"], timeout_s=WAIT_S).ended
    ended: dict[str, Any] = api.get(answer.headers["location"]).json()
    return ended


def shown(api: Api) -> list[dict[str, Any]]:
    answer = api.get(PATH)
    assert answer.status_code == 200
    calibrations: list[dict[str, Any]] = answer.json()["calibrations"]
    return calibrations


def test_a_calibration_is_made_kept_and_shown(api: Api) -> None:
    assert shown(api) == []
    enrol_people(api, 31)
    revision = api.runtime.default.gallery.revision
    job = calibrate(api)
    assert (job["status"], job["progress"], job["error"]) == ("succeeded", 1, None)
    (made,) = shown(api)
    assert made == job["result"]
    search = search_itself(api.runtime.default.gallery)
    seen = calibrated(search)
    assert made == {
        "made_at": made["made_at"],
        "bundle_id": "tiny@1.2.3",
        "contract_id": api.runtime.default.bundle.bundle.manifest.contract.id,
        "quality_policy": api.runtime.quality_policy_id,
        "scoring": "best",
        "gallery": {"subject_count": 31, "template_count": 62, "gallery_revision": revision},
        "strangers": {
            "enrolled": 31,
            "uploaded": 0,
            "failures_to_acquire": 0,
            "uploaded_photos": 0,
            **NO_FEEDBACK,
        },
        "mated_subjects": 31,
        "mated_searches": 62,
        "nonmated_searches": 62,
        "points": [point.model_dump() for point in seen.points],
        "unsupported": [point.model_dump() for point in seen.unsupported],
        "curve": rate_curve(search).model_dump(),
        "in_use": True,
        "not_in_use_because": None,
    }
    assert [p["target_fpir"] for p in made["points"]] == [0.1]
    assert [p["target_fpir"] for p in made["unsupported"]] == [0.01, 0.003, 0.001]
    assert api.runtime.default.gallery.revision == revision + 1


def test_thresholds_come_from_it_at_once(api: Api) -> None:
    enrol_people(api, 31)
    calibrate(api)
    threshold = api.runtime.default.thresholds.threshold(target_fpir=0.1)
    assert threshold.value == shown(api)[0]["points"][0]["threshold"]


def test_a_later_one_takes_its_place(api: Api) -> None:
    enrol_people(api, 31)
    first = calibrate(api)["result"]
    enrol_people(api, 5, seed=1)
    second = calibrate(api)["result"]
    assert shown(api) == [second]
    assert (first["gallery"]["subject_count"], second["gallery"]["subject_count"]) == (31, 36)


def test_strangers_are_counted_and_failures_apart(api: Api) -> None:
    enrol_people(api, 25)
    photos = [face_photo(n) for n in range(100, 106)]
    # The largest face of two is taken; one photo shows nobody, one file is no image.
    job = calibrate(api, *photos, NO_FACE, b"no image")
    assert job["result"]["strangers"] == {
        "enrolled": 25,
        "uploaded": 6,
        "failures_to_acquire": 2,
        "uploaded_photos": 8,
        **NO_FEEDBACK,
    }
    assert [p["target_fpir"] for p in job["result"]["points"]] == [0.1]


def test_nothing_of_a_person_is_kept(api: Api, tmp_path: Path) -> None:
    enrol_people(api, 30)
    calibrate(api, face_photo(100))
    record = json.loads(api.runtime.default.gallery.calibration().record)
    assert "s0" not in json.dumps(record)
    strangers = api.runtime.default.bundle.recognizer
    pixels, faces = strangers.detect(face_photo(100), _timing())
    (face,) = strangers.embed(pixels, faces, _timing())
    enrolled = api.runtime.default.gallery.read(
        lambda scope: scope.c.execute("SELECT embedding FROM templates LIMIT 1")
    )
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert enrolled[0][0] in files
    assert face.embedding.astype("<f4").tobytes() not in files


def _timing() -> Any:
    from service.recognizer import Timing

    return Timing()


@pytest.mark.parametrize("subjects", [0, 5, 29])
def test_too_little_data_is_refused_in_words_and_nothing_is_kept(api: Api, subjects: int) -> None:
    enrol_people(api, subjects)
    revision = api.runtime.default.gallery.revision
    job = calibrate(api)
    assert (job["status"], job["result"]) == ("failed", None)
    assert (job["error"]["status"], job["error"]["code"]) == (422, "too_little_data")
    assert f"has {subjects if subjects > 1 else 0} subjects" in job["error"]["detail"]
    assert "30 for an FPIR of 10.0%, 300 for an FPIR of 1.0%" in job["error"]["detail"]
    assert shown(api) == []
    assert api.runtime.default.gallery.revision == revision


def test_another_collection_is_not_found(api: Api) -> None:
    path = "/v1/collections/other/calibrations"
    check_problem(api.get(path), 404, "collection_not_found")
    check_problem(api.post(path), 404, "collection_not_found")


def test_more_photos_than_allowed_are_refused(make_api: ApiMaker) -> None:
    api = make_api(max_strangers_per_calibration=2)
    files = [("strangers", (f"{i}.png", NO_FACE)) for i in range(3)]
    problem = check_problem(api.post(PATH, files=files), 422, "invalid_request")
    assert "up to 2 photos" in problem["detail"]


def test_a_wish_that_is_not_known_is_refused(api: Api) -> None:
    files = [("stranger", ("0.png", NO_FACE))]
    check_problem(api.post(PATH, files=files), 422, "invalid_request")


def test_one_at_a_time(api: Api) -> None:
    enrol_people(api, 30)
    api.detector.gate.clear()
    first = api.post(PATH, files=[("strangers", ("0.png", face_photo(1)))])
    assert api.detector.entered.wait(WAIT_S)
    refused: httpx.Response = api.post(PATH)
    assert "under way" in check_problem(refused, 503, "overloaded")["detail"]
    # Long work takes no request's place.
    assert api.get(PATH).status_code == 200
    api.detector.gate.set()
    job = api.runtime.jobs.wait(first.json()["job"]["id"], timeout_s=WAIT_S)
    assert job.status == "succeeded"
    assert calibrate(api)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"quality": "strict"}, "quality_policy_changed"),
        ({"subject_score": "mean"}, "scoring_changed"),
        ({}, None),
    ],
)
def test_it_is_in_use_as_long_as_it_fits(
    make_api: ApiMaker, settings: dict[str, Any], reason: str | None
) -> None:
    api = make_api()
    enrol_people(api, 30)
    calibrate(api)
    api.runtime.close()
    again = make_api(**settings)
    (made,) = shown(again)
    assert (made["in_use"], made["not_in_use_because"]) == (reason is None, reason)
    threshold = again.runtime.default.thresholds.threshold(target_fpir=0.1)
    assert (threshold.value == made["points"][0]["threshold"]) == (reason is None)


def test_another_bundle_puts_it_out_of_use(api: Api) -> None:
    enrol_people(api, 30)
    calibrate(api)
    record = stored_calibration(api.runtime.default.gallery)
    assert record is not None
    fits: dict[str, Any] = {"quality_policy": record.quality_policy, "scoring": record.scoring}
    assert record.unfit(contract_id=record.contract_id, **fits) is None
    assert record.unfit(contract_id="another", **fits) == "bundle_changed"


def test_a_record_of_another_release_is_none(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    gallery = api.runtime.default.gallery
    gallery.set_calibration(
        '{"version":2}', contract_id=gallery.contract.id, made_at="2026-01-01T00:00:00Z"
    )
    with caplog.at_level(logging.WARNING, "service.calibration"):
        assert shown(api) == []
    assert "calibrate anew" in caplog.text


def test_a_record_survives_its_json(api: Api) -> None:
    enrol_people(api, 40)
    calibrate(api)
    record = stored_calibration(api.runtime.default.gallery)
    assert record is not None
    assert CollectionCalibration.model_validate_json(record.model_dump_json()) == record
    exact: npt.NDArray[np.float64] = np.array([p.threshold for p in record.gallery.points])
    search = search_itself(api.runtime.default.gallery).searches
    assert (search.best_T >= exact[0]).mean() <= 0.1 < (search.best_T >= exact[0] - 1e-12).mean()


def test_closing_the_service_stops_a_calibration(api: Api) -> None:
    enrol_people(api, 30)
    api.detector.gate.clear()
    files = [("strangers", (f"{i}.png", face_photo(i))) for i in range(3)]
    job_id = api.post(PATH, files=files).json()["job"]["id"]
    assert api.detector.entered.wait(WAIT_S)
    closing = threading.Thread(target=api.runtime.jobs.close)
    closing.start()
    while not api.runtime.jobs._closing.is_set():
        pass
    api.detector.gate.set()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    job = api.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["error"]["code"]) == ("failed", "job_cancelled")
    assert shown(api) == []
