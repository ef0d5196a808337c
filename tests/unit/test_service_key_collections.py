"""A key of some collections hears of others nothing, not even whether they are there."""

import io
import re
import zipfile
from typing import Any

import httpx
import pytest

from service.access.owned_id import is_of, owned_id
from service.receipt import decoded, encoded
from tests.conftest import Api, ApiMaker, check_problem, face_photo
from tests.keyed import ADMIN_KEY, UUID_KEY, bearer, create, made
from tests.unit.test_service_jobs import ended

COMPREFACE = "/api/v1/recognition/subjects"


@pytest.fixture
def keyed(make_api: ApiMaker) -> Api:
    """With the collections default, mine and theirs, and somebody in the last two."""
    api = make_api(admin_key=ADMIN_KEY)
    for name, seed in (("mine", 1), ("theirs", 2)):
        made_of = api.post("/v1/collections", json={"id": name}, headers=bearer(ADMIN_KEY))
        assert made_of.status_code == 201
        enroll(api, ADMIN_KEY, seed, name, subject_id=f"of-{name}", name=f"Person of {name}")
    return api


def enroll(api: Api, key: str, seed: int, collection: str, **fields: str) -> httpx.Response:
    files = {"images": ("0.png", face_photo(seed))}
    data = {"collection": collection, **fields}
    return api.post("/v1/enroll", files=files, data=data, headers=bearer(key))


def plain(answer: httpx.Response, *asked: str) -> tuple[Any, ...]:
    """All of an answer but its request id and what was asked for."""
    headers = sorted(
        (name, value)
        for name, value in answer.headers.items()
        if name not in ("x-request-id", "content-length")
    )
    text = re.sub("|".join(map(re.escape, asked)), "ASKED", answer.text)
    return answer.status_code, headers, re.sub("[0-9a-f]{32}", "ID", text)


def same(api: Api, key: str, method: str, path: str, there: str, absent: str, **what: Any) -> int:
    """Ask for what is there and for what is not; the status of both."""
    answers = [
        plain(api.request(method, path.format(it), headers=bearer(key), **what), it)
        for it in (there, absent)
    ]
    assert answers[0] == answers[1]
    return int(answers[0][0])


def test_only_the_keys_own_collections_are_listed(keyed: Api) -> None:
    key = made(keyed, "identify", collections=["mine", "of-tomorrow"])
    listed = keyed.get("/v1/collections", headers=bearer(key)).json()["collections"]
    assert [collection["id"] for collection in listed] == ["mine"]
    every = keyed.get("/v1/collections", headers=bearer(ADMIN_KEY)).json()["collections"]
    assert [collection["id"] for collection in every] == ["default", "mine", "theirs"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/collections/{}"),
        ("DELETE", "/v1/collections/{}"),
        ("POST", "/v1/collections/{}/calibrations"),
        ("GET", "/v1/collections/{}/calibrations"),
        ("POST", "/v1/collections/{}/health-reports"),
        ("GET", "/v1/collections/{}/reembed"),
        ("POST", "/v1/collections/{}/reembed/switch"),
        ("DELETE", "/v1/collections/{}/reembed/former"),
        ("GET", "/v1/subjects?collection={}"),
        ("GET", "/v1/subjects/there?collection={}"),
        ("DELETE", "/v1/subjects/there?collection={}"),
        ("GET", "/v1/templates/x?collection={}"),
        ("GET", "/v1/feedback?collection={}"),
    ],
)
def test_another_collection_is_forbidden_whether_it_is_there_or_not(
    keyed: Api, method: str, path: str
) -> None:
    key = made(keyed, "admin", collections=["mine"])
    assert same(keyed, key, method, path, "theirs", "nobody") == 403
    answer = keyed.request(method, path.format("theirs"), headers=bearer(key))
    check_problem(answer, 403, "collection_forbidden")
    # Who may, may.
    answer = keyed.request(method, path.format("theirs"), headers=bearer(ADMIN_KEY))
    assert answer.status_code != 403


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/enroll", "images"),
        ("/enroll", "images"),
        ("/v1/identify", "image"),
        ("/identify", "image"),
        ("/v1/identify/batch", "images"),
        ("/v1/detect", "image"),
        ("/v1/embed", "image"),
        ("/v1/imports", "archive"),
    ],
)
def test_a_collection_in_a_form_is_looked_at_too(keyed: Api, path: str, field: str) -> None:
    key = made(keyed, "admin", collections=["mine"])
    for collection in ("theirs", "nobody", None):
        answer = keyed.post(
            path,
            files={field: ("0.png", face_photo(2))},
            data={} if collection is None else {"collection": collection},
            headers=bearer(key),
        )
        problem = check_problem(answer, 403, "collection_forbidden")
        assert repr(collection or "default") in problem["detail"]


