"""Enrolling and identifying by JSON with images in Base64: as a form, under the same limits."""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.conftest import NO_FACE, Api, ApiMaker, Face, check_problem, face_photo

ANN, BOB = face_photo(1), face_photo(2)


def text(image: bytes) -> str:
    return base64.b64encode(image).decode()


def enroll(api: Api, *images: Any, path: str = "/v1/enroll", **fields: Any) -> httpx.Response:
    return api.post(path, json={"images": list(images), **fields})


def comparable(answer: httpx.Response) -> dict[str, Any]:
    """What two enrolments of the same have in common; only a form's files have names."""
    body: dict[str, Any] = answer.json()
    for key in ("request_id", "gallery_revision"):
        del body[key]
    del body["subject"]["created_at"]
    for image in (*body["accepted"], *body["rejected"]):
        image.pop("template_id", None)
        del image["filename"]
    return body


@pytest.mark.parametrize("path", ["/v1/enroll", "/enroll"])
def test_json_is_answered_as_the_form_is(api: Api, path: str) -> None:
    facts = {"subject_id": "ann", "name": "Ann", "external_id": "7", "consent_ref": "form 1"}
    images = (ANN, NO_FACE, b"no image", face_photo(Face(1, noise=9)))
    form = api.enroll(*images, path=path, metadata='{"a": [1, {"b": null}]}', **facts)
    api.delete("/v1/subjects/ann")
    metadata = {"a": [1, {"b": None}]}
    answer = enroll(api, *map(text, images), path=path, metadata=metadata, **facts)
    assert form.status_code == answer.status_code == 201
    assert comparable(form) == comparable(answer)
    assert [image["filename"] for image in answer.json()["accepted"]] == [None, None]
    assert api.who(ANN) == "Ann"
    again = enroll(api, text(ANN), path=path, external_id="7")
    assert (again.status_code, again.json()["subject"]["template_count"]) == (200, 3)


@pytest.mark.parametrize("path", ["/v1/identify", "/identify"])
def test_identifying_by_json_is_as_by_form(api: Api, path: str) -> None:
    api.enroll(ANN, name="Ann")
    crowd = face_photo(Face(1, 140), 2)
    options = {"top_k": 2, "max_faces": 1, "threshold": 0.9, "min_quality": 0}
    form = api.identify(crowd, path=path, **options)
    answer = api.post(path, json={"image": text(crowd), **options})
    assert form.status_code == answer.status_code == 200
    (one,), (other,) = form.json()["faces"], answer.json()["faces"]
    # The network itself computes its first images a little otherwise than later ones.
    assert one["similarity"] == pytest.approx(other["similarity"], abs=1e-5)
    assert (one["bbox"], one["subject"]) == (other["bbox"], other["subject"])
    assert one["decision"] == other["decision"] == "match"
    assert form.json()["threshold"] == answer.json()["threshold"]


def test_a_text_is_plain_a_data_url_or_broken_into_lines(api: Api) -> None:
    lines = base64.encodebytes(ANN).decode()
    assert "\n" in lines
    texts = [
        text(ANN),
        lines,
        "data:image/png;base64," + text(ANN),
        "DATA:;base64," + lines.replace("\n", "\r\n"),
        "data:image/png;charset=x;base64," + text(ANN),
    ]
    assert len(enroll(api, *texts).json()["accepted"]) == len(texts)


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (text(ANN)[:-1], "padding"),
        ("héllo", "ASCII"),
        ("!!!!", "not Base64"),
        (text(ANN) + "\0", "not Base64"),
        ("https://example.org/ann.png", "no other URL is fetched"),
        ("data:image/png," + text(ANN), "not Base64"),
        (7, "not a text"),
        (None, "not a text"),
        ({"data": text(ANN)}, "not a text"),
        (["x"], "not a text"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_base64_is_named_by_its_place(api: Api, image: Any, word: str) -> None:
    problem = check_problem(enroll(api, text(BOB), image), 422, "invalid_request")
    (error,) = problem["errors"]
    assert error["field"] == "images.1"
    assert word in error["message"]
    assert api.runtime.default.gallery.template_count == 0
    problem = check_problem(api.post("/v1/identify", json={"image": image}), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == ["image"]


def test_half_a_surrogate_pair_is_no_base64(api: Api) -> None:
    content = b'{"images": ["\\ud800"]}'
    headers = {"content-type": "application/json"}
    answer = api.post("/v1/enroll", content=content, headers=headers)
    check_problem(answer, 422, "invalid_request")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"nmae": "Ann"}, "nmae"),
        ({"name": 7}, "name"),
        ({"metadata": '{"a": 1}'}, "metadata"),
        ({"metadata": [1]}, "metadata"),
        ({"dry_run": "true"}, "dry_run"),
        ({"dry_run": 1}, "dry_run"),
        ({"face_policy": "smallest"}, "face_policy"),
        ({"subject_id": "../ann"}, "subject"),
        ({"metadata": {"a": "\ud800"}}, "subject"),
        ({"metadata": {"\ud800": 1}}, "subject"),
        ({"images": "x"}, "images"),
        ({"images": []}, "images"),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_used_is_named(api: Api, fields: dict[str, Any], field: str) -> None:
    sent = json.dumps({"images": [text(ANN)], **fields})
    headers = {"content-type": "application/json", "idempotency-key": "one"}
    answer = api.post("/v1/enroll", content=sent, headers=headers)
    problem = check_problem(answer, 422, "invalid_request")
    assert problem["errors"][0]["field"].split(".")[0] == field
    assert api.runtime.default.gallery.template_count == 0


