"""`oneglance enroll --folder`: who is enrolled, what is reported, and going on after a stop."""

import json
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

import service.client
from benchmarks.asgi import AsgiTransport
from service import cli
from service.client import Client
from service.schemas import Problem
from tests.conftest import Api, ApiMaker, face_photo

Answer = Callable[[httpx.Request], httpx.Response]


class Killed(BaseException):
    """What ends the command as a kill would: nothing of ours catches it."""


class Through(AsgiTransport):
    """To the application.

    dying: the answer of that request, from 1, never arrives. under_way: so many requests are told
    that the same one is worked on.
    """

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.sent = 0
        self.dying: int | None = None
        self.under_way = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.under_way > 0:
            self.under_way -= 1
            problem = Problem(
                type="/problems/request-under-way", title="", status=409, detail="Wait.",
                instance="/v1/enroll", code="request_under_way", request_id="1",
            )  # fmt: skip
            return httpx.Response(409, json=problem.model_dump())
        answer = super().handle_request(request)
        self.sent += 1
        if self.sent == self.dying:
            raise Killed
        return answer


def through(api: Api, patch: pytest.MonkeyPatch) -> Through:
    transport = Through(api)
    patch.setattr(service.client, "Client", partial(Client, transport=transport))
    return transport


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """ada with two photos, ben with one and one without a face; what is hidden or beside them."""
    people = tmp_path / "people"
    for name, photos in {
        "ada": [face_photo(1), face_photo(1)],
        "ben": [face_photo(2), face_photo()],
        "nobody": [],
        ".hidden": [face_photo(3)],
    }.items():
        (people / name).mkdir(parents=True)
        for number, photo in enumerate(photos):
            (people / name / f"{number}.png").write_bytes(photo)
    (people / "beside.txt").write_text("nobody's")
    (people / "ada" / ".DS_Store").write_text("hidden")
    return people


def reported(report: Path) -> list[dict[str, Any]]:
    """The lines of the photos."""
    return [json.loads(line) for line in report.read_text().splitlines()][1:]


def templates(api: Api) -> dict[str | None, int]:
    found = api.runtime.default.gallery.subjects(limit=100).subjects
    assert all(subject.name == subject.external_id for subject in found)
    return {subject.name: subject.template_count for subject in found}


