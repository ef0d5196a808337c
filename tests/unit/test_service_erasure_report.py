"""The report of a removal: true numbers, true places, and no name."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import service.client
from benchmarks.asgi import AsgiTransport
from service import cli
from service.client import Client
from tests.conftest import Api, check_problem, face_photo


def enrolled(api: Api, subject_id: str = "ann") -> None:
    """Two templates, one picture, one verdict."""
    one = {"subject_id": subject_id, "name": "Annabel Secret", "external_id": f"x-{subject_id}"}
    assert api.enroll(face_photo(1), store_image="crop", **one).status_code == 201
    assert api.enroll(face_photo(2), subject_id=subject_id).status_code == 200
    face = api.identify(face_photo(1)).json()["faces"][0]
    told = {"receipt": face["receipt"], "verdict": "confirmed"}
    assert api.post("/v1/feedback", json=told).status_code == 201


def report(api: Api, subject_id: str = "ann") -> dict[str, Any]:
    answer = api.get(f"/v1/subjects/{subject_id}/erasure")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def states(told: dict[str, Any]) -> dict[str, str]:
    return {place["place"]: place["state"] for place in told["places"]}


def test_the_report_counts_what_there_was_and_is_in_the_audit_log(anywhere: Api) -> None:
    enrolled(anywhere)
    assert anywhere.delete("/v1/subjects/ann").status_code == 204
    told = report(anywhere)
    assert told["erased"] == {"embeddings": 2, "pictures": 1, "feedback": 1, "facts": True}
    assert (told["reason"], told["collection"]) == ("request", "default")
    (entry,) = [e for e in anywhere.get("/v1/audit").json()["entries"] if e["action"] == "remove"]
    assert told["audit"] == {"place": entry["place"], "sha256": entry["sha256"]}
    assert (told["erased_at"], told["gallery_revision"]) == (entry["at"], entry["revision"])
    assert "Secret" not in json.dumps(told)
    assert "x-ann" not in json.dumps(told)


def test_each_place_is_told_as_it_is(anywhere: Api) -> None:
    enrolled(anywhere)
    anywhere.delete("/v1/subjects/ann")
    is_file = anywhere.runtime.settings.gallery.endswith(".sqlite3")
    found = states(report(anywhere))
    assert found["gallery"] == ("erased" if is_file else "removed")
    assert found["search_index"] == "erased"
    assert found["audit_log"] == "kept"
    reached_not = ("backups", "exports", "import_reports", "storage", "answers_kept_for_repeats")
    assert {found[place] for place in reached_not} == {"not_reached"}


def test_a_reader_that_holds_the_log_up_is_told_and_then_not_any_more(api: Api) -> None:
    enrolled(api)
    with api.runtime.galleries.database.reading() as c:
        c.execute("SELECT count(*) FROM subjects")
        api.delete("/v1/subjects/ann")
        assert states(report(api))["gallery"] == "removed"
    api.enroll(face_photo(3), subject_id="bob")
    assert states(report(api))["gallery"] == "erased"


def test_who_expired_has_a_report_and_who_came_back_the_last_one(api: Api) -> None:
    enrolled(api)
    api.patch("/v1/subjects/ann", json={"expires_at": "2020-01-01T00:00:00Z"})
    api.runtime.default.gallery.remove_expired()
    assert report(api)["reason"] == "expiry"
    assert api.enroll(face_photo(4), subject_id="ann").status_code == 201
    first = report(api)
    api.delete("/v1/subjects/ann")
    second = report(api)
    assert (second["reason"], second["erased"]["embeddings"]) == ("request", 1)
    assert second["gallery_revision"] > first["gallery_revision"]


def test_nobody_has_a_report_who_was_not_removed(api: Api) -> None:
    enrolled(api)
    for subject_id in ("ann", "nobody"):
        answer = api.get(f"/v1/subjects/{subject_id}/erasure")
        check_problem(answer, 404, "erasure_not_found")


def test_the_command_writes_it_for_its_owner_alone(
    api: Api,
    no_settings: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    no_settings.setattr(service.client, "Client", partial(Client, transport=AsgiTransport(api)))
    enrolled(api)
    file = tmp_path / "ann.json"
    words = ["subjects", "delete", "ann", "--yes", "--report", str(file)]
    assert cli.main(words) == 0
    assert json.loads(file.read_text()) == report(api)
    assert file.stat().st_mode & 0o777 == 0o600
    # Before anything is removed.
    enrolled(api, "bob")
    assert cli.main(["subjects", "delete", "bob", "--yes", "--report", str(file)]) == 1
    assert "there is a file" in capsys.readouterr().err.lower()
    assert api.get("/v1/subjects/bob").status_code == 200