@pytest.mark.parametrize("field", ["top_k", "max_faces", "threshold", "min_quality"])
def test_numbers_are_numbers(api: Api, field: str) -> None:
    body = {"image": text(ANN), field: "1"}
    problem = check_problem(api.post("/v1/identify", json=body), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]


def test_metadata_nests_as_deep_as_in_a_form(api: Api) -> None:
    deep: Any = 1
    for _ in range(33):
        deep = {"a": deep}
    problem = check_problem(enroll(api, text(ANN), metadata=deep), 422, "invalid_request")
    assert "32 levels" in problem["detail"]
    assert enroll(api, text(ANN), metadata=deep["a"]).status_code == 201


def test_null_means_not_given(api: Api) -> None:
    nothing = dict.fromkeys(("name", "subject_id", "metadata", "collection", "quality"))
    assert enroll(api, text(ANN), **nothing).status_code == 201


def test_the_limits_are_those_of_the_form(make_api: ApiMaker) -> None:
    api = make_api(max_images_per_request=2, max_image_bytes=len(ANN), max_body_bytes=100_000)
    problem = check_problem(enroll(api, *[text(ANN)] * 3), 422, "invalid_request")
    assert problem["errors"] == [{"field": "images", "message": "Send 1 to 2 images, not 3."}]
    # Of the file, not of its text, which is longer.
    assert len(enroll(api, text(ANN), text(ANN)).json()["accepted"]) == 2
    check_problem(enroll(api, text(ANN + b"\0")), 413, "image_too_large")
    check_problem(enroll(api, text(bytes(100_000))), 413, "body_too_large")


def test_problems_of_an_image_are_those_of_the_form(api: Api) -> None:
    check_problem(enroll(api, text(b"hello")), 415, "not_an_image")
    check_problem(enroll(api, ""), 422, "empty_file")
    problem = check_problem(enroll(api, text(NO_FACE), ""), 422, "no_usable_face")
    assert [item["index"] for item in problem["errors"]] == [0, 1]


@pytest.mark.parametrize("path", ["/v1/enroll", "/enroll", "/v1/identify", "/identify"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "image/png", "application/x-www-form-urlencoded", "application/xml", "x"]
)
def test_another_kind_of_body_is_415_and_hears_which_are_taken(
    api: Api, path: str, kind: str
) -> None:
    answer = api.post(path, content=ANN, headers={"content-type": kind})
    problem = check_problem(answer, 415, "unsupported_media_type")
    assert kind in problem["detail"]
    assert "multipart/form-data or application/json" in problem["detail"]
    assert answer.headers["accept"] == "multipart/form-data, application/json"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "invalid_request"),
        (b"[]", 422, "invalid_request"),
        (b"{", 422, "invalid_request"),
        (b"[" * 100_000, 400, "bad_request"),
        (b"\xff", 400, "bad_request"),
    ],
    ids=["empty", "list", "cut", "deep", "bytes"],
)
@pytest.mark.parametrize("path", ["/v1/enroll", "/v1/identify"])
def test_a_body_that_is_no_json_object(
    api: Api, path: str, content: bytes, status: int, code: str
) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    check_problem(api.post(path, content=content, headers=headers), status, code)


def test_the_key_of_an_enrolment_holds_for_json(api: Api) -> None:
    body = {"images": [text(ANN)], "name": "Ann", "metadata": {"b": 1, "a": 2}}
    headers = {"Idempotency-Key": "one"}
    first = api.post("/v1/enroll", json=body, headers=headers)
    again = api.post("/v1/enroll", json=body, headers=headers)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.content == first.content
    for other in ({**body, "images": [text(BOB)]}, {**body, "metadata": {"a": 1}}):
        answer = api.post("/v1/enroll", json=other, headers=headers)
        check_problem(answer, 409, "idempotency_conflict")


def test_the_description_shows_both_kinds_of_body(api: Api) -> None:
    document = api.get("/openapi.json").json()
    for path, name in (("/v1/enroll", "Enroll"), ("/v1/identify", "Identify")):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        models = {kind: says["schema"]["$ref"] for kind, says in content.items()}
        assert models == {
            "multipart/form-data": f"#/components/schemas/{name}Form",
            "application/json": f"#/components/schemas/{name}Body",
        }
        schemas = document["components"]["schemas"]
        form, body = schemas[f"{name}Form"], schemas[f"{name}Body"]
        assert form["properties"].keys() == body["properties"].keys()
        assert form["required"] == body["required"]
        assert body["additionalProperties"] is False