def test_each_sub_folder_is_a_subject_and_each_photo_is_reported(
    api: Api, folder: Path, tmp_path: Path, no_settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    through(api, no_settings)
    report = tmp_path / "report.jsonl"
    assert cli.main(["enroll", "--folder", str(folder), "--report", str(report)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert templates(api) == {"ada": 2, "ben": 1}
    lines = reported(report)
    assert [(line["photo"], line["status"]) for line in lines] == [
        ("ada/0.png", "enrolled"),
        ("ada/1.png", "enrolled"),
        ("ben/0.png", "enrolled"),
        ("ben/1.png", "rejected"),
    ]
    assert lines[3]["reasons"] == ["no_face"]
    gallery = api.runtime.default.gallery
    for line in lines[:3]:
        assert gallery.template(line["template_id"]).subject_id == line["subject_id"]
        assert gallery.subject(line["subject_id"]).name == line["subject"]
    assert said.out.splitlines()[-1] == (
        "2 subjects: 3 photos enrolled, 1 not taken, 0 reported before"
    )
    assert any(line.startswith("ben/1.png: not taken (no_face): ") for line in said.out.split("\n"))
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


def test_a_second_run_sends_only_what_is_new_or_asked_for(
    api: Api, folder: Path, tmp_path: Path, no_settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    transport = through(api, no_settings)
    words = ["enroll", "--folder", str(folder), "--report", str(tmp_path / "report.jsonl")]
    assert cli.main(words) == 0
    assert transport.sent == 2
    capsys.readouterr()
    assert cli.main(words) == 0
    assert transport.sent == 2
    assert capsys.readouterr().out.splitlines() == [
        "2 subjects: 0 photos enrolled, 0 not taken, 4 reported before"
    ]
    (folder / "nobody" / "0.png").write_bytes(face_photo(5))
    (folder / "ben" / "1.png").write_bytes(face_photo(2))
    assert cli.main(words) == 0
    assert templates(api) == {"ada": 2, "ben": 1, "nobody": 1}
    capsys.readouterr()
    assert cli.main([*words, "--retry-rejected", "--json"]) == 0
    assert templates(api) == {"ada": 2, "ben": 2, "nobody": 1}
    (line,) = capsys.readouterr().out.splitlines()
    assert (json.loads(line)["photo"], json.loads(line)["status"]) == ("ben/1.png", "enrolled")


def test_a_dry_run_of_a_folder_says_what_would_be_and_stores_nothing(
    api: Api, folder: Path, tmp_path: Path, no_settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    through(api, no_settings)
    words = ["enroll", "--folder", str(folder), "--dry-run"]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "2 subjects: 3 photos would be enrolled, 1 not taken, 0 reported before"
    )
    assert cli.main([*words, "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["status"], line["subject_id"], line["template_id"]) for line in said] == [
        ("accepted", None, None),
        ("accepted", None, None),
        ("accepted", None, None),
        ("rejected", None, None),
    ]
    assert cli.main([*words, "--report", str(tmp_path / "r")]) == 1
    assert "leave --report or --dry-run out" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
    assert api.runtime.default.gallery.revision == 0


@pytest.mark.parametrize("dying", range(1, 8))
def test_a_kill_at_any_request_loses_and_doubles_nobody(
    api: Api, folder: Path, tmp_path: Path, no_settings: pytest.MonkeyPatch, dying: int
) -> None:
    """The worst kill: the service has stored the photos, and the command never heard of it."""
    for number in range(2, 45):
        (folder / "ada" / f"{number}.png").write_bytes(face_photo(1))
    for seed in (11, 12):
        (folder / f"s{seed}").mkdir()
        (folder / f"s{seed}" / "0.png").write_bytes(face_photo(seed))
    transport = through(api, no_settings)
    transport.dying = dying
    report = tmp_path / "report.jsonl"
    words = ["enroll", "--folder", str(folder), "--report", str(report)]
    # ada 3 requests, ben 1, the others 1 each.
    if dying <= 6:
        with pytest.raises(Killed):
            cli.main(words)
        with report.open("a") as file:
            file.write('{"photo": "torn')
    assert cli.main(words) == 0
    assert templates(api) == {"ada": 45, "ben": 1, "s11": 1, "s12": 1}
    names = [line["photo"] for line in reported(report)]
    assert len(names) == len(set(names)) == 49


def test_what_the_service_still_works_on_is_waited_for(
    api: Api, folder: Path, no_settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    transport = through(api, no_settings)
    no_settings.setattr("service.commands.enroll_folder.PAUSE_S", 0)
    transport.under_way = 3
    assert cli.main(["enroll", "--folder", str(folder)]) == 0
    assert templates(api) == {"ada": 2, "ben": 1}
    no_settings.setattr("service.commands.enroll_folder.UNDER_WAY_S", 0)
    transport.under_way = 1_000_000
    capsys.readouterr()
    assert cli.main(["enroll", "--folder", str(folder)]) == 1
    assert "request_under_way" in capsys.readouterr().err


def test_a_new_report_enrols_anew_also_who_was_removed_meanwhile(
    api: Api, folder: Path, tmp_path: Path, no_settings: pytest.MonkeyPatch
) -> None:
    through(api, no_settings)
    words = ["enroll", "--folder", str(folder), "--report"]
    assert cli.main([*words, str(tmp_path / "1.jsonl")]) == 0
    gallery = api.runtime.default.gallery
    for subject in gallery.subjects(limit=10).subjects:
        api.delete(f"/v1/subjects/{subject.id}")
    assert cli.main([*words, str(tmp_path / "2.jsonl")]) == 0
    assert templates(api) == {"ada": 2, "ben": 1}


def test_what_one_subject_is_refused_for_does_not_stop_the_others(
    api: Api, folder: Path, tmp_path: Path, no_settings: pytest.MonkeyPatch
) -> None:
    through(api, no_settings)
    api.enroll(face_photo(1), external_id="ada", name="Somebody else", subject_id="x")
    (folder / "ben" / "0.png").write_text("no picture")
    (folder / "cleo").mkdir()
    (folder / "cleo" / "0.png").write_bytes(b"")
    (folder / "dan").mkdir()
    (folder / "dan" / "0.png").write_bytes(face_photo(6))
    report = tmp_path / "report.jsonl"
    assert cli.main(["enroll", "--folder", str(folder), "--report", str(report)]) == 0
    assert [(line["photo"], line["reasons"]) for line in reported(report)] == [
        ("ada/0.png", ["subject_conflict"]),
        ("ada/1.png", ["subject_conflict"]),
        ("ben/0.png", ["not_an_image"]),
        ("ben/1.png", ["no_face"]),
        ("cleo/0.png", ["empty_file"]),
        ("dan/0.png", []),
    ]


@pytest.mark.parametrize("limit", [{"max_images_per_request": 3}, {"max_body_bytes": 40_000}])
def test_a_service_that_takes_fewer_at_a_time(
    make_api: ApiMaker, folder: Path, no_settings: pytest.MonkeyPatch, limit: dict[str, int]
) -> None:
    for number in range(2, 8):
        (folder / "ada" / f"{number}.png").write_bytes(face_photo(1))
    api = make_api(**limit)
    through(api, no_settings)
    assert sum(p.stat().st_size for p in (folder / "ada").iterdir()) > 40_000
    assert cli.main(["enroll", "--folder", str(folder)]) == 0
    assert templates(api) == {"ada": 8, "ben": 1}


def test_what_is_wrong_with_all_stops_it_in_one_line(
    api: Api, folder: Path, tmp_path: Path, no_settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    through(api, no_settings)
    report = tmp_path / "report.jsonl"
    words = ["enroll", "--folder", str(folder), "--report", str(report)]

    def refusal(*more: str) -> str:
        assert cli.main([*words, *more]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "404 collection_not_found" in refusal("--collection", "nowhere")
    assert "another folder or collection" in refusal()
    report.write_text("a letter\n")
    assert "is not a report" in refusal()
    report.write_text("a letter")
    assert "is not a report" in refusal()
    assert report.read_text() == "a letter"
    report.write_text('{"run": "torn')
    assert cli.main(words) == 0
    assert len(reported(report)) == 4
    os.remove(report)
    report.mkdir()
    assert str(report) in refusal()
