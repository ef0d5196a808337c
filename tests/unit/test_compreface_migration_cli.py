"""`oneglance import --from-compreface`: from a dump into the service, by one command."""

import json
import re
import shlex
import uuid
from functools import partial
from pathlib import Path

import httpx
import pytest

import service.client
from benchmarks.asgi import AsgiTransport
from benchmarks.postgres_server import PostgresServer
from service import cli
from service.client import Client
from service.compreface.migration import parts
from tests.compreface_database import ComprefaceDatabase
from tests.compreface_stand_in import KEY, StandIn, running
from tests.conftest import Api, ApiMaker, Face, face_photo

NAMES = ("Ada Lovelace", "Zoë/Müller", "Bob")


@pytest.fixture
def database(postgres_server: PostgresServer) -> ComprefaceDatabase:
    """Three subjects with saved photos, one without, and one nobody has photographed."""
    made = ComprefaceDatabase(postgres_server)
    key = made.add_service("staff", "Door")
    for seed, name in enumerate(NAMES):
        photos = [face_photo(Face(seed, noise=noise)) for noise in (0, 3)]
        made.add_subject(key, name, {str(uuid.uuid4()): photo for photo in photos})
    made.add_subject(key, "Unsaved", {"00000000-0000-0000-0000-00000000000a": None})
    made.add_subject(key, "Nobody", {})
    return made


def run(api: Api, patched: pytest.MonkeyPatch, *words: object) -> int:
    patched.setattr(service.client, "Client", partial(Client, transport=AsgiTransport(api)))
    return cli.main([str(word) for word in words])


def test_one_command_moves_everybody_and_a_second_one_nobody_twice(
    api: Api, database: ComprefaceDatabase, no_settings: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    no_settings.setattr(parts, "PART_PHOTOS", 4)
    dump = database.dump(tmp_path / "compreface.sql")
    report = tmp_path / "report.jsonl"
    for _ in range(2):
        command = ("import", "--from-compreface", dump, "--report", report)
        assert run(api, no_settings, *command) == 0
        said = capsys.readouterr().out.splitlines()
        assert said[-3:] == [
            "CompreFace Door/staff: 5 subjects, 6 photos",
            "left out: 1 subjects, of whom CompreFace has no photos: Nobody. "
            "They come with their first photo.",
            "left out: 1 photos of 1 subjects, which CompreFace has not saved "
            "(save_images_to_db=false): Unsaved (1). CompreFace's embeddings are another network's "
            "and cannot be taken over: add photos of them anew.",
        ]
        lines = [json.loads(line) for line in report.read_text(encoding="ascii").splitlines()]
        assert [line["outcome"] for line in lines] == ["enrolled"] * 6 + ["left_out"] * 2
        assert lines[-1]["image_ids"] == ["00000000-0000-0000-0000-00000000000a"]
    header = {"x-api-key": "any"}
    listed = api.get("/api/v1/recognition/subjects", headers=header).json()["subjects"]
    assert sorted(listed) == sorted(NAMES)
    assert api.runtime.default.gallery.template_count == 6
    for seed, name in enumerate(NAMES):
        answer = api.post(
            "/api/v1/recognition/recognize",
            headers=header,
            files={"file": ("photo.png", face_photo(Face(seed, noise=8)))},
        )
        assert answer.json()["result"][0]["subjects"][0]["subject"] == name


def test_a_service_killed_after_a_part_goes_on_there(
    make_api: ApiMaker, database: ComprefaceDatabase, no_settings: pytest.MonkeyPatch,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    no_settings.setattr(parts, "PART_PHOTOS", 2)
    dump = database.dump(tmp_path / "compreface.sql")
    api = make_api()
    imports = 0

    class Killed(AsgiTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal imports
            imports += request.url.path == "/v1/imports"
            if imports > 1:
                raise httpx.ConnectError("gone", request=request)
            return super().handle_request(request)

    no_settings.setattr(service.client, "Client", partial(Client, transport=Killed(api)))
    assert cli.main(["import", "--from-compreface", str(dump)]) == 1
    assert capsys.readouterr().err.startswith("oneglance: ")
    assert api.runtime.default.gallery.template_count == 2

    assert run(api, no_settings, "import", "--from-compreface", dump, "--json") == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer.get("done_before_count") for answer in answers] == [2, 0, 0, None]
    assert answers[-1]["photo_count"] == 6
    assert api.runtime.default.gallery.template_count == 6


def test_what_cannot_be_read_is_one_line_and_stores_nothing(
    api: Api, no_settings: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.sql").write_text("some words\n")
    assert run(api, no_settings, "import", "--from-compreface", tmp_path / "words.sql") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("oneglance: The dump ")
    assert "has no rows for public.model" in line
    assert run(api, no_settings, "import", "--from-compreface", "http://127.0.0.1:9") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "ONEGLANCE_COMPREFACE_KEY" in line
    assert api.runtime.default.gallery.template_count == 0


def documented() -> list[list[str]]:
    """The commands of docs/compreface.md, as words."""
    text = (Path(__file__).parents[2] / "docs" / "compreface.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(?:oneglance import|docker exec) .*$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def test_the_documented_commands_do_what_they_are_said_to(
    api: Api, database: ComprefaceDatabase, no_settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_settings.chdir(tmp_path)
    assert api.post("/v1/collections", json={"id": "staff"}).status_code == 201
    commands = documented()
    (dumping,) = (words for words in commands if words[0] == "docker")
    container, *options = dumping[2:]
    assert (container, options[:2]) == (
        "compreface-postgres-db",
        ["pg_dump", "--username=postgres"],
    )
    database.dump(tmp_path / options[-1])
    from_dump = [words[1:] for words in commands if "compreface.sql" in words]
    from_url = [words[1:] for words in commands if "http://compreface:8000" in words]
    assert len(from_dump[1:]) == 2
    for words in from_dump[1:]:
        assert run(api, no_settings, *words) == 0
    for collection in ("default", "staff"):
        subjects = api.get(f"/v1/subjects?collection={collection}").json()["subjects"]
        assert {s["external_id"] for s in subjects} == set(NAMES)
    # The one from a running CompreFace, which is elsewhere here.
    (words,) = from_url
    no_settings.setenv("ONEGLANCE_COMPREFACE_KEY", KEY)
    with running(StandIn({"Cleo": {str(uuid.uuid4()): face_photo(7)}})) as url:
        moved = [url if word == "http://compreface:8000" else word for word in words]
        assert run(api, no_settings, *moved) == 0
    assert api.who(face_photo(Face(7, noise=4))) == "Cleo"