def test_a_collection_in_json_is_looked_at_too(keyed: Api) -> None:
    key = made(keyed, "admin", collections=["mine"])
    for path, body in (
        ("/v1/exports", {"collection": "theirs"}),
        ("/v1/identify", {"collection": "theirs", "image": "eA=="}),
        ("/v1/enroll", {"collection": "theirs", "images": ["eA=="]}),
        ("/v1/collections", {"id": "theirs"}),
        ("/v1/collections", {"id": "nobody"}),
    ):
        answer = keyed.post(path, json=body, headers=bearer(key))
        check_problem(answer, 403, "collection_forbidden")


def test_a_key_of_a_collection_that_is_to_come_may_make_it(keyed: Api) -> None:
    key = made(keyed, "admin", collections=["of-tomorrow"])
    answer = keyed.post("/v1/collections", json={"id": "of-tomorrow"}, headers=bearer(key))
    assert answer.status_code == 201
    assert enroll(keyed, key, 3, "of-tomorrow").status_code == 201


def test_its_own_collection_is_all_the_keys(keyed: Api) -> None:
    key = made(keyed, "identify", "enroll", collections=["mine"])
    assert enroll(keyed, key, 1, "mine", subject_id="of-mine").status_code == 200
    files = {"image": ("0.png", face_photo(1))}
    answer = keyed.post(
        "/v1/identify", files=files, data={"collection": "mine"}, headers=bearer(key)
    )
    (face,) = answer.json()["faces"]
    assert face["subject"]["name"] == "Person of mine"
    # Somebody of another collection is nobody here.
    assert same(keyed, key, "GET", "/v1/subjects/{}?collection=mine", "of-theirs", "nobody") == 404


def test_jobs_exports_and_reports_of_others_are_as_if_they_were_not_there(keyed: Api) -> None:
    theirs = made(keyed, "admin", collections=["theirs"])
    mine = made(keyed, "admin", collections=["mine"])
    exported = keyed.post("/v1/exports", json={"collection": "theirs"}, headers=bearer(theirs))
    job_id, export_id = exported.json()["job"]["id"], exported.json()["export_id"]
    imported = keyed.post(
        "/v1/imports",
        files={"archive": ("a.zip", zipped())},
        data={"collection": "theirs"},
        headers=bearer(theirs),
    )
    import_id = imported.json()["import_id"]
    jobs = keyed.runtime.jobs
    for id_ in (job_id, imported.json()["job"]["id"]):
        assert ended(jobs, jobs.job(id_)).status == "succeeded"
    paths = {
        "/v1/jobs/{}": (job_id, "0" * 32),
        "/v1/exports/{}/file": (export_id, "0" * 32),
        "/v1/imports/{}/report": (import_id, "0" * 64),
    }
    for path, (there, absent) in paths.items():
        assert keyed.get(path.format(there), headers=bearer(theirs)).status_code == 200
        assert keyed.get(path.format(there), headers=bearer(ADMIN_KEY)).status_code == 200
        assert same(keyed, mine, "GET", path, there, absent) == 404
    of_nobody = keyed.runtime.jobs.submit("of nobody", lambda _: None)
    assert same(keyed, mine, "GET", "/v1/jobs/{}", of_nobody.id, "0" * 32) == 404


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("joan/a.png", face_photo(3))
    return packed.getvalue()


