"""dry_run: everything is looked at and answered as it would be, and nothing is stored."""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.conftest import NO_FACE, Api, ApiMaker, check_problem, empty_postgres, face_photo

ANN, BOB = face_photo(1), face_photo(2)
FACTS = {"name": "Ann", "external_id": "7", "consent_ref": "form 1"}


@pytest.fixture(params=["file", "postgres"])
def api(request: pytest.FixtureRequest, make_api: ApiMaker) -> Api:
    if request.param == "file":
        return make_api()
    dsn = request.getfixturevalue("shared_postgres_dsn")
    empty_postgres(dsn)
    return make_api(gallery=dsn)


@pytest.fixture(params=["form", "json"])
def send(request: pytest.FixtureRequest, api: Api) -> Any:
    """send(*images, dry_run=True, **fields) -> the answer of POST /v1/enroll, form or JSON."""

    def form(*images: bytes, dry_run: bool = True, **fields: Any) -> httpx.Response:
        return api.enroll(*images, dry_run=str(dry_run), **fields)

    def body(*images: bytes, dry_run: bool = True, **fields: Any) -> httpx.Response:
        texts = [base64.b64encode(image).decode() for image in images]
        if "metadata" in fields:
            fields["metadata"] = json.loads(fields["metadata"])
        return api.post("/v1/enroll", json={"images": texts, "dry_run": dry_run, **fields})

    return form if request.param == "form" else body


def state(api: Api) -> tuple[Any, ...]:
    """All that an enrolment would change: counts, revision, audit log."""
    gallery = api.runtime.default.gallery
    entries = gallery.read(lambda scope: scope.c.execute("SELECT count(*) FROM audit"))
    return gallery.stored(), gallery.subjects(limit=9), list(entries)


def without_ids(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    for key in ("request_id", "gallery_revision", "dry_run"):
        del body[key]
    del body["subject"]["id"], body["subject"]["created_at"]
    for image in body["accepted"]:
        del image["template_id"]
    return body


def test_a_new_subject_is_answered_as_it_would_be_and_not_stored(api: Api, send: Any) -> None:
    before = state(api)
    dry = send(ANN, NO_FACE, b"no image", metadata='{"a": 1}', **FACTS)
    assert dry.status_code == 200
    assert state(api) == before
    body = dry.json()
    assert (body["dry_run"], body["gallery_revision"]) == (True, 0)
    assert body["subject"]["created"] is True
    assert [image["template_id"] for image in body["accepted"]] == [None]
    assert api.get(f"/v1/subjects/{body['subject']['id']}").status_code == 404
    assert api.who(ANN) is None
    real = send(ANN, NO_FACE, b"no image", metadata='{"a": 1}', dry_run=False, **FACTS)
    assert real.status_code == 201
    assert without_ids(real) == without_ids(dry)
    assert real.json()["dry_run"] is False


def test_an_id_that_is_free_can_be_had(api: Api, send: Any) -> None:
    free = send(ANN).json()["subject"]["id"]
    assert send(ANN, subject_id=free, dry_run=False).json()["subject"]["id"] == free
    assert send(ANN, subject_id="mine").json()["subject"]["id"] == "mine"


def test_more_photos_of_one_who_is_there(api: Api, send: Any) -> None:
    known = api.enroll(ANN, **FACTS).json()["subject"]["id"]
    before = state(api)
    for by in ({"subject_id": known}, {"external_id": "7"}):
        subject = send(ANN, ANN, **by).json()["subject"]
        assert (subject["id"], subject["name"], subject["created"]) == (known, "Ann", False)
        assert subject["template_count"] == 3
    assert state(api) == before


def test_it_is_refused_as_the_enrolment_would_be(api: Api, send: Any) -> None:
    api.enroll(ANN, subject_id="ann", **FACTS)
    before = state(api)
    check_problem(send(BOB, subject_id="ann", name="Anna"), 409, "subject_conflict")
    check_problem(send(BOB, subject_id="bob", external_id="7"), 409, "subject_conflict")
    check_problem(send(ANN, duplicate_check="reject"), 409, "possible_duplicate")
    check_problem(send(NO_FACE), 422, "no_usable_face")
    check_problem(send(BOB, subject_id="../b"), 422, "invalid_request")
    check_problem(send(BOB, expires_at="tomorrow"), 422, "invalid_request")
    check_problem(send(b"no image"), 415, "not_an_image")
    check_problem(send(BOB, collection="nowhere"), 404, "collection_not_found")
    assert state(api) == before
    (warning,) = send(ANN).json()["warnings"]
    assert (warning["code"], warning["subject_id"]) == ("possible_duplicate", "ann")


def test_crops_are_not_stored_either(api: Api, send: Any) -> None:
    known = api.enroll(ANN).json()["subject"]["id"]
    assert send(ANN, subject_id=known, store_image="crop").status_code == 200
    templates = api.get(f"/v1/subjects/{known}/templates").json()["templates"]
    assert [template["has_crop"] for template in templates] == [False]


@pytest.mark.parametrize("words", ["1", "yes", "maybe", "None"])
def test_what_is_neither_true_nor_false_is_refused(make_api: ApiMaker, words: str) -> None:
    api = make_api()
    problem = check_problem(api.enroll(ANN, dry_run=words), 422, "invalid_request")
    assert problem["errors"] == [{"field": "dry_run", "message": "send true or false"}]
    assert api.runtime.default.gallery.template_count == 0


@pytest.mark.parametrize("words", ["false", "False", ""])
def test_a_form_that_says_no_enrols(make_api: ApiMaker, words: str) -> None:
    assert make_api().enroll(ANN, dry_run=words).status_code == 201


def test_a_dry_run_leaves_its_key_to_the_enrolment(make_api: ApiMaker) -> None:
    api = make_api()
    files, key = {"images": ("a.png", ANN)}, {"Idempotency-Key": "one"}

    def enroll(dry_run: str) -> httpx.Response:
        data = {"dry_run": dry_run}
        return api.post("/v1/enroll", files=files, data=data, headers=key)

    assert enroll("true").status_code == 200
    first = enroll("false")
    assert first.status_code == 201
    dry = enroll("true")
    assert (dry.status_code, dry.headers.get("Idempotent-Replayed")) == (200, None)
    again = enroll("false")
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
    assert api.runtime.default.gallery.template_count == 1
