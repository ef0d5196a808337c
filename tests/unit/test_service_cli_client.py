"""`oneglance enroll`, `identify` and others: what they ask the real application, and say."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import service.client
from service import cli
from service.client import Client
from tests.commands import Run, Through, all_through, runner
from tests.conftest import Api, Face, face_photo


@pytest.fixture
def through(api: Api, no_settings: pytest.MonkeyPatch) -> Through:
    """What takes the commands' requests to the application."""
    return all_through(api, no_settings)


@pytest.fixture
def oneglance(through: Through, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; the lines of its answer, or with fails=True the one line of its refusal."""
    return runner(capsys)


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., Path]:
    """photo("ada.png", 1) -> a file with the face of seed 1."""

    def write(name: str, *faces: Face | int) -> Path:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(face_photo(*faces))
        return path

    return write


Photo = Callable[..., Path]


def test_enroll_with_all_facts(oneglance: Run, photo: Photo, api: Api) -> None:
    one, empty = photo("1.png", 1), photo("none.png")
    lines = oneglance(
        "enroll", one, empty, "--name", "Ada", "--external-id", "1815", "--subject-id", "ada",
        "--metadata", '{"team": "blue"}', "--consent-ref", "form 1", "--expires-at",
        "2999-01-01T00:00:00Z", "--store-image", "crop", "--quality", "off", "--face-policy",
        "single", "--duplicate-check", "off", "--collection", "default",
    )  # fmt: skip
    assert lines[0] == "ada\tAda / 1815\t1 templates, new"
    (template,) = api.runtime.default.gallery.templates("ada")
    assert lines[1].startswith(f"  {one}: template {template.id}, quality 0.")
    assert lines[2].startswith(f"  {empty}: not taken: ")
    assert template.has_crop
    subject = api.runtime.default.gallery.subject("ada")
    assert subject.metadata == {"team": "blue"}
    assert subject.consent_ref == "form 1"
    assert subject.expires_at == "2999-01-01T00:00:00.000Z"


def test_a_dry_run_says_what_would_be_and_stores_nothing(
    oneglance: Run, photo: Photo, api: Api
) -> None:
    one, empty = photo("1.png", 1), photo("none.png")
    gallery = api.runtime.default.gallery
    lines = oneglance("enroll", one, empty, "--name", "Ada", "--dry-run")
    assert lines[0] == "-\tAda\t1 templates, new, dry run: nothing was stored"
    assert lines[1].startswith(f"  {one}: would be taken, quality 0.")
    assert lines[2].startswith(f"  {empty}: not taken: ")
    assert gallery.revision == 0
    oneglance("enroll", one, "--subject-id", "ada")
    (line,) = oneglance("enroll", one, "--subject-id", "ada", "--dry-run", "--json")
    answer = json.loads(line)
    assert (answer["dry_run"], answer["subject"]["template_count"]) == (True, 2)
    assert oneglance("enroll", one, "--subject-id", "ada", "--dry-run")[0].startswith("ada\t")
    assert gallery.template_count == 1


def test_more_photos_than_one_request_takes_are_of_one_subject(
    oneglance: Run, photo: Photo, through: Through, api: Api
) -> None:
    photos = [photo(f"{number}.png", 1) for number in range(23)]
    answers = [json.loads(line) for line in oneglance("enroll", *photos, "--name", "A", "--json")]
    assert [len(answer["accepted"]) for answer in answers] == [20, 3]
    assert api.runtime.default.gallery.subject_count == 1
    assert api.runtime.default.gallery.template_count == 23
    assert len(through.requests) == 2


def test_identify_one_and_several(oneglance: Run, photo: Photo, through: Through) -> None:
    ada, ben, group = photo("ada.png", 1), photo("ben.png", 2), photo("group.png", 1, 3)
    oneglance("enroll", ada, "--name", "Ada", "--subject-id", "ada")
    oneglance("enroll", ben, "--name", "Ben", "--subject-id", "ben")
    through.requests.clear()
    lines = oneglance("identify", group, "--top-k", 1)
    assert lines[0].startswith(f"{group}: 2 faces; threshold 0.")
    decisions = sorted(line.split(",")[0].strip() for line in lines[1:] if "at " in line)
    assert decisions == ["match: Ada (ada)", "unknown"]
    assert [request.url.path for request in through.requests] == ["/v1/identify"]
    through.requests.clear()
    several = [json.loads(x) for x in oneglance("identify", ada, ben, "--json", "--threshold", 0.9)]
    assert [request.url.path for request in through.requests] == ["/v1/identify/batch"]
    assert [line["photo"] for line in several] == [str(ada), str(ben)]
    assert [line["faces"][0]["subject"]["id"] for line in several] == ["ada", "ben"]
    assert all(line["threshold"]["value"] == 0.9 for line in several)
    (line,) = oneglance("identify", ada, "--mode", "investigate", "--json")
    assert json.loads(line)["faces"][0]["decision"] == "not_evaluated"


def test_more_photos_than_a_batch_and_one_that_is_none(
    through: Through, photo: Photo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [photo(f"{number}.png", 1) for number in range(33)]
    photos[1].write_text("no picture")
    assert cli.main(["identify", *map(str, photos)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "not looked at (not_an_image): " in line]
    assert sum(": 1 face; " in line for line in lines) == 32
    assert len(through.requests) == 2


def test_verify(oneglance: Run, photo: Photo) -> None:
    one, same, other = photo("1.png", 1), photo("2.png", Face(1, noise=3)), photo("3.png", 2)
    assert oneglance("verify", one, same)[0].startswith("match: similarity 0.9")
    assert oneglance("verify", one, other)[0].startswith("no_match: similarity 0.")
    assert json.loads(oneglance("verify", one, same, "--json")[0])["decision"] == "match"


def test_subjects(oneglance: Run, photo: Photo, api: Api) -> None:
    for name, seed in (("ada", 1), ("ben", 2)):
        oneglance("enroll", photo(f"{name}.png", seed), "--subject-id", name, "--external-id", seed)
    assert oneglance("subjects", "list") == ["ada\t1\t1 templates", "ben\t2\t1 templates"]
    assert oneglance("subjects", "list", "--external-id", 2) == ["ben\t2\t1 templates"]
    assert oneglance("subjects", "rename", "ada", "Ada") == ["ada\tAda / 1\t1 templates"]
    assert json.loads(oneglance("subjects", "list", "--name", "Ada", "--json")[0])["id"] == "ada"
    (template,) = api.runtime.default.gallery.templates("ada")
    assert f"  template {template.id} of " in oneglance("subjects", "show", "ada")[2]
    shown = json.loads(oneglance("subjects", "show", "ada", "--json")[0])
    assert [found["id"] for found in shown["templates"]] == [template.id]
    assert "agree by --yes" in oneglance("subjects", "merge", "ben", "--into", "ada", fails=True)[0]
    merged = oneglance("subjects", "merge", "ben", "--into", "ada", "--yes")
    assert merged == ["ada\tAda / 1\t2 templates"]
    removed = oneglance("subjects", "delete-template", template.id, "--yes", "--json")
    assert json.loads(removed[0]) == {"removed": template.id}
    assert oneglance("subjects", "delete", "ada", "--yes") == ["removed ada"]
    assert oneglance("subjects", "list") == []
    (line,) = oneglance("subjects", "show", "ada", fails=True)
    assert "no subject 'ada'" in line
    assert "(404 subject_not_found, request " in line


def test_every_subject_is_listed_however_many(oneglance: Run, api: Api) -> None:
    rows = np.eye(64, dtype=np.float32)
    for number in range(1_003):
        api.runtime.default.gallery.enroll(rows[number % 64][None], subject_id=f"s{number}")
    assert [line.split("\t")[0] for line in oneglance("subjects", "list")] == [
        f"s{number}" for number in range(1_003)
    ]


def test_collections_and_bundles(oneglance: Run, api: Api) -> None:
    bundle = api.runtime.default.bundle
    (line,) = oneglance("bundles")
    assert line.startswith("tiny@1.2.3\tfaces, ")
    assert line.endswith(f", default\tsha256 {bundle.bundle.sha256}")
    assert json.loads(oneglance("bundles", "--json")[0])["id"] == "tiny@1.2.3"
    made = oneglance("collections", "create", "staff", "--bundle", "tiny")
    assert made == ["staff\t0 subjects, 0 templates\ttiny@1.2.3"]
    assert len(oneglance("collections", "list")) == 2
    assert "--yes" in oneglance("collections", "delete", "staff", fails=True)[0]
    assert oneglance("collections", "delete", "staff", "--yes") == ["removed staff"]
    ids = [json.loads(line)["id"] for line in oneglance("collections", "list", "--json")]
    assert ids == ["default"]
    assert "no_bundle" in oneglance(
        "collections", "create", "x", "--bundle", "no_bundle", fails=True
    )[0]  # fmt: skip


def enrol_people(api: Api, count: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(count):
        rows = rng.standard_normal(64) + 0.5 * rng.standard_normal((2, 64))
        unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        api.runtime.default.gallery.enroll(unit, subject_id=f"s{number}")


def test_calibrate_waits_for_the_job_and_says_what_came_of_it(
    oneglance: Run, photo: Photo, api: Api
) -> None:
    assert "too_little_data" in oneglance("calibrate", fails=True)[0]
    enrol_people(api, 31)
    lines = oneglance("calibrate")
    assert lines[0] == (
        "31 subjects with 62 templates; strangers: 31 of them and 0 others, 0 photos without a "
        "usable face"
    )
    assert lines[1].startswith("FPIR 10.0%: similarity >= 0.")
    assert lines[2].startswith("FPIR 1.0%: not supported, ")
    stranger = photo("stranger.png", 9)
    (line,) = oneglance("calibrate", "--strangers", stranger.parent, "--json")
    assert json.loads(line)["strangers"]["uploaded"] == 1


def test_health_names_commands_of_the_running_service(oneglance: Run, api: Api) -> None:
    enrol_people(api, 30)
    lines = oneglance("health")
    assert lines[0].startswith("30 subjects with 60 templates, ")
    gallery = api.runtime.default.gallery
    rng = np.random.default_rng(0)
    rows = rng.standard_normal(64) + 0.5 * rng.standard_normal((2, 64))
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    gallery.enroll(unit, subject_id="twin")
    lines = oneglance("health", "--collection", "default")
    twin = next(line for line in lines if "twin" in line)
    assert "oneglance subjects merge --collection default twin --into s0" in twin
    report = json.loads(oneglance("health", "--json")[0])
    assert report["duplicates"][0]["second"]["subject_id"] == "twin"


def test_refusals_are_one_line_that_says_what_to_do(
    oneglance: Run, photo: Photo, tmp_path: Path
) -> None:
    ada = photo("ada.png", 1)
    refusals: list[tuple[list[Any], str]] = [
        (["enroll"], "Name photos of one subject, or --folder"),
        (["enroll", ada, "--folder", tmp_path], "not both"),
        (["enroll", ada, "--report", tmp_path / "r"], "are for --folder"),
        (["enroll", "--folder", tmp_path, "--name", "A"], "are of one subject"),
        (["enroll", "--folder", tmp_path / "none"], "has no sub-folders with photos"),
        (["enroll", tmp_path / "none.png"], "There is no file"),
        (["enroll", ada, "--collection", "nowhere"], "404 collection_not_found"),
        (["enroll", photo("empty.png")], "422 no_usable_face"),
        (["identify", ada, "--target-fpir", "7"], "target_fpir"),
        (["calibrate", "--strangers", tmp_path / "none"], "has no files"),
    ]
    for words, told in refusals:
        (line,) = oneglance(*words, fails=True)
        assert told in line


def test_metadata_that_is_no_object(photo: Photo, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["enroll", str(photo("a.png", 1)), "--metadata", "[1]"])
    assert "not a JSON object" in capsys.readouterr().err


def test_where_the_service_is_and_its_key(
    oneglance: Run, through: Through, no_settings: pytest.MonkeyPatch
) -> None:
    oneglance("bundles")
    assert str(through.requests[-1].url) == "http://127.0.0.1:8000/v1/bundles"
    assert "authorization" not in through.requests[-1].headers
    no_settings.setenv("ONEGLANCE_URL", "http://there:1")
    no_settings.setenv("ONEGLANCE_API_KEY", "secret")
    oneglance("bundles")
    assert through.requests[-1].url.host == "there"
    assert through.requests[-1].headers["authorization"] == "Bearer secret"
    oneglance("bundles", "--url", "http://here:2", "--api-key", "other")
    assert through.requests[-1].url.host == "here"
    assert through.requests[-1].headers["authorization"] == "Bearer other"


def answering(patch: pytest.MonkeyPatch, answer: httpx.Response | Exception) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx.MockTransport(handle)
    patch.setattr(service.client, "Client", partial(Client, transport=transport))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.ConnectError("refused"), "start one by `oneglance serve`"),
        (httpx.ReadTimeout(""), "gave no answer (ReadTimeout)"),
        (httpx.Response(401, text="who?"), "give the service's key by --api-key"),
        (httpx.Response(502, text="<html>\nbad"), "<html> bad (502 bad_gateway)"),
    ],
)
def test_no_service_or_another(
    answer: httpx.Response | Exception,
    told: str,
    no_settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answering(no_settings, answer)
    assert cli.main(["bundles"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


@pytest.mark.parametrize("url", ["there", "ftp://there", "http://["])
def test_a_url_that_is_none(
    url: str, no_settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bundles", "--url", url]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert url in line


def test_a_command_of_a_service_loads_neither_torch_nor_the_server() -> None:
    code = (
        "import sys; from service import cli; status = cli.main(['bundles', '--url', sys.argv[1]]);"
        "heavy = {'torch', 'fastapi', 'uvicorn', 'facenet_pytorch'};"
        "print(status, *sorted(heavy & {*sys.modules}))"
    )
    command: list[Any] = [sys.executable, "-c", code, "http://127.0.0.1:9"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout == "1\n"
    assert "No service answers at http://127.0.0.1:9" in ended.stderr
