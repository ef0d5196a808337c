"""POST /v1/verify: two photos, or a photo and a subject."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.pictures import truncated_jpeg
from tests.calibrated import calibration, exponential, measured
from tests.conftest import (
    NO_FACE,
    THRESHOLD,
    Api,
    ApiMaker,
    BundleMaker,
    Face,
    check_problem,
    face_photo,
    texture,
)

WORLD = calibration(measured(10, 4_000), measured(100, 3_000))


def verify(api: Api, image: bytes, other: bytes | None = None, **fields: Any) -> httpx.Response:
    files = {"image": ("a.png", image)}
    if other is not None:
        files["other_image"] = ("b.png", other)
    return api.post("/v1/verify", files=files, data=fields)


def embedding(face: Face) -> npt.NDArray[np.float64]:
    """The tiny bundle's, of a face that needs no scaling: 8 x 8 blocks, written out in numpy."""
    grey = texture(face).astype(np.float64).mean(axis=2).reshape(8, 14, 8, 14).mean(axis=(1, 3))
    centred = (grey - grey.mean()).ravel()
    unit: npt.NDArray[np.float64] = centred / np.linalg.norm(centred)
    return unit


def similarity(a: Face, b: Face) -> float:
    return 1 - float(np.linalg.norm(embedding(a) - embedding(b))) / 2


@pytest.mark.parametrize(
    ("a", "b"),
    [(Face(1), Face(1)), (Face(1), Face(1, noise=30)), (Face(1), Face(2)), (Face(3), Face(9))],
    ids=str,
)
def test_two_photos_have_the_similarity_of_their_blocks(api: Api, a: Face, b: Face) -> None:
    answer = verify(api, face_photo(a), face_photo(b))
    assert answer.status_code == 200
    body = answer.json()
    expected = similarity(a, b)
    assert body["similarity"] == pytest.approx(expected, abs=2e-3)
    assert body["decision"] == ("match" if expected >= THRESHOLD else "no_match")
    assert body["reason"] is None
    # In the other order it is the same.
    assert verify(api, face_photo(b), face_photo(a)).json()["similarity"] == pytest.approx(
        body["similarity"], abs=1e-6
    )


def test_the_answer_shows_both_faces(api: Api) -> None:
    answer = verify(api, face_photo(Face(1, 120)), face_photo(Face(1, 90)))
    body = answer.json()
    for name, side in (("face", 120), ("other_face", 90)):
        face = body[name]
        assert face["bbox"] == {"x": 15, "y": 10, "width": side, "height": side}
        assert len(face["landmarks"]) == 5
        assert face["det_score"] == 0.99
        assert 0 <= face["quality"]["score"] <= 1
    assert (body["subject"], body["template_id"]) == (None, None)
    assert body["bundle"]["id"] == "tiny@1.2.3"
    assert set(body["timing_ms"]) == {"decode", "detect", "embed", "measure"}
    assert body["request_id"] == answer.headers["x-request-id"]


def test_a_subject_is_compared_by_its_nearest_template(api: Api) -> None:
    templates = [
        api.enroll(face_photo(face), subject_id="ann", name="Ann").json()["accepted"][0]
        for face in (Face(1, noise=60), Face(1), Face(1, noise=40))
    ]
    # Somebody who is nearer does not matter.
    api.enroll(face_photo(Face(1, noise=5)), subject_id="twin", duplicate_check="off")
    body = verify(api, face_photo(Face(1, noise=10)), subject_id="ann").json()
    expected = [similarity(Face(1, noise=10), Face(1, noise=n)) for n in (60, 0, 40)]
    assert body["similarity"] == pytest.approx(max(expected), abs=2e-3)
    assert body["template_id"] == templates[int(np.argmax(expected))]["template_id"]
    assert body["subject"] == {"id": "ann", "name": "Ann"}
    assert body["decision"] == "match"
    assert body["other_face"] is None
    assert set(body["timing_ms"]) == {"decode", "detect", "embed", "measure", "compare"}
    other = verify(api, face_photo(50), subject_id="ann").json()
    assert (other["decision"], other["subject"]["id"]) == ("no_match", "ann")
    found = api.identify(face_photo(Face(1, noise=10)), top_k=5).json()["faces"][0]["candidates"]
    (same,) = [c["similarity"] for c in found if c["subject"]["id"] == "ann"]
    assert body["similarity"] == same


