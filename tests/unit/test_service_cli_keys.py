"""`oneglance keys`: over a running service, and on a gallery without one."""

import json
import threading
from functools import partial
from pathlib import Path

import pytest

import service.client
import service.logs
from benchmarks.asgi import AsgiTransport
from contract.errors import NoKeysError
from index.gallery import Gallery
from service import cli
from service.client import Client
from tests.conftest import CONTRACT, Api, ApiMaker
from tests.keyed import ADMIN_KEY, UUID_KEY, bearer


@pytest.fixture
def location(gallery_location: Path | str, no_settings: pytest.MonkeyPatch) -> str:
    """An empty gallery, once in a file, once in PostgreSQL."""
    Gallery.open(gallery_location, CONTRACT).close()
    return str(gallery_location)


def said(capsys: pytest.CaptureFixture[str], *words: str, fails: bool = False) -> list[str]:
    """The lines that a command says."""
    assert cli.main(words) == int(fails)
    out = capsys.readouterr()
    assert bool(out.err) == fails
    return (out.err if fails else out.out).splitlines()


def test_the_first_key_is_made_without_a_service(
    location: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--gallery", location)
    (refused,) = said(capsys, "keys", "create", "--scope", "identify", *where, fails=True)
    assert "scope admin" in refused
    (key,) = said(capsys, "keys", "create", "--name", "boss", "--scope", "admin", *where)
    assert key.startswith("og_")
    words = ("--scope", "enroll", "--scope", "identify", "--collection", "staff", "--json")
    (line,) = said(capsys, "keys", "create", *words, *where)
    made = json.loads(line)
    assert (made["scopes"], made["collections"]) == (["identify", "enroll"], ["staff"])
    listed = said(capsys, "keys", "list", *where)
    assert listed == [
        f"{key.split('_')[1]}\tboss\tadmin\tall collections",
        f"{made['id']}\tkey\tidentify, enroll\tstaff",
    ]
    (refused,) = said(capsys, "keys", "delete", key.split("_")[1], *where, fails=True)
    assert "No key would be left" in refused
    assert said(capsys, "keys", "delete", made["id"], *where) == [f"deleted {made['id']}"]
    assert len(said(capsys, "keys", "list", *where)) == 1


def test_a_key_that_cannot_be_is_refused_without_being_said(
    location: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("--key", "secret-of-mine"), ("--key", "secret-of-mine" * 50)):
        line = said(
            capsys, "keys", "create", "--scope", "admin", *words, "--gallery", location, fails=True
        )
        assert len(line) == 1
        assert "secret-of-mine" not in line[0]


def test_a_wrong_place_makes_no_gallery(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "no.db")
    (line,) = said(capsys, "keys", "create", "--scope", "admin", "--gallery", path, fails=True)
    assert "There is no gallery" in line
    assert not Path(path).exists()


@pytest.fixture
def asked(api: Api, no_settings: pytest.MonkeyPatch) -> Api:
    """The service that the commands ask."""
    no_settings.setattr(service.client, "Client", partial(Client, transport=AsgiTransport(api)))
    return api


def test_a_running_service_makes_lists_and_deletes_keys(
    asked: Api, no_settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (key,) = said(capsys, "keys", "create", "--name", "boss", "--scope", "admin")
    (refused,) = said(capsys, "keys", "list", fails=True)
    assert "key_missing" in refused
    no_settings.setenv("ONEGLANCE_API_KEY", key)
    words = ("--scope", "identify", "--collection", "staff", "--expires-at", "2100-01-01T00:00:00Z")
    (brought,) = said(capsys, "keys", "create", "--key", UUID_KEY, "--name", "door", *words)
    assert brought == UUID_KEY
    lines = said(capsys, "keys", "list")
    assert lines[1].endswith("\tdoor\tidentify\tstaff\tuntil 2100-01-01T00:00:00.000Z")
    (line,) = said(capsys, "keys", "list", "--json")[1:]
    assert json.loads(line)["name"] == "door"
    key_id = lines[1].split("\t")[0]
    assert said(capsys, "keys", "delete", key_id, "--json") == [f'{{"deleted": "{key_id}"}}']
    assert asked.get("/v1/keys", headers={"x-api-key": UUID_KEY}).status_code == 401


def test_serve_says_in_one_line_that_it_wants_a_key(
    tmp_path: Path,
    tiny_bundle: Path,
    no_settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    no_settings.setenv("ONEGLANCE_BUNDLE_PATH", str(tiny_bundle))
    no_settings.setenv("ONEGLANCE_GALLERY", str(tmp_path / "g.db"))
    # The log of this process is pytest's.
    no_settings.setattr(service.logs, "configure", lambda kind: None)
    assert cli.main(["serve", "--host", "0.0.0.0"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == f"oneglance: will not start: {NoKeysError('0.0.0.0')}"
    assert "oneglance keys create" in line


def test_another_replica_hears_of_a_key_within_seconds(
    make_api: ApiMaker, postgres_dsn: str
) -> None:
    options = {"gallery": postgres_dsn, "admin_key": ADMIN_KEY, "key_refresh_s": 1}
    here, there = make_api(**options), make_api(**options)
    wanted = {"name": "n", "scopes": ["identify"]}
    made = here.post("/v1/keys", json=wanted, headers=bearer(ADMIN_KEY)).json()
    path, headers = "/v1/collections", bearer(made["key"])
    eventually(there, path, headers, 200)
    deleted = here.delete(f"/v1/keys/{made['id']}", headers=bearer(ADMIN_KEY))
    assert deleted.status_code == 204
    assert here.get(path, headers=headers).status_code == 401
    eventually(there, path, headers, 401)


def eventually(api: Api, path: str, headers: dict[str, str], status: int) -> None:
    """Wait for that status, far longer than a look takes."""
    for _ in range(300):
        if api.get(path, headers=headers).status_code == status:
            return
        threading.Event().wait(0.1)
    raise AssertionError(f"{path} never answered {status}")
