"""POST /v1/identify: every face of a photo, and who it is."""

from typing import Any

import pytest

from benchmarks.pictures import truncated_jpeg
from tests.conftest import (
    NO_FACE,
    ONE_PIXEL,
    THRESHOLD,
    Api,
    ApiMaker,
    BundleMaker,
    Face,
    check_problem,
    face_photo,
)


@pytest.fixture
def known(api: Api) -> Api:
    """Three people are enrolled, Ann to Cem, with the faces 1 to 3."""
    for seed, name in enumerate(("Ann", "Bob", "Cem"), start=1):
        assert api.enroll(face_photo(seed), name=name, subject_id=name.lower()).status_code == 201
    return api


def test_someone_enrolled_is_a_match(known: Api) -> None:
    answer = known.identify(face_photo(Face(2, 140, noise=20)))
    assert answer.status_code == 200
    body = answer.json()
    (face,) = body["faces"]
    assert (face["decision"], face["reason"]) == ("match", None)
    assert face["subject"] == {"id": "bob", "name": "Bob"}
    assert THRESHOLD < face["similarity"] < 1
    assert face["bbox"] == {"x": 15, "y": 10, "width": 140, "height": 140}
    assert len(face["landmarks"]) == 5
    (candidate,) = face["candidates"]
    assert candidate["subject"] == face["subject"]
    assert candidate["similarity"] == face["similarity"]
    assert body["bundle"] == {
        "id": "tiny@1.2.3",
        "sha256": known.runtime.default.bundle.bundle.sha256,
    }
    assert body["gallery_revision"] == 3
    assert set(body["timing_ms"]) == {"decode", "detect", "embed", "search"}
    assert all(ms >= 0 for ms in body["timing_ms"].values())
    assert body["request_id"] == answer.headers["x-request-id"]


def test_the_enrolled_photo_itself_is_at_similarity_one(known: Api) -> None:
    (face,) = known.identify(face_photo(1)).json()["faces"]
    assert face["similarity"] == pytest.approx(1, abs=1e-3)


def test_someone_not_enrolled_is_unknown_and_still_has_candidates(known: Api) -> None:
    (face,) = known.identify(face_photo(50), top_k=2).json()["faces"]
    assert (face["decision"], face["reason"], face["subject"]) == ("unknown", None, None)
    assert face["similarity"] < THRESHOLD
    assert face["candidates"][0]["similarity"] == face["similarity"]
    assert len(face["candidates"]) == 2


def test_an_empty_gallery_makes_every_face_unknown(api: Api) -> None:
    body = api.identify(face_photo(1), threshold=0).json()
    (face,) = body["faces"]
    assert (face["decision"], face["similarity"], face["margin"]) == ("unknown", None, None)
    assert face["candidates"] == []
    assert body["threshold"]["gallery_subjects"] == 0


def test_all_faces_are_answered_largest_first(known: Api) -> None:
    photo = face_photo(Face(1, 60), Face(60, 90), Face(2, 120), Face(3, 75))
    body = known.identify(photo).json()
    assert [face["bbox"]["width"] for face in body["faces"]] == [120, 90, 75, 60]
    assert [(f["subject"] or {}).get("name") for f in body["faces"]] == ["Bob", None, "Cem", "Ann"]
    assert [face["decision"] for face in body["faces"]].count("unknown") == 1


def test_max_faces_keeps_the_largest_and_zero_keeps_all(known: Api) -> None:
    photo = face_photo(Face(1, 60), Face(2, 120), Face(3, 75))
    sizes = {
        count: [f["bbox"]["width"] for f in known.identify(photo, max_faces=count).json()["faces"]]
        for count in (0, 1, 2, 9)
    }
    assert sizes == {0: [120, 75, 60], 1: [120], 2: [120, 75], 9: [120, 75, 60]}