def test_a_receipt_of_another_collection_is_forbidden_whether_it_is_there_or_not(
    keyed: Api,
) -> None:
    files = {"image": ("0.png", face_photo(2))}
    asked = keyed.post(
        "/v1/identify", files=files, data={"collection": "theirs"}, headers=bearer(ADMIN_KEY)
    )
    receipt = decoded(asked.json()["faces"][0]["receipt"])
    key = made(keyed, "enroll", collections=["mine"])
    answers = []
    for collection_id in ("theirs", "nobody"):
        gallery = {**{f: getattr(receipt.gallery, f) for f in receipt.gallery.__slots__}}
        other = type(receipt.gallery)(**{**gallery, "collection_id": collection_id})
        fields = {f: getattr(receipt, f) for f in receipt.__slots__}
        text = encoded(type(receipt)(**{**fields, "gallery": other}))
        wish = {"receipt": text, "verdict": "confirmed", "subject_id": "of-theirs"}
        answer = keyed.post("/v1/feedback", json=wish, headers=bearer(key))
        check_problem(answer, 403, "collection_forbidden")
        answers.append(plain(answer, collection_id))
    assert answers[0] == answers[1]


def test_an_owned_id_is_of_its_collection_alone() -> None:
    made_of = owned_id("0123456789abcdef" * 2, "mine")
    assert len(made_of) == 32
    assert made_of.startswith("0123456789abcdef")
    assert is_of(made_of, "mine")
    assert not is_of(made_of, "theirs")
    for text in ("", "x", made_of[:-1], made_of + "0", made_of.upper()):
        assert not is_of(text, "mine")


def test_comprefaces_keys_go_on_working_each_with_its_collection(keyed: Api) -> None:
    create(keyed, ADMIN_KEY, scopes=["identify", "enroll"], collections=["theirs"], key=UUID_KEY)
    headers = {"x-api-key": UUID_KEY}
    assert keyed.get(COMPREFACE, headers=headers).json() == {"subjects": ["of-theirs"]}
    body = keyed.post(COMPREFACE, json={"subject": "Ada"}, headers=headers)
    assert body.status_code == 201
    listed = keyed.get("/v1/subjects?collection=theirs", headers=headers).json()["subjects"]
    assert [subject["name"] for subject in listed] == ["Person of theirs", "Ada"]


def test_comprefaces_interface_refuses_in_its_own_form(make_api: ApiMaker) -> None:
    api = make_api(admin_key=ADMIN_KEY, compreface_collections=f"{UUID_KEY}=default")
    identify = made(api, "identify", collections=["staff"])
    expected = {
        # The settings name its collection, which makes it no key.
        UUID_KEY: (401, 10),
        "wrong": (401, 10),
        identify: (403, 10),
    }
    for key, (status, code) in expected.items():
        answer = api.get(COMPREFACE, headers={"x-api-key": key})
        assert (answer.status_code, answer.json().keys()) == (status, {"message", "code"})
        assert answer.json()["code"] == code
    missing = api.get(COMPREFACE)
    assert (missing.status_code, missing.json()["code"]) == (400, 20)
    several = made(api, "enroll", collections=["staff", "guests"])
    answer = api.get(COMPREFACE, headers={"x-api-key": several})
    assert (answer.status_code, answer.json()["code"]) == (403, 10)


def test_a_key_of_several_collections_means_the_one_that_the_settings_say(
    make_api: ApiMaker,
) -> None:
    api = make_api(admin_key=ADMIN_KEY, compreface_collections=f"{UUID_KEY}=staff")
    made_of = api.post("/v1/collections", json={"id": "staff"}, headers=bearer(ADMIN_KEY))
    assert made_of.status_code == 201
    made(api, "enroll", collections=["staff", "default"], key=UUID_KEY)
    headers = {"x-api-key": UUID_KEY}
    assert api.post(COMPREFACE, json={"subject": "Ada"}, headers=headers).status_code == 201
    assert api.runtime.collections.of("staff").gallery.subject_count == 1


def test_comprefaces_interface_limits_how_often_a_key_asks(make_api: ApiMaker) -> None:
    api = make_api(admin_key=ADMIN_KEY, max_requests_per_minute_per_key=1)
    headers = {"x-api-key": ADMIN_KEY}
    assert api.get(COMPREFACE, headers=headers).status_code == 200
    answer = api.get(COMPREFACE, headers=headers)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json().keys() == {"message", "code"}
