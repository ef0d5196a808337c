"""POST /v1/enroll: what is stored, what is refused, and in which words."""

import json
from typing import Any

import numpy as np
import pytest

from benchmarks.pictures import truncated_jpeg
from contract.errors import GalleryFullError
from index.gallery import Gallery
from service.crops import decode_crop
from tests.conftest import NO_FACE, ONE_PIXEL, Api, ApiMaker, Face, check_problem, face_photo

ANN, BOB = face_photo(1), face_photo(2)


def test_a_new_subject_is_created(api: Api) -> None:
    answer = api.enroll(
        ANN, face_photo(Face(1, noise=15)), name="Ann", external_id="7", metadata='{"team": "blue"}'
    )
    assert answer.status_code == 201
    body = answer.json()
    subject = body["subject"]
    assert (subject["name"], subject["external_id"]) == ("Ann", "7")
    assert subject["metadata"] == {"team": "blue"}
    assert (subject["created"], subject["template_count"]) == (True, 2)
    assert [image["index"] for image in body["accepted"]] == [0, 1]
    assert [image["filename"] for image in body["accepted"]] == ["0.png", "1.png"]
    assert body["accepted"][0]["bbox"] == {"x": 15, "y": 10, "width": 112, "height": 112}
    assert len(body["accepted"][0]["landmarks"]) == 5
    assert body["accepted"][0]["det_score"] == 0.99
    assert len({image["template_id"] for image in body["accepted"]}) == 2
    assert body["rejected"] == []
    assert body["bundle"]["id"] == "tiny@1.2.3"
    assert body["bundle"]["sha256"] == api.runtime.default.bundle.bundle.sha256
    assert body["gallery_revision"] == api.runtime.default.gallery.revision == 1
    assert body["request_id"] == answer.headers["x-request-id"]
    stored = api.get(f"/v1/subjects/{subject['id']}").json()
    assert stored == {key: value for key, value in subject.items() if key != "created"}


def test_templates_are_added_to_a_subject_by_id_or_by_external_id(api: Api) -> None:
    first = api.enroll(ANN, name="Ann", subject_id="ann", external_id="7")
    assert first.status_code == 201
    by_id = api.enroll(ANN, subject_id="ann")
    by_external_id = api.enroll(ANN, external_id="7")
    for answer, count in ((by_id, 2), (by_external_id, 3)):
        assert answer.status_code == 200
        subject = answer.json()["subject"]
        assert (subject["id"], subject["name"]) == ("ann", "Ann")
        assert (subject["created"], subject["template_count"]) == (False, count)


def test_a_bad_image_among_good_ones_is_rejected_alone(api: Api) -> None:
    answer = api.enroll(ANN, b"hello", NO_FACE, ONE_PIXEL, face_photo(1, 2), name="Ann")
    assert answer.status_code == 201
    body = answer.json()
    assert [image["index"] for image in body["accepted"]] == [0]
    assert [(r["index"], r["filename"], r["reasons"]) for r in body["rejected"]] == [
        (1, "1.png", ["not_an_image"]),
        (2, "2.png", ["no_face"]),
        (3, "3.png", ["face_too_small"]),
        (4, "4.png", ["multiple_faces"]),
    ]
    assert "15 x 120" in body["rejected"][1]["detail"]
    assert body["subject"]["template_count"] == 1


def test_face_policy_largest_takes_the_largest_of_several_faces(api: Api) -> None:
    crowd = face_photo(Face(2, 60), Face(1, 120), Face(3, 80))
    answer = api.enroll(crowd, name="Ann", face_policy="largest")
    assert answer.status_code == 201
    assert answer.json()["accepted"][0]["bbox"]["width"] == 120
    assert [api.who(face_photo(seed)) for seed in (1, 2, 3)] == ["Ann", None, None]


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        (b"", 422, "empty_file"),
        (b"This is a letter, not a photo.", 415, "not_an_image"),
        (b"GIF89a" + bytes(30), 415, "not_an_image"),
        (truncated_jpeg(), 422, "damaged_image"),
    ],
    ids=["empty", "text", "gif", "truncated"],
)
def test_a_file_that_is_no_image_has_a_problem_of_its_own(
    api: Api, image: bytes, status: int, code: str
) -> None:
    assert check_problem(api.enroll(image, name="Ann"), status, code)["errors"] == []
    check_nothing_stored(api)


def test_a_picture_of_too_many_pixels_is_refused(api: Api, huge_png_file: bytes) -> None:
    assert len(huge_png_file) < 112_000
    problem = check_problem(api.enroll(huge_png_file), 413, "image_too_large")
    assert "at most 50000000 are taken" in problem["detail"]
    check_nothing_stored(api)