def test_top_k_fills_candidates_best_first(known: Api) -> None:
    (face,) = known.identify(face_photo(Face(1, noise=10)), top_k=5).json()["faces"]
    scores = [candidate["similarity"] for candidate in face["candidates"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert face["candidates"][0]["subject"]["name"] == "Ann"
    assert len(known.identify(face_photo(1)).json()["faces"][0]["candidates"]) == 1


def test_margin_is_the_lead_over_the_second_subject_whatever_top_k(known: Api) -> None:
    photo = face_photo(Face(1, noise=10))
    (wide,) = known.identify(photo, top_k=2).json()["faces"]
    first, second = (candidate["similarity"] for candidate in wide["candidates"])
    assert wide["margin"] == pytest.approx(first - second, abs=1e-12)
    (narrow,) = known.identify(photo, top_k=1).json()["faces"]
    assert narrow["margin"] == wide["margin"]


def test_margin_needs_a_second_subject_and_templates_of_one_do_not_count(api: Api) -> None:
    api.enroll(face_photo(1), face_photo(Face(1, noise=30)), name="Ann")
    (face,) = api.identify(face_photo(1), top_k=5).json()["faces"]
    assert face["margin"] is None
    assert len(face["candidates"]) == 1


def test_the_default_threshold_comes_with_its_evidence(known: Api) -> None:
    assert known.identify(NO_FACE).json()["threshold"] == {
        "value": THRESHOLD,
        "source": "default",
        "target_fpir": None,
        "fpir_upper95": None,
        "basis": None,
        "evidence": {
            "calibration": "bundle",
            "data": "textures",
            "gallery_subjects": 100,
            "strangers": 500,
            "fpir": 0.01,
            "fnir": None,
            "made_at": None,
        },
        "gallery_subjects": 3,
        "note": "The bundle has no calibration: this threshold does not follow the gallery's size. "
        "Calibrate on the collection.",
    }


def test_the_callers_threshold_goes_before_the_default(known: Api) -> None:
    photo = face_photo(Face(1, noise=25))
    (face,) = known.identify(photo).json()["faces"]
    assert face["decision"] == "match"
    similarity = face["similarity"]
    for value, decision in ((similarity, "match"), (similarity + 1e-9, "unknown"), (0, "match")):
        body = known.identify(photo, threshold=repr(value)).json()
        assert body["faces"][0]["decision"] == decision
        assert body["threshold"] == {
            "value": value,
            "source": "request",
            "target_fpir": None,
            "fpir_upper95": None,
            "basis": None,
            "evidence": None,
            "gallery_subjects": 3,
            "note": None,
        }


def test_without_any_threshold_nothing_is_evaluated(
    make_api: ApiMaker, make_bundle: BundleMaker
) -> None:
    api = make_api(bundle_path=make_bundle(threshold=None))
    api.enroll(face_photo(1), name="Ann")
    body = api.identify(face_photo(1)).json()
    (face,) = body["faces"]
    assert (face["decision"], face["reason"]) == ("not_evaluated", "no_threshold")
    assert face["subject"] is None
    assert face["candidates"][0]["subject"]["name"] == "Ann"
    assert body["threshold"]["value"] is None
    assert body["threshold"]["source"] == "none"
    (face,) = api.identify(face_photo(1), threshold=0.9).json()["faces"]
    assert face["decision"] == "match"


def test_a_photo_without_a_face_has_no_faces(known: Api) -> None:
    for image in (NO_FACE, ONE_PIXEL):
        answer = known.identify(image)
        assert answer.status_code == 200
        body = answer.json()
        assert body["faces"] == []
        assert body["gallery_revision"] == 3
        assert set(body["timing_ms"]) == {"decode", "detect"}


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        (b"", 422, "empty_file"),
        (b"This is a letter, not a photo.", 415, "not_an_image"),
        (truncated_jpeg(), 422, "damaged_image"),
    ],
    ids=["empty", "text", "truncated"],
)
def test_a_file_that_is_no_image_has_a_problem_of_its_own(
    api: Api, image: bytes, status: int, code: str
) -> None:
    check_problem(api.identify(image), status, code)


def test_a_picture_of_too_many_pixels_is_refused(api: Api, huge_png_file: bytes) -> None:
    check_problem(api.identify(huge_png_file), 413, "image_too_large")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"top_k": 0}, "top_k"),
        ({"top_k": 101}, "top_k"),
        ({"max_faces": -1}, "max_faces"),
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": "nan"}, "threshold"),
        ({"threshold": "high"}, "threshold"),
        ({"colection": "vip"}, "colection"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(api: Api, fields: dict[str, Any], field: str) -> None:
    problem = check_problem(api.identify(face_photo(1), **fields), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["detail"].startswith(f"{field}: ")


def test_a_missing_image_is_named(api: Api) -> None:
    problem = check_problem(api.post("/v1/identify"), 422, "invalid_request")
    assert problem["errors"] == [{"field": "image", "message": "Field required"}]


def test_the_unversioned_route_is_the_same(known: Api) -> None:
    photo = face_photo(Face(1, 80), 60)
    old = known.identify(photo, path="/identify", top_k=3).json()
    new = known.identify(photo, path="/v1/identify", top_k=3).json()
    for body in (old, new):
        del body["request_id"], body["timing_ms"]
        # Of each search another one.
        receipts = [face.pop("receipt") for face in body["faces"]]
        assert all(receipts)
    assert old == new
    assert len(old["faces"]) == 2
    check_problem(known.identify(b"", path="/identify"), 422, "empty_file")


def test_a_deleted_subject_is_not_found_from_then_on(known: Api) -> None:
    assert known.who(face_photo(1)) == "Ann"
    assert known.delete("/v1/subjects/ann").status_code == 204
    body = known.identify(face_photo(1), top_k=10, threshold=0).json()
    names = [candidate["subject"]["name"] for candidate in body["faces"][0]["candidates"]]
    assert sorted(names) == ["Bob", "Cem"]
    assert known.who(face_photo(1)) is None
    assert known.who(face_photo(2)) == "Bob"


def test_the_exif_orientation_is_applied_before_faces_are_looked_for(known: Api) -> None:
    import io

    from PIL import Image

    upright = Image.open(io.BytesIO(face_photo(Face(2, 100))))
    turned, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # Shown upright after a quarter turn clockwise.
    upright.transpose(Image.Transpose.ROTATE_90).save(turned, "PNG", exif=exif)
    (face,) = known.identify(turned.getvalue()).json()["faces"]
    assert face["subject"] == {"id": "bob", "name": "Bob"}
    assert face["bbox"] == {"x": 15, "y": 10, "width": 100, "height": 100}
