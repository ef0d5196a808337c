"""Imports of many photos: each one once, a line for each, whatever happens in between."""

import io
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.errors import JobCancelledError
from service.imports.report import Report
from tests.conftest import NO_FACE, Api, ApiMaker, Face, check_problem, empty_postgres, face_photo

PHOTOS = {
    "ada/1.png": face_photo(1),
    "ada/2.png": face_photo(Face(1, noise=9)),
    "people/bob/1.png": face_photo(2),
    "cleo.png": face_photo(3),
    "ada/none.png": NO_FACE,
    "ada/two.png": face_photo(1, 2),
    "bob/words.txt": b"no image",
}
OUTCOMES = {"enrolled": 4, "rejected": 3}


def zipped(photos: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for path, data in photos.items():
            # Always of the same day: the same photos are the same bytes.
            archive.writestr(zipfile.ZipInfo(path), data, method)
    return buffer.getvalue()


def send(api: Api, archive: bytes, **fields: Any) -> httpx.Response:
    files: dict[str, Any] = {"archive": ("photos.zip", archive)}
    if "csv" in fields:
        files["csv"] = ("who.csv", fields.pop("csv"))
    return api.post("/v1/imports", files=files, data=fields)


def done(api: Api, archive: bytes, **fields: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The job's result and the lines of the report."""
    answer = send(api, archive, **fields)
    assert answer.status_code == 202, answer.text
    body = answer.json()
    job = api.runtime.jobs.wait(body["job"]["id"], timeout_s=30)
    assert job.status == "succeeded", job.error
    assert job.result["import_id"] == body["import_id"]
    return dict(job.result), report(api, body["import_id"])


def report(api: Api, import_id: str) -> list[dict[str, Any]]:
    answer = api.get(f"/v1/imports/{import_id}/report")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def counts(api: Api) -> dict[str | None, int]:
    """Templates by the subject's name."""
    page = api.runtime.default.gallery.subjects(limit=1000)
    return {subject.name: subject.template_count for subject in page.subjects}


def test_folders_are_subjects_and_each_photo_has_a_line(api: Api) -> None:
    result, lines = done(api, zipped(PHOTOS))
    assert result["outcomes"] == OUTCOMES
    assert result["photo_count"] == len(PHOTOS)
    assert [line["path"] for line in lines] == list(PHOTOS)
    assert counts(api) == {"ada": 2, "bob": 1, "cleo": 1}
    reasons = {line["path"]: line["reasons"] for line in lines if line["outcome"] == "rejected"}
    assert reasons["ada/two.png"][0] == "multiple_faces"
    assert reasons["bob/words.txt"] == ["not_an_image"]
    assert api.who(face_photo(2)) == "bob"
    gallery = api.runtime.default.gallery
    for line in lines:
        if line["outcome"] == "enrolled":
            assert gallery.template(line["template_id"]).subject_id == line["subject_id"]
    gallery.verify()


def test_the_same_import_again_enrols_nobody_and_says_the_same(api: Api) -> None:
    first = done(api, zipped(PHOTOS))
    again = done(api, zipped(PHOTOS))
    assert again[1] == first[1]
    assert again[0] == {**first[0], "done_before_count": len(PHOTOS)}
    assert counts(api) == {"ada": 2, "bob": 1, "cleo": 1}


def test_other_options_and_a_larger_zip_store_no_photo_twice(api: Api) -> None:
    done(api, zipped(PHOTOS))
    result, _ = done(
        api, zipped({**PHOTOS, "cleo/2.png": face_photo(Face(3, noise=5))}), face_policy="largest"
    )
    assert result["outcomes"] == {"already_enrolled": 4, "enrolled": 2, "rejected": 2}
    assert counts(api) == {"ada": 3, "bob": 1, "cleo": 2}


def test_the_same_bytes_are_a_template_of_each_subject_that_has_them_and_once(api: Api) -> None:
    one = face_photo(1)
    result, _ = done(api, zipped({"a/1.png": one, "a/2.png": one, "b/1.png": one}))
    assert result["outcomes"] == {"enrolled": 2, "already_enrolled": 1}
    assert counts(api) == {"a": 1, "b": 1}


@pytest.mark.parametrize("backend", ["file", "postgres"])
@pytest.mark.parametrize("stop_after", range(5))
def test_killed_before_a_line_is_written_it_goes_on_and_doubles_nothing(
    make_api: ApiMaker,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    backend: str,
    stop_after: int,
) -> None:
    where = {}
    if backend == "postgres":
        where["gallery"] = request.getfixturevalue("shared_postgres_dsn")
        empty_postgres(where["gallery"])
    api = make_api(**where)
    plain = Report.add

    def add(self: Report, line: Any) -> None:
        if line.index == stop_after:
            # As a kill between the gallery's commit and the line, in the midst of its writing.
            self._file.write(b'{"index": 0, "pa')
            raise JobCancelledError
        plain(self, line)

    with monkeypatch.context() as patched:
        patched.setattr(Report, "add", add)
        body = send(api, zipped(PHOTOS)).json()
        assert api.runtime.jobs.wait(body["job"]["id"], timeout_s=30).status == "failed"
    assert [line["index"] for line in report(api, body["import_id"])] == list(range(stop_after))
    result, lines = done(api, zipped(PHOTOS))
    assert result["done_before_count"] == stop_after
    assert [line["index"] for line in lines] == list(range(len(PHOTOS)))
    outcomes = Counter(line["outcome"] for line in lines)
    assert outcomes["enrolled"] + outcomes["already_enrolled"] == 4
    assert outcomes["already_enrolled"] == (stop_after < 4)
    assert counts(api) == {"ada": 2, "bob": 1, "cleo": 1}
    api.runtime.default.gallery.verify()


def test_a_collection_made_anew_is_imported_into_anew(api: Api) -> None:
    for _ in range(2):
        assert api.post("/v1/collections", json={"id": "staff"}).status_code == 201
        result, _ = done(api, zipped(PHOTOS), collection="staff")
        assert result["outcomes"] == OUTCOMES
        assert api.delete("/v1/collections/staff").status_code == 204
    assert counts(api) == {}


def test_a_subject_that_is_there_keeps_its_name(api: Api) -> None:
    api.enroll(face_photo(1), name="Ada Lovelace", external_id="ada")
    assert done(api, zipped(PHOTOS))[0]["outcomes"] == OUTCOMES
    assert counts(api) == {"Ada Lovelace": 3, "bob": 1, "cleo": 1}


def test_duplicates_are_named_or_rejected(api: Api) -> None:
    api.enroll(face_photo(1), name="Ada", subject_id="ada-1")
    photos = {"other/1.png": face_photo(Face(1, noise=4))}
    _, (line,) = done(api, zipped(photos), duplicate_check="reject")
    assert (line["outcome"], line["reasons"]) == ("rejected", ["possible_duplicate"])
    _, (line,) = done(api, zipped(photos))
    # As an enrolment of that photo says it.
    answer = api.enroll(photos["other/1.png"], name="x", dry_run="true").json()
    assert line["outcome"] == "enrolled"
    (warning,) = line["warnings"]
    assert warning in answer["warnings"]
    assert (warning["code"], warning["subject_id"]) == ("possible_duplicate", "ada-1")


def test_what_systems_put_beside_photos_is_no_photo_and_names_escape_to_nowhere(
    api: Api, tmp_path: Path
) -> None:
    photos = {
        "__MACOSX/ada/._1.png": b"x",
        "ada/.DS_Store": b"x",
        "../../ada/1.png": face_photo(1),
        "/etc/x.png": face_photo(2),
    }
    before = set(tmp_path.parent.iterdir())
    result, lines = done(api, zipped(photos))
    assert result["photo_count"] == len(lines) == 2
    assert counts(api) == {"ada": 1, "etc": 1}
    assert set(tmp_path.parent.iterdir()) == before


def test_names_that_no_subject_can_have_are_rejected_in_words(api: Api) -> None:
    _, lines = done(api, zipped({f"{'x' * 200}/1.png": face_photo(1), "a\x07b/1.png": NO_FACE}))
    assert [line["outcome"] for line in lines] == ["rejected"] * 2
    assert lines[0]["reasons"] == ["invalid_request"]
    assert "external id" in lines[0]["detail"]


def test_files_that_cannot_be_read_from_the_zip_are_rejected_and_the_rest_taken(
    make_api: ApiMaker,
) -> None:
    api = make_api(max_image_bytes=50_000)
    bomb = zipped({"bomb/1.png": b"\0" * 60_000, "ada/1.png": face_photo(1)})
    _, lines = done(api, bomb)
    assert [line["reasons"] for line in lines] == [["image_too_large"], []]
    _, lines = done(api, zipped({"ada/1.png": face_photo(1)}, zipfile.ZIP_LZMA))
    assert lines[0]["reasons"] == ["unknown_compression"]
    stored = zipped({"a/1.png": face_photo(5), "b/1.png": face_photo(6)}, zipfile.ZIP_STORED)
    spot = stored.index(face_photo(5)) + 60
    torn = stored[:spot] + bytes([stored[spot] ^ 1]) + stored[spot + 1 :]
    _, lines = done(api, torn)
    assert [line["reasons"] for line in lines] == [["damaged_entry"], []]


def test_a_table_says_who_is_on_which_photo(api: Api) -> None:
    photos = {"x/1.png": face_photo(1), "x/2.png": face_photo(2), "x/3.png": face_photo(3)}
    table = (
        "path,subject_id,name,external_id,metadata\r\n"
        'x/1.png,s-1,"Lovelace, Ada",,"{""team"": ""blue""}"\r\n'
        "x/2.png,,Bob,b-2,\r\n"
    ).encode("utf-8-sig")
    result, _ = done(api, zipped(photos), csv=table)
    assert result["outcomes"] == {"enrolled": 3}
    subjects = api.runtime.default.gallery.subjects(limit=9).subjects
    assert [(s.name, s.external_id, s.metadata) for s in subjects] == [
        ("Lovelace, Ada", None, {"team": "blue"}),
        ("Bob", "b-2", {}),
        ("x", "x", {}),
    ]
    assert subjects[0].id == "s-1"
    assert done(api, zipped(photos), csv=table)[0]["done_before_count"] == 3
    other = table.replace(b"Bob", b"Bobby")
    _, lines = done(api, zipped({**photos, "x/2.png": face_photo(5)}), csv=other)
    assert lines[1]["reasons"] == ["subject_conflict"]


def test_a_table_keeps_the_ids_of_templates(api: Api) -> None:
    photos = {"ada/1.png": face_photo(1), "bob/1.png": face_photo(2), "bob/2.png": face_photo(3)}
    table = b"path,template_id\nada/1.png,first\nbob/1.png,00ff\n"
    _, lines = done(api, zipped(photos), csv=table)
    assert [line["template_id"] for line in lines[:2]] == ["first", "00ff"]
    gallery = api.runtime.default.gallery
    assert gallery.template("first").subject_id == lines[0]["subject_id"]
    # With another option it is another import, and finds them there.
    _, again = done(api, zipped(photos), csv=table, face_policy="largest")
    assert [line["outcome"] for line in again] == ["already_enrolled"] * 3
    assert [line["template_id"] for line in again] == [line["template_id"] for line in lines]
    # An id is free once in a database: another collection gets its own ones, and loses nothing.
    assert api.post("/v1/collections", json={"id": "staff"}).status_code == 201
    for outcome in ("enrolled", "already_enrolled"):
        policy = "single" if outcome == "enrolled" else "largest"
        _, there = done(api, zipped(photos), csv=table, collection="staff", face_policy=policy)
        assert [line["outcome"] for line in there] == [outcome] * 3
        assert not {line["template_id"] for line in there} & {"first", "00ff"}
    assert gallery.template_count == 3


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (b"path,template_id\nada/1.png,a/b\n", "template id"),
        (b"path,template_id\nada/1.png,x\nada/2.png,x\n", "another photo's"),
        (b"", "first line"),
        (b"path,who\nada/1.png,x\n", "first line"),
        (b"path,name\nnowhere.png,x\n", "Line 2"),
        (b"path,name\nada/1.png,x\nada/1.png,y\n", "Line 3"),
        (b"path,name\nada/1.png\n", "cells"),
        (b"path,name\nada/1.png,x,y\n", "cells"),
        (b"path,metadata\nada/1.png,[1]\n", "object"),
        (b"path,metadata\nada/1.png,{\n", "JSON"),
        (b"path,name\n,x\n", "no path"),
        (b"path,name\nada/1.png,\xff\n", "UTF-8"),
        (b'path,name\nada/1.png,"x\n', "not CSV"),
    ],
)
def test_a_table_that_is_none_is_refused_in_words(api: Api, table: bytes, words: str) -> None:
    problem = check_problem(send(api, WHOLE, csv=table), 422, "invalid_request")
    assert words in problem["detail"]
    assert problem["errors"][0]["field"] == "csv"