def test_a_file_of_too_many_bytes_is_refused(make_api: ApiMaker) -> None:
    api = make_api(max_image_bytes=len(ANN))
    assert api.enroll(ANN).status_code == 201
    check_problem(api.enroll(ANN + b"\0"), 413, "image_too_large")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (NO_FACE, "no_face"),
        (ONE_PIXEL, "face_too_small"),
        (face_photo(1, 2), "multiple_faces"),
    ],
    ids=["no face", "one pixel", "two faces"],
)
def test_a_photo_without_one_usable_face_is_refused(api: Api, image: bytes, reason: str) -> None:
    problem = check_problem(api.enroll(image, face_policy="single"), 422, "no_usable_face")
    assert problem["errors"] == [{"index": 0, "reasons": [reason]}]
    check_nothing_stored(api)


def test_when_no_image_can_be_used_each_one_is_named(api: Api) -> None:
    problem = check_problem(api.enroll(b"", NO_FACE), 422, "no_usable_face")
    assert problem["errors"] == [
        {"index": 0, "reasons": ["not_an_image"]},
        {"index": 1, "reasons": ["no_face"]},
    ]
    assert "Image 0: " in problem["detail"]
    assert "Image 1: " in problem["detail"]
    check_nothing_stored(api)


@pytest.mark.parametrize(
    ("fields", "field", "word"),
    [
        ({"nmae": "Ann"}, "nmae", "not permitted"),
        ({"face_policy": "smallest"}, "face_policy", "single"),
        ({"metadata": "{"}, "metadata", "not JSON"),
        ({"metadata": "[1]"}, "metadata", "object"),
        ({"metadata": "[" * 100_000}, "metadata", "not JSON"),
        ({"metadata": '{"a": NaN}'}, "subject", "finite"),
        ({"metadata": json.dumps({"a": "x" * 70_000})}, "subject", "65536"),
        ({"subject_id": "../ann"}, "subject", "letters"),
        ({"subject_id": "a" * 129}, "subject", "128"),
        ({"name": "a\tb"}, "subject", "control"),
        ({"external_id": "x" * 129}, "subject", "128"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_field_that_cannot_be_used_is_named(
    api: Api, fields: dict[str, str], field: str, word: str
) -> None:
    problem = check_problem(api.enroll(ANN, **fields), 422, "invalid_request")
    (error,) = problem["errors"]
    assert error["field"] == field
    assert word in error["message"]
    assert word in problem["detail"]
    check_nothing_stored(api)


def test_metadata_is_answered_again_as_deep_as_it_is_taken(api: Api) -> None:
    def nested(levels: int) -> str:
        return '{"a":' * levels + "1" + "}" * levels

    deep = api.enroll(ANN, subject_id="deep", metadata=nested(32))
    assert deep.status_code == 201
    assert api.get("/v1/subjects/deep").json()["metadata"] == json.loads(nested(32))
    problem = check_problem(api.enroll(ANN, metadata=nested(33)), 422, "invalid_request")
    assert "32 levels" in problem["detail"]
    check_problem(api.enroll(ANN, metadata=f'{{"a":{"[" * 32}{"]" * 32}}}'), 422, "invalid_request")
    assert len(api.get("/v1/subjects").json()["subjects"]) == 1


def test_missing_images_are_named(api: Api) -> None:
    name = {"name": (None, b"Ann")}
    for what in ({}, {"files": name}, {"json": {"name": "Ann"}}):
        problem = check_problem(api.post("/v1/enroll", **what), 422, "invalid_request")
        assert problem["errors"] == [{"field": "images", "message": "Field required"}]
    text = api.post("/v1/enroll", files={"images": (None, b"x")})
    problem = check_problem(text, 422, "invalid_request")
    assert problem["errors"][0]["field"] == "images.0"


def test_a_body_that_is_not_the_multipart_it_says_is_a_bad_request(api: Api) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    check_problem(api.post("/v1/enroll", content=b"nothing", headers=headers), 400, "bad_request")


def test_twenty_images_are_taken_and_twenty_one_are_not(api: Api) -> None:
    problem = check_problem(api.enroll(*[ANN] * 21), 422, "invalid_request")
    assert problem["errors"] == [{"field": "images", "message": "Send 1 to 20 images, not 21."}]
    check_nothing_stored(api)
    assert len(api.enroll(*[ANN] * 20).json()["accepted"]) == 20


@pytest.mark.parametrize(
    "fields",
    [
        {"subject_id": "ann", "name": "Anna"},
        {"subject_id": "ann", "external_id": "8"},
        {"subject_id": "ann", "metadata": '{"a": 2}'},
        {"subject_id": "bob", "external_id": "7"},
        {"external_id": "7", "name": "Bob"},
    ],
)
def test_a_subject_that_says_something_else_is_a_conflict(api: Api, fields: dict[str, str]) -> None:
    api.enroll(ANN, subject_id="ann", name="Ann", external_id="7", metadata='{"a": 1}')
    before = api.get("/v1/subjects").json()
    check_problem(api.enroll(BOB, **fields), 409, "subject_conflict")
    assert api.get("/v1/subjects").json() == before
    assert api.who(BOB) is None


def test_the_unversioned_route_is_the_same(api: Api) -> None:
    fields: dict[str, Any] = {"name": "Ann", "subject_id": "ann"}
    old = api.enroll(ANN, b"x", path="/enroll", **fields)
    api.delete("/v1/subjects/ann")
    new = api.enroll(ANN, b"x", path="/v1/enroll", **fields)
    assert old.status_code == new.status_code == 201
    assert api.enroll(ANN, path="/enroll", **fields).status_code == 200
    a, b = old.json(), new.json()
    for body in (a, b):
        del body["request_id"], body["gallery_revision"]
        del body["subject"]["created_at"], body["accepted"][0]["template_id"]
    assert a == b
    check_problem(api.enroll(b"", path="/enroll"), 422, "empty_file")


def test_no_room_on_the_storage_is_507(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise GalleryFullError("The disk is full: make room.")

    monkeypatch.setattr(Gallery, "enroll", full)
    problem = check_problem(api.enroll(ANN), 507, "storage_full")
    assert problem["detail"] == "The disk is full: make room."


def check_nothing_stored(api: Api) -> None:
    gallery = api.runtime.default.gallery
    assert (gallery.revision, gallery.subject_count, gallery.template_count) == (0, 0, 0)


def test_expiry_and_consent_are_kept_and_shown(api: Api) -> None:
    answer = api.enroll(ANN, expires_at="2090-01-01T01:00:00+01:00", consent_ref="form 12")
    assert answer.status_code == 201
    subject = answer.json()["subject"]
    assert subject["expires_at"] == "2090-01-01T00:00:00.000Z"
    assert subject["consent_ref"] == "form 12"
    (listed,) = api.get("/v1/subjects").json()["subjects"]
    assert (listed["expires_at"], listed["consent_ref"]) == (subject["expires_at"], "form 12")


def test_who_has_expired_is_unknown(api: Api) -> None:
    assert api.enroll(ANN, name="Ann", expires_at="2020-01-01T00:00:00Z").status_code == 201
    assert api.who(ANN) is None


@pytest.mark.parametrize(
    "fields",
    [{"expires_at": "tomorrow"}, {"expires_at": "2090-01-01T00:00:00"}, {"consent_ref": "\0"},
     {"consent_ref": "x" * 129}, {"store_image": "photo"}],
)  # fmt: skip
def test_an_expiry_consent_or_wish_that_cannot_be_is_refused(
    api: Api, fields: dict[str, str]
) -> None:
    check_problem(api.enroll(ANN, **fields), 422, "invalid_request")
    check_nothing_stored(api)


def test_another_consent_than_the_stored_one_is_a_conflict(api: Api) -> None:
    api.enroll(ANN, subject_id="ann", consent_ref="form 12")
    answer = api.enroll(ANN, subject_id="ann", consent_ref="form 13")
    check_problem(answer, 409, "subject_conflict")


def test_a_crop_is_kept_only_when_asked_for_and_without_loss(api: Api) -> None:
    plain = api.enroll(ANN, subject_id="ann").json()["accepted"][0]["template_id"]
    kept = api.enroll(ANN, b"hello", ANN, subject_id="ann", store_image="crop").json()["accepted"]
    gallery, pixels = api.runtime.default.gallery, api.runtime.default.bundle.bundle.manifest.input
    assert gallery.crop(plain) is None
    for image in kept:
        crop = gallery.crop(image["template_id"])
        assert crop is not None
        decoded = decode_crop(crop, pixels)
        embedding = api.runtime.default.bundle.embedder.embed(np.stack([decoded]))
        assert gallery.search(embedding, top_k=1).candidates[0][0].similarity == 1.0
    assert [template.has_crop for template in gallery.templates("ann")] == [False, True, True]
