"""The audit log over HTTP and by the commands: pages, files, and what is said of a broken chain."""

import json
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import jq
import pytest

import service.client
from benchmarks.asgi import AsgiTransport
from service import cli
from service.client import Client
from tests.conftest import Api, ApiMaker, check_problem, face_photo
from tests.keyed import ADMIN_KEY, bearer, create


@pytest.fixture
def asked(make_api: ApiMaker, no_settings: pytest.MonkeyPatch) -> Api:
    """The service that the commands ask, with three entries after that of its collection."""
    api = make_api()
    no_settings.setattr(service.client, "Client", partial(Client, transport=AsgiTransport(api)))
    ann = api.enroll(face_photo(1), name="Ann Secret").json()["subject"]["id"]
    api.enroll(face_photo(2))
    api.delete(f"/v1/subjects/{ann}")
    return api


def said(capsys: pytest.CaptureFixture[str], *words: str, fails: bool = False) -> str:
    """The one line that a command says."""
    assert cli.main(words) == int(fails)
    out = capsys.readouterr()
    (line,) = (out.err if fails else out.out).splitlines()
    return str(line)


def pages(api: Api, limit: int) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        answer = api.get("/v1/audit", params={"limit": limit, **more}).json()
        found += answer["entries"]
        cursor = answer["next_cursor"]
        if cursor is None:
            assert answer["head"] == {
                "place": found[-1]["place"],
                "sha256": found[-1]["sha256"],
            }
            return found


def test_pages_hold_every_entry_oldest_first(asked: Api) -> None:
    entries = pages(asked, 1000)
    assert [entry["action"] for entry in entries] == [
        *("create_collection", "enrol", "enrol", "remove")
    ]
    assert pages(asked, 1) == pages(asked, 2) == entries
    assert "Secret" not in json.dumps(entries)


def test_a_wrong_cursor_is_told(asked: Api) -> None:
    check_problem(asked.get("/v1/audit?cursor=x"), 422, "invalid_request")


def test_keys_are_in_it_by_who_made_and_deleted_them(make_api: ApiMaker) -> None:
    api = make_api(admin_key=ADMIN_KEY)
    boss = create(api, ADMIN_KEY, scopes=["admin"])
    door = create(api, boss["key"], scopes=["identify"], name="Door Secret")
    assert api.delete(f"/v1/keys/{door['id']}", headers=bearer(ADMIN_KEY)).status_code == 204
    first, *entries = api.get("/v1/audit", headers=bearer(boss["key"])).json()["entries"]
    assert (first["action"], first["detail"]["by"]) == ("create_collection", None)
    assert [(e["action"], e["detail"]["key_id"], e["detail"]["by"]) for e in entries] == [
        ("create_key", boss["id"], "settings"),
        ("create_key", door["id"], boss["id"]),
        ("delete_key", door["id"], "settings"),
    ]
    for secret in ("Secret", boss["key"], door["key"], ADMIN_KEY):
        assert secret not in json.dumps(entries)


def test_it_is_for_admins_of_all_collections_alone(make_api: ApiMaker) -> None:
    api = make_api(admin_key=ADMIN_KEY)
    some = create(api, ADMIN_KEY, scopes=["admin"], collections=["default"])
    enroll = create(api, ADMIN_KEY, scopes=["enroll"])
    for key, code in ((some, "collection_forbidden"), (enroll, "scope_missing")):
        check_problem(api.get("/v1/audit", headers=bearer(key["key"])), 403, code)


def test_an_export_is_the_log_and_checks_as_it_does(
    asked: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "audit.jsonl"
    entries = pages(asked, 1000)
    words = f"{len(entries)} entries, head {entries[-1]['sha256']}"
    assert said(capsys, "audit", "export", str(file)) == words
    assert [json.loads(line) for line in file.read_text().splitlines()] == entries
    assert said(capsys, "audit", "check", str(file)) == words
    assert said(capsys, "audit", "check") == words
    noted = entries[0]["sha256"]
    assert said(capsys, "audit", "check", str(file), "--noted", noted) == words
    assert "noted" in said(capsys, "audit", "check", "--noted", "f" * 64, fails=True)
    assert "--replace" in said(capsys, "audit", "export", str(file), fails=True)
    assert json.loads(said(capsys, "audit", "check", "--json")) == {
        "entries": len(entries),
        "sha256": entries[-1]["sha256"],
    }


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"enrol"', '"amend"', "entry 2: its content"),
        ("}\n", "", "entry 1: the line is no JSON"),
        ('{"place": 2', '{"place": 7', "entry 2: the entry there says place 7"),
    ],
)
def test_the_first_line_that_does_not_fit_is_named(
    asked: Api,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    words: str,
) -> None:
    file = tmp_path / "audit.jsonl"
    said(capsys, "audit", "export", str(file))
    file.write_text(file.read_text().replace(old, new, 1))
    assert words in said(capsys, "audit", "check", str(file), fails=True)


def test_a_gallery_is_checked_without_a_service(
    asked: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = pages(asked, 1000)
    count, head = len(entries), entries[-1]["sha256"]
    asked.runtime.close()
    where = ("--gallery", str(tmp_path / "gallery.sqlite3"))
    assert said(capsys, "audit", "check", *where) == f"{count} entries, head {head}"
    said(capsys, "audit", "export", str(tmp_path / "audit.jsonl"), *where)
    connection = apsw.Connection(where[1])
    connection.execute("DELETE FROM audit WHERE place = ?", (count,))
    connection.close()
    assert f"entry {count}: {count} entries were made" in said(
        capsys, "audit", "check", *where, fails=True
    )
    assert said(capsys, "audit", "check", str(tmp_path / "audit.jsonl")).endswith(head)


def test_jq_and_sha256_agree_as_the_documentation_says(asked: Api) -> None:
    asked.post("/v1/collections", json={"id": "other"})
    # What the program's options -cjS do, its library says in words.
    sorted_keys = 'walk(if type == "object" then to_entries | sort_by(.key) | from_entries end)'
    canonical = jq.compile(f"del(.sha256) | {sorted_keys} | tojson")
    for entry in pages(asked, 1000):
        line = canonical.input_text(json.dumps(entry)).first()
        assert sha256(line.encode()).hexdigest() == entry["sha256"]
