"""Exports over HTTP: a job, a file that another gallery can read, and its end."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from index.gallery import Gallery
from index.portable.importing import import_file
from service.exports import Exports
from tests.conftest import Api, ApiMaker, check_problem, empty_postgres, face_photo


def exported(api: Api, **wanted: Any) -> tuple[dict[str, Any], bytes]:
    """The job's result and the file."""
    answer = api.post("/v1/exports", json=wanted)
    assert answer.status_code == 202, answer.text
    job = api.runtime.jobs.wait(answer.json()["job"]["id"], timeout_s=30)
    assert job.status == "succeeded", job.error
    assert job.result["export_id"] == answer.json()["export_id"]
    file = api.get(f"/v1/exports/{job.result['export_id']}/file")
    assert file.status_code == 200
    assert int(file.headers["content-length"]) == len(file.content) == job.result["bytes"]
    return dict(job.result), file.content


@pytest.mark.parametrize("backend", ["file", "postgres"])
@pytest.mark.parametrize("crops", [True, False])
def test_the_file_is_the_collection(
    make_api: ApiMaker, request: pytest.FixtureRequest, tmp_path: Path, backend: str, crops: bool
) -> None:
    where: dict[str, Any] = {"export_path": tmp_path / "e"}
    if backend == "postgres":
        where["gallery"] = request.getfixturevalue("shared_postgres_dsn")
        empty_postgres(where["gallery"])
    api = make_api(**where)
    api.enroll(face_photo(1), face_photo(1), name="Ada", store_image="crop")
    api.enroll(face_photo(2), name="Bob", metadata='{"a": 1}')
    result, data = exported(api, crops=crops)
    assert (result["subject_count"], result["template_count"]) == (2, 3)
    (tmp_path / "f").write_bytes(data)
    source = api.runtime.default.gallery
    target = Gallery.open(tmp_path / "other.db", source.contract)
    try:
        list(import_file(target, tmp_path / "f"))
        assert target.subjects(limit=9).subjects == source.subjects(limit=9).subjects
        for subject in source.subjects(limit=9).subjects:
            for template in source.templates(subject.id):
                assert target.crop(template.id) == (source.crop(template.id) if crops else None)
    finally:
        target.close()


def test_another_collection_and_none(api: Api) -> None:
    assert api.post("/v1/collections", json={"id": "staff"}).status_code == 201
    api.enroll(face_photo(1), name="Ada", collection="staff")
    assert exported(api, collection="staff")[0]["subject_count"] == 1
    assert exported(api)[0]["subject_count"] == 0
    answer = api.post("/v1/exports", json={"collection": "nowhere"})
    check_problem(answer, 404, "collection_not_found")
    check_problem(api.post("/v1/exports", json={"crop": True}), 422, "invalid_request")


@pytest.mark.parametrize("export_id", ["x", "0" * 32, "%2e%2e"])
def test_a_file_that_is_not_there(api: Api, export_id: str) -> None:
    answer = api.get(f"/v1/exports/{export_id}/file")
    assert answer.status_code == 404


def test_a_file_is_gone_when_its_time_is_over(api: Api) -> None:
    first, _ = exported(api)
    second, _ = exported(api)
    folder = api.runtime.settings.exports_folder
    old = time.time() - 24 * 3600 - 1
    (path,) = folder.glob(f"{first['export_id']}*")
    assert path.stat().st_mode & 0o077 == 0
    os.utime(path, (old, old))
    check_problem(api.get(f"/v1/exports/{first['export_id']}/file"), 404, "export_not_found")
    assert [p.name.split(".")[0] for p in folder.iterdir()] == [second["export_id"]]


def test_what_an_earlier_process_left_is_removed_at_the_start(tmp_path: Path) -> None:
    for name in ("a.oneglance", "b.oneglance.part", "mine.txt"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / "new.oneglance").write_bytes(b"x")
    Exports(tmp_path, keep_s=3600).close()
    assert {p.name for p in tmp_path.iterdir()} == {"mine.txt", "new.oneglance"}


def test_a_folder_that_cannot_be_written_fails_the_job_in_words(
    make_api: ApiMaker, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    api = make_api(export_path=tmp_path / "taken")
    job_id = api.post("/v1/exports", json={}).json()["job"]["id"]
    api.runtime.jobs.wait(job_id, timeout_s=30)
    problem = api.get(f"/v1/jobs/{job_id}").json()["error"]
    assert problem["code"] == "gallery_unavailable"
    assert "taken" in problem["detail"]