WHOLE = zipped(PHOTOS)


@pytest.mark.parametrize("archive", [b"", b"no zip", WHOLE[:-30], WHOLE[: len(WHOLE) // 2]])
def test_what_is_no_zip_is_refused_in_words(api: Api, archive: bytes) -> None:
    problem = check_problem(send(api, archive), 422, "invalid_request")
    assert "zip" in problem["detail"]
    assert problem["errors"][0]["field"] == "archive"


def test_every_damage_to_the_directory_is_refused_or_read_and_never_an_error_of_ours(
    api: Api,
) -> None:
    small = zipped({"a/1.png": b"x"}, zipfile.ZIP_STORED)
    for place in range(len(small)):
        torn = small[:place] + bytes([small[place] ^ 0xFF]) + small[place + 1 :]
        answer = send(api, torn)
        assert answer.status_code in (202, 422), (place, answer.text)
        if answer.status_code == 202:
            job = api.runtime.jobs.wait(answer.json()["job"]["id"], timeout_s=30)
            assert job.status == "succeeded", (place, job.error)


def test_too_many_files_and_none_are_refused(make_api: ApiMaker) -> None:
    api = make_api(max_import_photos=3)
    assert "3 files" in check_problem(send(api, WHOLE), 422, "invalid_request")["detail"]
    huge = zipped({f"{'d' * 250}/{i}.png": b"" for i in range(400)})
    assert "3 files" in check_problem(send(api, huge), 422, "invalid_request")["detail"]
    assert "no files" in check_problem(send(api, zipped({})), 422, "invalid_request")["detail"]


def test_an_import_may_be_larger_than_other_requests_and_has_its_own_limit(
    make_api: ApiMaker,
) -> None:
    api = make_api(max_body_bytes=5_000, max_import_bytes=500_000, max_image_bytes=50_000)
    assert len(WHOLE) > 5_000
    assert done(api, WHOLE)[0]["outcomes"] == OUTCOMES
    check_problem(api.identify(face_photo(1)), 413, "body_too_large")
    check_problem(send(api, b"\0" * 500_001), 413, "body_too_large")


@pytest.mark.parametrize("import_id", ["x", "..", "0" * 64, "%2e%2e%2fgallery"])
def test_an_import_that_is_not_there_has_no_report(api: Api, import_id: str) -> None:
    answer = api.get(f"/v1/imports/{import_id}/report")
    assert answer.status_code == 404


def test_nothing_but_the_report_is_left_in_the_folder(api: Api) -> None:
    _, lines = done(api, WHOLE)
    folder = api.runtime.settings.imports_folder
    (only,) = folder.iterdir()
    assert only.suffix == ".jsonl"
    assert only.stat().st_mode & 0o077 == 0
    assert len(lines) == len(PHOTOS)


def test_a_folder_that_cannot_be_written_is_said(make_api: ApiMaker, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    api = make_api(import_path=tmp_path / "taken")
    problem = check_problem(send(api, WHOLE), 503, "gallery_unavailable")
    assert "taken" in problem["detail"]
