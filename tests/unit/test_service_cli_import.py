"""`oneglance import`: zips and folders, what is said and reported, and going on after a stop."""

import json
import os
import stat
import tempfile
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

import service.client
from service import cli
from service.client import Client
from service.commands.folder_zip import folder_zip
from service.imports.report import Report
from tests.commands import Run, Through, all_through, runner
from tests.conftest import NO_FACE, Api, ApiMaker, Face, face_photo
from tests.unit.test_service_imports import OUTCOMES, PHOTOS, counts, zipped


@pytest.fixture
def through(api: Api, no_settings: pytest.MonkeyPatch) -> Through:
    """What takes the commands' requests to the application."""
    return all_through(api, no_settings)


@pytest.fixture
def oneglance(through: Through, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; the lines of its answer, or with fails=True the one line of its refusal."""
    return runner(capsys)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "people.zip"
    path.write_bytes(zipped(PHOTOS))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same photos in a folder, with what is hidden."""
    people = tmp_path / "people"
    for name, photo in {**PHOTOS, ".hidden/1.png": b"x", "ada/.DS_Store": b"x"}.items():
        (people / name).parent.mkdir(parents=True, exist_ok=True)
        (people / name).write_bytes(photo)
    return people


def lines_of(report: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in report.read_text().splitlines()]


def test_a_zip_is_enrolled_and_each_photo_reported(
    oneglance: Run, api: Api, archive: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.jsonl"
    said = oneglance("import", archive, "--report", report)
    assert counts(api) == {"ada": 2, "bob": 1, "cleo": 1}
    assert said[-2:] == [
        f"{archive}: 7 photos",
        "4 enrolled, 0 enrolled already, 3 not taken (no_face 1, multiple_faces 1, not_an_image 1)",
    ]
    assert [line.split(":")[0] for line in said[:-2]] == [
        "ada/none.png",
        "ada/two.png",
        "bob/words.txt",
    ]
    assert said[0].startswith("ada/none.png: not taken (no_face): ")
    lines = lines_of(report)
    assert [line["path"] for line in lines] == list(PHOTOS)
    for line in lines:
        if line["outcome"] == "enrolled":
            template = api.runtime.default.gallery.template(line["template_id"])
            assert template.subject_id == line["subject_id"]
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


def test_a_folder_is_the_same_import_each_time(
    oneglance: Run, api: Api, folder: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    oneglance("import", folder, "--report", first)
    assert counts(api) == {"ada": 2, "bob": 1, "cleo": 1}
    assert {line["path"] for line in lines_of(first)} == set(PHOTOS)
    for path in folder.rglob("*.png"):
        os.utime(path, (1, 1))
    (answer,) = oneglance("import", folder, "--json", "--report", second)
    assert json.loads(answer)["done_before_count"] == len(PHOTOS)
    assert json.loads(answer)["outcomes"] == OUTCOMES
    assert lines_of(second) == lines_of(first)


def test_all_options_and_a_table_are_sent(oneglance: Run, api: Api, tmp_path: Path) -> None:
    archive, table = tmp_path / "x.zip", tmp_path / "who.csv"
    archive.write_bytes(zipped({"1.png": face_photo(Face(1, 140), 2)}))
    table.write_text("path,subject_id,name\n1.png,ada-1,Ada\n")
    assert api.post("/v1/collections", json={"id": "staff"}).status_code == 201
    said = oneglance(
        "import", archive, "--csv", table, "--collection", "staff", "--store-image", "crop",
        "--face-policy", "largest", "--quality", "off", "--duplicate-check", "off",
    )  # fmt: skip
    assert said[-1] == "1 enrolled, 0 enrolled already, 0 not taken"
    gallery = api.runtime.collections.of("staff").gallery
    assert gallery.subject("ada-1").name == "Ada"
    assert [template.has_crop for template in gallery.templates("ada-1")] == [True]


def test_possible_duplicates_are_said(oneglance: Run, api: Api, tmp_path: Path) -> None:
    api.enroll(face_photo(1), subject_id="ada-1")
    archive = tmp_path / "x.zip"
    archive.write_bytes(zipped({"a\x1bda/1.png": face_photo(Face(1, noise=4))}))
    said = oneglance("import", archive, "--duplicate-check", "warn")
    assert said[-1] == "0 enrolled, 0 enrolled already, 1 not taken (invalid_request 1)"
    # A name that would do something to a terminal is shown as text.
    assert said[0].startswith("'a\\x1bda/1.png': not taken")
    archive.write_bytes(zipped({"ada/1.png": face_photo(Face(1, noise=4))}))
    said = oneglance("import", archive)
    assert said[0].startswith("ada/1.png: warning: ")
    assert "ada-1" in said[0]
    assert said[-1] == "1 look like other subjects, too"


@pytest.mark.parametrize("how", ["restart", "silence", "closing"])
def test_a_service_that_stops_is_said_and_the_same_command_goes_on(
    oneglance: Run, through: Through, api: Api, archive: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, how: str,
) -> None:  # fmt: skip
    report = tmp_path / "report.jsonl"
    stopped: list[str] = []
    plain = Report.add

    def add(self: Report, line: Any) -> None:
        plain(self, line)
        if line.index == 2 and not stopped:
            stopped.append(how)
            raise KeyError("the process was killed here")

    monkeypatch.setattr(Report, "add", add)

    def instead(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.startswith("/v1/jobs/"):
            return None
        api.runtime.jobs.wait(request.url.path.rpartition("/")[2], timeout_s=30)
        if how == "silence":
            raise httpx.ConnectError("nobody is there", request=request)
        code, status = ("job_not_found", 404) if how == "restart" else ("job_cancelled", 503)
        problem = {
            "type": "/problems/x", "title": "x", "status": status, "detail": "x", "instance": "/x",
            "code": code, "request_id": "1", "errors": [],
        }  # fmt: skip
        return httpx.Response(status, json=problem)

    through.instead = instead
    (line,) = oneglance("import", archive, "--report", report, fails=True)
    assert "in the midst of the import" in line
    assert "give the same command again" in line
    assert not report.exists()
    through.instead = lambda _: None
    said = oneglance("import", archive, "--report", report)
    assert f"{archive}: 7 photos, 3 of them in an earlier run" in said
    assert counts(api) == {"ada": 2, "bob": 1, "cleo": 1}
    assert len(lines_of(report)) == 7
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Name a zip or a folder"),
        (["nowhere.zip"], "There is no file nowhere.zip"),
        (["{archive}", "--csv", "nowhere.csv"], "There is no file nowhere.csv"),
        (["{archive}", "--report", "nowhere/r.jsonl"], "There is no folder nowhere"),
        (["{archive}", "--report", "."], "is a folder"),
        (["{archive}", "--compreface-key", "x"], "leave them out"),
        (["{archive}", "--from-compreface", "x"], "not both"),
        (["{archive}", "--collection", "nowhere"], "404 collection_not_found"),
        (["{text}"], "422 invalid_request"),
        (["{empty}"], "has no files"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_said_in_one_line(
    oneglance: Run, api: Api, archive: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    (tmp_path / "words.zip").write_text("no zip")
    (tmp_path / "empty").mkdir()
    places = {"archive": archive, "text": tmp_path / "words.zip", "empty": tmp_path / "empty"}
    (line,) = oneglance("import", *(word.format(**places) for word in words), fails=True)
    assert said in line
    assert counts(api) == {}


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"max_import_bytes": 5_000}, "413 body_too_large"),
        ({"max_import_photos": 2}, "422 invalid_request"),
    ],
)
def test_too_many_bytes_or_photos_for_the_service(
    make_api: ApiMaker, no_settings: pytest.MonkeyPatch, archive: Path,
    capsys: pytest.CaptureFixture[str], limit: dict[str, int], code: str,
) -> None:  # fmt: skip
    transport = Through(make_api(**limit))
    no_settings.setattr(service.client, "Client", partial(Client, transport=transport))
    assert cli.main(["import", str(archive)]) == 1
    assert code in capsys.readouterr().err


def test_a_packed_folder_is_a_file_without_a_name_of_the_same_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with folder_zip(folder) as file:
        data = file.read()
        assert list((tmp_path / "tmp").iterdir()) == []
        with zipfile.ZipFile(file) as packed:
            assert {name: packed.read(name) for name in packed.namelist()} == PHOTOS
            assert packed.namelist() == sorted(PHOTOS, key=lambda name: ("/" in name, name))
    (folder / "ada" / "1.png").touch()
    with folder_zip(folder) as file:
        assert file.read() == data


def test_a_name_that_is_no_text_and_a_folder_that_cannot_be_read_are_said(
    oneglance: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / os.fsdecode(b"\xff.png")).write_bytes(NO_FACE)
    (line,) = oneglance("import", folder, fails=True)
    assert "rename it" in line
    plain = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("ada"):
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(os, "scandir", refusing)
    (line,) = oneglance("import", folder, fails=True)
    assert "Permission denied" in line


def test_no_room_to_pack_a_folder_is_said(
    oneglance: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "open", full)
    (line,) = oneglance("import", folder, fails=True)
    assert "No space left on device" in line
    assert "TMPDIR" in line