def test_a_subject_without_templates_is_not_evaluated(api: Api) -> None:
    enrolled = api.enroll(face_photo(1), subject_id="ann").json()
    api.runtime.default.gallery.remove_template(enrolled["accepted"][0]["template_id"])
    body = verify(api, face_photo(1), subject_id="ann").json()
    assert (body["decision"], body["reason"]) == ("not_evaluated", "no_templates")
    assert (body["similarity"], body["template_id"]) == (None, None)
    assert body["subject"]["id"] == "ann"


def test_the_callers_threshold_decides_to_the_last_digit(api: Api) -> None:
    pair = face_photo(1), face_photo(Face(1, noise=40))
    value = verify(api, *pair).json()["similarity"]
    for threshold, decision in ((value, "match"), (value + 1e-9, "no_match"), (0, "match")):
        body = verify(api, *pair, threshold=repr(threshold)).json()
        assert body["decision"] == decision
        assert body["threshold"] == {
            "value": threshold,
            "source": "request",
            "target_fmr": None,
            "fmr_upper95": None,
            "basis": None,
            "evidence": None,
            "note": None,
        }


def test_a_bundle_without_calibration_has_its_fixed_threshold(
    api: Api, make_api: ApiMaker, make_bundle: BundleMaker
) -> None:
    pair = face_photo(1), face_photo(1)
    body = verify(api, *pair).json()
    assert (body["threshold"]["value"], body["threshold"]["source"]) == (THRESHOLD, "default")
    refused = verify(api, *pair, target_fmr=0.01).json()
    assert (refused["decision"], refused["reason"]) == ("not_evaluated", "target_fmr_unsupported")
    assert refused["similarity"] == body["similarity"]
    assert refused["threshold"]["value"] is None


def test_without_any_threshold_nothing_is_decided(
    make_api: ApiMaker, make_bundle: BundleMaker
) -> None:
    api = make_api(bundle_path=make_bundle(threshold=None))
    body = verify(api, face_photo(1), face_photo(1)).json()
    assert (body["decision"], body["reason"]) == ("not_evaluated", "no_threshold")
    assert body["similarity"] > 0.99
    assert body["threshold"]["source"] == "none"


@pytest.fixture(scope="module")
def calibrated_bundle(make_bundle: BundleMaker) -> Path:
    return make_bundle(calibration=WORLD)


def test_the_threshold_is_that_of_a_gallery_of_one_whatever_is_enrolled(
    make_api: ApiMaker, calibrated_bundle: Path
) -> None:
    api = make_api(bundle_path=calibrated_bundle)
    for seed in range(2, 6):
        api.enroll(face_photo(seed), duplicate_check="off")
    pair = face_photo(1), face_photo(1)
    for target in (0.1, 0.01, 0.001):
        stated = verify(api, *pair, target_fmr=target).json()["threshold"]
        assert stated["value"] == pytest.approx(exponential(target, 1), abs=2e-3)
        assert (stated["source"], stated["basis"]) == ("calibrated", "estimate")
        assert stated["target_fmr"] == target
        assert target < stated["fmr_upper95"] < 4 * target
        assert stated["evidence"]["gallery_subjects"] == 10
        assert stated["evidence"]["strangers"] == 4_000
        assert (stated["evidence"]["fpir"], stated["evidence"]["fnir"]) == (None, None)
        assert "one subject" in stated["note"]
    # The settings' target unless given.
    assert verify(api, *pair).json()["threshold"]["target_fmr"] == 0.01
    # Of one chance it is lower than of a search.
    searched = api.identify(pair[0]).json()["threshold"]
    assert verify(api, *pair).json()["threshold"]["value"] < searched["value"]


def test_each_template_of_a_subject_is_a_chance(
    make_api: ApiMaker, calibrated_bundle: Path
) -> None:
    api = make_api(bundle_path=calibrated_bundle)
    one = face_photo(1)
    api.enroll(one, *[face_photo(Face(1, noise=n)) for n in range(10, 70, 10)], subject_id="ann")
    stated = verify(api, one, subject_id="ann").json()["threshold"]
    assert stated["value"] == pytest.approx(exponential(0.01, 7), abs=2e-3)
    assert stated["basis"] == "estimate"


def test_a_target_that_strangers_cannot_show_is_refused_in_words(
    make_api: ApiMaker, calibrated_bundle: Path
) -> None:
    api = make_api(bundle_path=calibrated_bundle)
    body = verify(api, face_photo(1), face_photo(1), target_fmr=1e-6).json()
    assert (body["decision"], body["reason"]) == ("not_evaluated", "target_fmr_unsupported")
    assert "3,000,000 strangers" in body["threshold"]["note"]


