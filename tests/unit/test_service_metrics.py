"""Metrics: what Prometheus reads is what happened, and nobody is in it."""

import logging
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import SECONDS
from tests.conftest import Api, ApiMaker, BundleMaker, face_photo

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(api: Api) -> Samples:
    answer = api.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(api: Api, name: str, **labels: str) -> float | None:
    return samples(api).get((name, frozenset(labels.items())))


def test_requests_are_counted_by_the_pattern_of_their_path(api: Api) -> None:
    path = "/v1/subjects/{subject_id}"
    for subject_id in ("ada", "bob"):
        assert api.get(f"/v1/subjects/{subject_id}").status_code == 404
    api.get("/nowhere")
    api.post("/v1/subjects")
    found = samples(api)
    labels = frozenset({("method", "GET"), ("path", path), ("status", "404")})
    assert found["oneglance_requests_total", labels] == 2
    timed = frozenset({("method", "GET"), ("path", path)})
    assert found["oneglance_request_seconds_count", timed] == 2
    assert 0 < found["oneglance_request_seconds_sum", timed] < SECONDS[-1]
    none = frozenset({("method", "GET"), ("path", ""), ("status", "404")})
    assert found["oneglance_requests_total", none] == 1
    wrong = {
        dict(labels)["status"]
        for name, labels in found
        if name == "oneglance_requests_total" and ("method", "POST") in labels
    }
    assert wrong == {"405"}


def test_a_refused_body_and_compreface_count_too(make_api: ApiMaker) -> None:
    api = make_api(max_body_bytes=100)
    assert api.identify(face_photo(1)).status_code == 413
    api.get("/api/v1/recognition/subjects", headers={"x-api-key": "k"})
    found = [dict(labels) for name, labels in samples(api) if name == "oneglance_requests_total"]
    assert {"method": "POST", "path": "", "status": "413"} in found
    assert {"method": "GET", "path": "/api/v1/recognition/subjects", "status": "200"} in found


def test_decisions_are_counted(api: Api) -> None:
    api.enroll(face_photo(1), name="Ada")
    api.identify(face_photo(1, 2))
    api.post(
        "/v1/identify/batch",
        files=[("images", ("a.png", face_photo(2))), ("images", ("b", b"no photo"))],
    )
    api.identify(face_photo(1), mode="investigate")
    name = "oneglance_decisions_total"
    assert value(api, name, collection="default", decision="match") == 1
    assert value(api, name, collection="default", decision="unknown") == 2
    assert value(api, name, collection="default", decision="not_evaluated") == 1
    assert value(api, "oneglance_faces_per_photo_sum") == 4
    assert value(api, "oneglance_faces_per_photo_count") == 3


def test_stages_are_those_of_the_answers(api: Api) -> None:
    shown = api.identify(face_photo(1)).json()["timing_ms"]
    for stage, ms in shown.items():
        seconds = value(api, "oneglance_stage_seconds_sum", stage=stage)
        assert seconds == pytest.approx(ms / 1_000, abs=1e-5)
        assert value(api, "oneglance_stage_seconds_count", stage=stage) == 1


def test_collections_queues_and_bundles_as_they_stand(
    make_api: ApiMaker, make_bundle: BundleMaker
) -> None:
    api = make_api(further_bundle_paths=str(make_bundle(fit="pad", name="whole")))
    api.post("/v1/collections", json={"id": "things", "bundle": "whole"})
    api.enroll(face_photo(1), face_photo(2), name="Ada")
    for name, here, there in (("subjects", 1, 0), ("templates", 2, 0), ("revision", 1, 0)):
        assert value(api, f"oneglance_gallery_{name}", collection="default") == here
        assert value(api, f"oneglance_gallery_{name}", collection="things") == there
    assert value(api, "oneglance_gallery_up") == 1
    assert value(api, "oneglance_workers_threads") == 2
    assert value(api, "oneglance_workers_running") == 0
    assert value(api, "oneglance_calibration_age_seconds", collection="default") is None
    info = [dict(labels) for name, labels in samples(api) if name == "oneglance_bundle_info"]
    embedder = api.runtime.default.bundle.embedder
    by = {"runtime": "torchscript", "device": embedder.device, "precision": embedder.precision}
    told = [{"bundle": name, **by} for name in ("tiny@1.2.3", "whole@1.2.3")]
    assert sorted(info, key=lambda labels: labels["bundle"]) == told
    job = api.post("/v1/exports", json={}).json()["job"]
    api.runtime.jobs.wait(job["id"], timeout_s=30)
    assert value(api, "oneglance_jobs", status="succeeded") == 1
    assert value(api, "oneglance_jobs", status="queued") == 0


def test_of_a_gallery_that_cannot_be_read_nothing_else_is_said(api: Api) -> None:
    api.runtime.galleries.close()
    found = samples(api)
    assert found["oneglance_gallery_up", frozenset()] == 0
    assert not [name for name, _ in found if name == "oneglance_gallery_subjects"]
    assert found["oneglance_workers_threads", frozenset()] == 2


def test_nobody_is_in_it_nor_in_the_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made = api.enroll(face_photo(1), name="Ada Lovelace", subject_id="ada-1815").json()
    api.identify(face_photo(1))
    api.get("/v1/subjects/ada-1815")
    api.get("/v1/subjects", params={"name": "Ada Lovelace"})
    api.get(f"/v1/templates/{made['accepted'][0]['template_id']}")
    text = api.get("/metrics").text
    # The client of this test has a log of its own.
    said = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith("httpx"))
    for secret in ("Ada", "ada-1815", made["accepted"][0]["template_id"]):
        assert secret not in text
        assert secret not in said
    assert "GET /v1/subjects/{subject_id} 200 in " in said
    assert made["request_id"] in said


def test_openmetrics_where_it_is_asked_for(api: Api) -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    answer = api.get("/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_two_services_in_a_process_count_apart(make_api: ApiMaker, tmp_path: Path) -> None:
    one, other = make_api(), make_api(gallery=str(tmp_path / "other.sqlite3"))
    one.enroll(face_photo(1), name="Ada")
    one.identify(face_photo(1))
    name = "oneglance_decisions_total"
    assert value(one, name, collection="default", decision="match") == 1
    assert value(other, name, collection="default", decision="match") is None


def test_names_are_as_prometheus_wants_them(api: Api) -> None:
    names = {
        family.name
        for family in text_string_to_metric_families(api.get("/metrics").text)
        if family.name.startswith("oneglance_")
    }
    assert len(names) >= 10
    for name in names:
        assert re.fullmatch(r"oneglance_[a-z]+(_[a-z]+)*", name)
