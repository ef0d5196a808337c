"""POST /v1/detect: the faces of a photo, whoever they are."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image

from benchmarks.pictures import truncated_jpeg
from tests.conftest import (
    NO_FACE,
    Api,
    ApiMaker,
    BundleMaker,
    Face,
    check_problem,
    face_photo,
)


def detect(api: Api, image: bytes, **fields: Any) -> httpx.Response:
    return api.post("/v1/detect", files={"image": ("photo.png", image)}, data=fields)


def box(x: int, side: int) -> dict[str, float]:
    return {"x": x, "y": 10, "width": side, "height": side}


def test_all_faces_are_told_largest_first_and_where_they_are(api: Api) -> None:
    answer = detect(api, face_photo(Face(1, 60), Face(2, 120), Face(3, 75)))
    assert answer.status_code == 200
    body = answer.json()
    # From the left: 15 pixels of black before each face.
    places = [box(15 + 60 + 15, 120), box(15 + 60 + 15 + 120 + 15, 75), box(15, 60)]
    assert [face["bbox"] for face in body["faces"]] == places
    assert body["image"] == {"width": 15 + 75 + 135 + 90, "height": 140}
    for face in body["faces"]:
        left, top = face["bbox"]["x"], face["bbox"]["y"]
        assert len(face["landmarks"]) == 5
        for point in face["landmarks"]:
            assert left < point["x"] < left + face["bbox"]["width"]
            assert top < point["y"] < top + face["bbox"]["height"]
        assert face["det_score"] == 0.99
        assert face["quality"]["face_px"] == face["bbox"]["width"]
        assert set(face) == {"bbox", "landmarks", "det_score", "quality"}
    assert set(body["timing_ms"]) == {"decode", "detect", "measure"}
    assert body["request_id"] == answer.headers["x-request-id"]


def test_a_face_has_the_quality_that_identify_says(api: Api) -> None:
    photo = face_photo(Face(1, 60), Face(2, 120))
    searched = api.identify(photo).json()["faces"]
    seen = detect(api, photo).json()["faces"]
    assert [face["quality"] for face in seen] == [face["quality"] for face in searched]


def test_max_faces_keeps_the_largest_and_zero_keeps_all(api: Api) -> None:
    photo = face_photo(Face(1, 60), Face(2, 120), Face(3, 75))
    sizes = {
        count: [f["bbox"]["width"] for f in detect(api, photo, max_faces=count).json()["faces"]]
        for count in (0, 1, 2, 9)
    }
    assert sizes == {0: [120, 75, 60], 1: [120], 2: [120, 75], 9: [120, 75, 60]}


def test_nothing_is_embedded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("embedded")

    embedder: Callable[..., Any] = api.runtime.default.bundle.recognizer._embedder
    monkeypatch.setattr(type(embedder), "embed", refuse)
    assert len(detect(api, face_photo(1, 2)).json()["faces"]) == 2


def test_the_size_is_that_of_the_upright_image(api: Api) -> None:
    upright = Image.open(io.BytesIO(face_photo(Face(2, 100))))
    turned, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # Shown upright after a quarter turn clockwise.
    upright.transpose(Image.Transpose.ROTATE_90).save(turned, "PNG", exif=exif)
    body = detect(api, turned.getvalue()).json()
    assert body["image"] == {"width": upright.width, "height": upright.height}
    assert upright.width != upright.height
    assert [face["bbox"] for face in body["faces"]] == [box(15, 100)]


def test_a_photo_without_a_face_has_no_faces(api: Api) -> None:
    answer = detect(api, NO_FACE)
    assert answer.status_code == 200
    assert answer.json()["faces"] == []


def test_a_bundle_of_whole_images_takes_the_image(
    make_api: ApiMaker, make_bundle: BundleMaker
) -> None:
    body = detect(make_api(bundle_path=make_bundle(fit="stretch")), face_photo(Face(1, 60))).json()
    (face,) = body["faces"]
    assert face["bbox"] == {"x": 0, "y": 0, "width": 90, "height": 80}
    assert (face["landmarks"], face["quality"]) == ([], None)


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        (b"", 422, "empty_file"),
        (b"a letter", 415, "not_an_image"),
        (truncated_jpeg(), 422, "damaged_image"),
    ],
    ids=["empty", "text", "truncated"],
)
def test_a_file_that_is_no_image_has_a_problem_of_its_own(
    api: Api, image: bytes, status: int, code: str
) -> None:
    check_problem(detect(api, image), status, code)


@pytest.mark.parametrize("fields", [{"max_faces": -1}, {"top_k": 3}], ids=str)
def test_a_field_that_cannot_be_used_is_named(api: Api, fields: dict[str, Any]) -> None:
    problem = check_problem(detect(api, face_photo(1), **fields), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == list(fields)


def test_an_unknown_collection_is_not_found(api: Api) -> None:
    answer = detect(api, face_photo(1), collection="nowhere")
    check_problem(answer, 404, "collection_not_found")