@pytest.mark.parametrize(
    ("image", "other", "fields"),
    [(NO_FACE, face_photo(1), ["image"]), (face_photo(1), NO_FACE, ["other_image"]),
     (NO_FACE, NO_FACE, ["image", "other_image"])],
    ids=["image", "other", "both"],
)  # fmt: skip
def test_the_image_without_a_face_is_named(
    api: Api, image: bytes, other: bytes, fields: list[str]
) -> None:
    problem = check_problem(verify(api, image, other), 422, "no_usable_face")
    assert problem["errors"] == [{"field": field, "reasons": ["no_face"]} for field in fields]
    for field in fields:
        assert f"{field}: No face" in problem["detail"]


def test_several_faces_are_refused_unless_the_largest_is_wanted(api: Api) -> None:
    several = face_photo(Face(2, 60), Face(1, 120))
    problem = check_problem(verify(api, several, face_photo(1)), 422, "no_usable_face")
    assert problem["errors"] == [{"field": "image", "reasons": ["multiple_faces"]}]
    body = verify(api, several, face_photo(1), face_policy="largest").json()
    assert body["decision"] == "match"
    assert body["face"]["bbox"]["width"] == 120


@pytest.mark.parametrize(
    ("data", "status", "code", "reason"),
    [
        (b"", 422, "empty_file", "not_an_image"),
        (b"a letter", 415, "not_an_image", "not_an_image"),
        (truncated_jpeg(), 422, "damaged_image", "not_an_image"),
    ],
    ids=["empty", "text", "truncated"],
)
def test_the_file_that_is_no_image_is_named(
    api: Api, data: bytes, status: int, code: str, reason: str
) -> None:
    for pair, field in (
        ((data, face_photo(1)), "image"),
        ((face_photo(1), data), "other_image"),
    ):
        problem = check_problem(verify(api, *pair), status, code)
        assert problem["errors"] == [{"field": field, "reasons": [reason]}]


@pytest.mark.parametrize(
    ("other", "fields", "field"),
    [
        (None, {}, "other_image"),
        (face_photo(1), {"subject_id": "ann"}, "other_image"),
        (face_photo(1), {"threshold": 0.5, "target_fmr": 0.01}, "threshold"),
        (face_photo(1), {"threshold": 1.5}, "threshold"),
        (face_photo(1), {"target_fmr": 0}, "target_fmr"),
        (face_photo(1), {"face_policy": "any"}, "face_policy"),
        (face_photo(1), {"nonsense": 1}, "nonsense"),
    ],
    ids=str,
)
def test_wishes_that_make_no_sense_are_refused(
    api: Api, other: bytes | None, fields: dict[str, Any], field: str
) -> None:
    problem = check_problem(verify(api, face_photo(1), other, **fields), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("subject_id", ["nobody", "\0", "é", "x" * 200])
def test_an_unknown_subject_is_not_found(api: Api, subject_id: str) -> None:
    check_problem(verify(api, face_photo(1), subject_id=subject_id), 404, "subject_not_found")


def test_the_subject_and_the_bundle_are_the_collections(
    make_api: ApiMaker, make_bundle: BundleMaker
) -> None:
    api = make_api(further_bundle_paths=str(make_bundle(fit="pad", name="whole")))
    api.post("/v1/collections", json={"id": "cartoons", "bundle": "whole"})
    # Two faces are one image to the other bundle.
    api.enroll(face_photo(1, 2), subject_id="pair", collection="cartoons")
    check_problem(verify(api, face_photo(1), subject_id="pair"), 404, "subject_not_found")
    body = verify(api, face_photo(1, 2), subject_id="pair", collection="cartoons").json()
    assert (body["decision"], body["bundle"]["id"]) == ("match", "whole@1.2.3")
    assert body["face"]["quality"] is None
    other = verify(api, face_photo(1, 2), face_photo(3, 4), collection="cartoons").json()
    assert other["bundle"]["id"] == "whole@1.2.3"
    assert other["similarity"] < 0.99 < body["similarity"]


def test_an_unknown_collection_is_not_found(api: Api) -> None:
    answer = verify(api, face_photo(1), face_photo(1), collection="nowhere")
    check_problem(answer, 404, "collection_not_found")


def test_nothing_is_stored(api: Api) -> None:
    verify(api, face_photo(1), face_photo(1))
    gallery = api.runtime.default.gallery
    assert (gallery.revision, gallery.template_count) == (0, 0)
