"""POST /v1/identify/batch: many photos, each with a result or a problem of its own."""

from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.pictures import truncated_jpeg
from service import batch_identification
from service.settings import Settings
from tests.conftest import NO_FACE, Api, ApiMaker, Face, check_problem, face_photo


@pytest.fixture
def known(api: Api) -> Api:
    """Ann and Bob are enrolled, with the faces 1 and 2."""
    for seed, name in ((1, "Ann"), (2, "Bob")):
        assert api.enroll(face_photo(seed), name=name, subject_id=name.lower()).status_code == 201
    return api


def batch(api: Api, *images: bytes, **fields: Any) -> httpx.Response:
    files = [("images", (f"{i}.png", data)) for i, data in enumerate(images)]
    return api.post("/v1/identify/batch", files=files, data=fields)


def test_three_faces_two_enrolled_in_one_photo(known: Api) -> None:
    answer = batch(known, face_photo(Face(1, 60, noise=5), Face(50, 90), Face(2, 120, noise=5)))
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    faces = result["answer"]["faces"]
    assert [face["decision"] for face in faces] == ["match", "unknown", "match"]
    assert [(face["subject"] or {}).get("name") for face in faces] == ["Bob", None, "Ann"]
    assert [face["bbox"] for face in faces] == [
        {"x": 15 + 75 + 105, "y": 10, "width": 120, "height": 120},
        {"x": 15 + 75, "y": 10, "width": 90, "height": 90},
        {"x": 15, "y": 10, "width": 60, "height": 60},
    ]


def test_each_photo_is_answered_as_by_itself(known: Api) -> None:
    photos = [face_photo(Face(1, 80), 50), NO_FACE, face_photo(2), face_photo(60, Face(2, 90), 3)]
    options: dict[str, Any] = {"top_k": 2, "max_faces": 2, "min_quality": 0.01}
    body = batch(known, *photos, **options).json()
    assert [result["index"] for result in body["results"]] == [0, 1, 2, 3]
    assert [result["filename"] for result in body["results"]] == [f"{i}.png" for i in range(4)]
    alone = [known.identify(photo, **options).json() for photo in photos]
    for result, single in zip(body["results"], alone, strict=True):
        assert result["problem"] is None
        for face in (*result["answer"]["faces"], *single["faces"]):
            # Of each search another one.
            assert face.pop("receipt")
        assert same(result["answer"]["faces"], single["faces"])
    assert [len(result["answer"]["faces"]) for result in body["results"]] == [2, 0, 1, 2]
    for key in ("threshold", "bundle", "gallery_revision"):
        assert body[key] == alone[0][key]
    assert set(body["timing_ms"]) == {"decode", "detect", "embed", "search"}


def same(found: Any, expected: Any) -> bool:
    """Equal but for the last digits, which depend on the size of the model's batch."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[k], expected[k]) for k in found)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float):
        return bool(np.isclose(found, expected, atol=1e-5))
    return bool(found == expected)


def test_a_bad_image_is_its_own_problem(known: Api) -> None:
    answer = batch(known, face_photo(1), b"a letter", truncated_jpeg(), b"", face_photo(2))
    assert answer.status_code == 200
    body = answer.json()
    answers = [result["answer"] for result in body["results"]]
    names = [answer and answer["faces"][0]["subject"]["name"] for answer in answers]
    assert names == ["Ann", None, None, None, "Bob"]
    problems = [result["problem"] for result in body["results"]]
    assert [problem and (problem["status"], problem["code"]) for problem in problems] == [
        None,
        (415, "not_an_image"),
        (422, "damaged_image"),
        (422, "empty_file"),
        None,
    ]
    for problem in problems[1:4]:
        assert problem["instance"] == "/v1/identify/batch"
        assert problem["type"] == "/problems/" + problem["code"].replace("_", "-")
        assert problem["request_id"] == body["request_id"] == answer.headers["x-request-id"]
        assert problem["detail"]


def test_only_bad_images_are_an_answer_too(known: Api) -> None:
    body = batch(known, b"", b"").json()
    assert [result["answer"] for result in body["results"]] == [None, None]
    assert body["gallery_revision"] == 2
    assert body["threshold"]["gallery_subjects"] == 2


@pytest.mark.parametrize("at_once", [1, 2, 3, 64])
def test_faces_of_several_photos_share_the_models_batches(
    known: Api, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(batch_identification, "CROPS_AT_ONCE", at_once)
    embedder = known.runtime.default.bundle.recognizer._embedder
    sizes, embed = [], embedder.embed

    def counted(crops: Any) -> Any:
        sizes.append(len(crops))
        return embed(crops)

    monkeypatch.setattr(type(embedder), "embed", lambda _, crops: counted(crops))
    photos = [face_photo(1), face_photo(2, 50), NO_FACE, b"", face_photo(60), face_photo(2)]
    body = batch(known, *photos).json()
    assert sizes == {1: [1, 2, 1, 1], 2: [3, 2], 3: [3, 2], 64: [5]}[at_once]
    names = [
        sorted((face["subject"] or {}).get("name") or "-" for face in result["answer"]["faces"])
        for result in body["results"]
        if result["answer"]
    ]
    assert names == [["Ann"], ["-", "Bob"], [], ["-"], ["Bob"]]


def test_the_options_are_those_of_identify(known: Api) -> None:
    photos = face_photo(1), face_photo(2)
    body = batch(known, *photos, threshold=1).json()
    assert body["threshold"]["source"] == "request"
    body = batch(known, *photos, mode="investigate", top_k=2).json()
    for result in body["results"]:
        (face,) = result["answer"]["faces"]
        assert (face["decision"], face["reason"]) == ("not_evaluated", "investigating")
        assert len(face["candidates"]) == 2
    for fields, field in (
        ({"threshold": 0.5, "target_fpir": 0.01}, "threshold"),
        ({"mode": "investigate", "threshold": 0.5}, "mode"),
        ({"top_k": 0}, "top_k"),
        ({"image": "x"}, "image"),
    ):
        problem = check_problem(batch(known, *photos, **fields), 422, "invalid_request")
        assert [error["field"] for error in problem["errors"]] == [field]
    check_problem(batch(known, *photos, collection="nowhere"), 404, "collection_not_found")


def test_the_collections_people_are_searched(known: Api) -> None:
    known.post("/v1/collections", json={"id": "vip"})
    known.enroll(face_photo(1), name="Anna", collection="vip")
    found = {}
    for collection in ("default", "vip"):
        body = batch(known, face_photo(1), face_photo(2), collection=collection).json()
        faces = [result["answer"]["faces"][0] for result in body["results"]]
        found[collection] = [(face["subject"] or {}).get("name") for face in faces]
    assert found == {"default": ["Ann", "Bob"], "vip": ["Anna", None]}


def test_the_number_of_images_is_bounded(
    make_api: ApiMaker, no_settings: pytest.MonkeyPatch
) -> None:
    api = make_api(max_images_per_batch=2)
    assert batch(api, NO_FACE, NO_FACE).status_code == 200
    problem = check_problem(batch(api, NO_FACE, NO_FACE, NO_FACE), 422, "invalid_request")
    assert problem["errors"] == [{"field": "images", "message": "Send 1 to 2 images, not 3."}]
    check_problem(api.post("/v1/identify/batch"), 422, "invalid_request")
    assert Settings().max_images_per_batch == 64


def test_a_gallery_that_cannot_be_read_is_a_problem_of_the_whole(known: Api) -> None:
    known.runtime.galleries.close()
    check_problem(batch(known, face_photo(1)), 503, "gallery_unavailable")
