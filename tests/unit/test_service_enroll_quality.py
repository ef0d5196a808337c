"""POST /v1/enroll: quality policies, photos of somebody else, and who is enrolled already."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter

from benchmarks.pictures import encoded
from contract.detection.base import DetectedFace
from contract.errors import PossibleDuplicateError
from service.decision import Threshold
from service.quality.policy import QualityPolicies
from service.settings import Settings
from service.thresholds import Thresholds
from tests.conftest import THRESHOLD, Api, ApiMaker, check_problem, face_photo

Pixels = npt.NDArray[np.uint8]

NO_LIMIT: dict[str, Any] = {"quality_max_covered": 1.0, "quality_min_sharpness": 0.0}


def block(seed: int, side: int = 112, *, grain: int = 0) -> Pixels:
    """A face for BlockDetector of the colour of skin: seed says whose, grain which photo."""
    coarse = np.random.default_rng(seed).uniform(0.8, 1.2, (8, 8))
    tile = np.kron(coarse, np.ones((side // 8, side // 8)))
    fine = np.random.default_rng(1000 + grain).uniform(0.85, 1.15, tile.shape)
    skin = np.array([200, 150, 120]) * (tile * fine)[..., None]
    return np.clip(skin, 60, 255).astype(np.uint8)


def photo(*faces: Pixels) -> bytes:
    """A PNG of these blocks from left to right on black."""
    height = max(face.shape[0] for face in faces) + 20
    parts = [np.zeros((height, 15, 3), np.uint8)]
    for face in faces:
        part = np.zeros((height, face.shape[1] + 15, 3), np.uint8)
        part[10 : 10 + face.shape[0], : face.shape[1]] = face
        parts.append(part)
    return encoded(np.hstack(parts))


def blurred(face: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(5)))


def darkened(face: Pixels) -> Pixels:
    # As bright as BlockDetector needs it.
    return np.asarray(42 + face // 100, dtype=np.uint8)


def masked(face: Pixels) -> Pixels:
    worn = face.copy()
    worn[66:] = (90, 150, 210)
    return worn


def mixed(a: int, b: int, share: float) -> Pixels:
    """A face between two people: `share` of b."""
    return np.asarray(block(a) * (1 - share) + block(b) * share, dtype=np.uint8)


@pytest.fixture
def standard(make_api: ApiMaker) -> Api:
    return make_api(quality="standard", quality_min_brightness=0.2)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(blurred, "low_sharpness"), (darkened, "low_brightness"), (masked, "face_covered")],
)
def test_standard_names_what_is_wrong_with_a_face(
    standard: Api, spoil: Callable[[Pixels], Pixels], reason: str
) -> None:
    face = block(1)
    assert standard.enroll(photo(face), name="Ann").status_code == 201
    answer = standard.enroll(photo(spoil(face)), photo(face), name="Ann")
    assert answer.status_code == 201
    (rejected,) = answer.json()["rejected"]
    assert rejected["index"] == 0
    assert reason in rejected["reasons"]
    problem = check_problem(standard.enroll(photo(spoil(face))), 422, "no_usable_face")
    assert reason in problem["errors"][0]["reasons"]
    assert rejected["detail"] == problem["detail"]


def test_a_photo_may_have_several_reasons_each_in_words(standard: Api) -> None:
    tiny = darkened(block(1, side=24))
    problem = check_problem(standard.enroll(photo(tiny)), 422, "no_usable_face")
    assert problem["errors"] == [{"index": 0, "reasons": ["face_too_small", "low_brightness"]}]
    assert "24 pixels" in problem["detail"]
    assert "brightness of" in problem["detail"]


def test_a_photo_of_several_faces_says_what_is_wrong_with_the_largest(standard: Api) -> None:
    crowd = photo(darkened(block(1)), block(2, side=64))
    problem = check_problem(standard.enroll(crowd), 422, "no_usable_face")
    assert problem["errors"] == [{"index": 0, "reasons": ["multiple_faces", "low_brightness"]}]
    problem = check_problem(standard.enroll(crowd, quality="off"), 422, "no_usable_face")
    assert problem["errors"] == [{"index": 0, "reasons": ["multiple_faces"]}]
    problem = check_problem(standard.enroll(crowd, face_policy="largest"), 422, "no_usable_face")
    assert problem["errors"] == [{"index": 0, "reasons": ["low_brightness"]}]


def test_a_request_overrides_the_policy_of_the_service(make_api: ApiMaker, standard: Api) -> None:
    bad = photo(blurred(block(1)))
    assert standard.enroll(bad).status_code == 422
    assert standard.enroll(bad, quality="off").status_code == 201
    standard.runtime.close()
    off = make_api()
    assert off.enroll(bad).status_code == 201
    assert off.enroll(bad, quality="standard").status_code == 422
    problem = check_problem(off.enroll(bad, quality="best"), 422, "invalid_request")
    assert problem["errors"][0]["field"] == "quality"


def test_an_accepted_image_says_its_quality(standard: Api) -> None:
    (image,) = standard.enroll(photo(block(1))).json()["accepted"]
    quality = image["quality"]
    assert quality.keys() == {
        "score", "sharpness", "brightness", "covered", "face_px", "yaw", "pitch", "roll",
    }  # fmt: skip
    assert quality["face_px"] == 112
    assert quality["brightness"] == pytest.approx(160 / 255, abs=0.05)
    assert 0 < quality["score"] <= 1
    assert abs(quality["yaw"]) < 2


def test_a_photo_without_a_face_is_explained_where_the_policy_has_limits(standard: Api) -> None:
    # So dark that BlockDetector sees nothing: a brighter copy shows the face.
    night = encoded(np.pad(block(1) // 8, ((60, 60), (60, 60), (0, 0))))
    problem = check_problem(standard.enroll(night), 422, "no_usable_face")
    assert "low_brightness" in problem["errors"][0]["reasons"]
    problem = check_problem(standard.enroll(night, quality="off"), 422, "no_usable_face")
    assert problem["errors"] == [{"index": 0, "reasons": ["no_face"]}]


def test_the_runtime_says_which_policy_it_enrols_by(make_api: ApiMaker) -> None:
    runtime = make_api(quality="standard").runtime
    assert runtime.quality_policy_id == QualityPolicies(Settings()).named("standard").id
    assert runtime.quality_policy_id != runtime.quality_policies.named("strict").id


@pytest.fixture
def strict(make_api: ApiMaker) -> Api:
    return make_api(quality="strict")


def test_strict_refuses_a_photo_that_is_nearer_to_another_subject(strict: Api) -> None:
    strict.enroll(photo(block(1)), subject_id="ann")
    strict.enroll(photo(block(2)), subject_id="bob")
    for share, right in ((0.3, True), (0.7, False)):
        answer = strict.enroll(photo(mixed(1, 2, share)), subject_id="ann", duplicate_check="off")
        if right:
            assert answer.status_code == 200
        else:
            problem = check_problem(answer, 422, "no_usable_face")
            assert problem["errors"] == [{"index": 0, "reasons": ["nearer_to_other_subject"]}]
            assert "'bob'" in problem["detail"]
    assert strict.runtime.default.gallery.subject("ann").template_count == 2
    stray = photo(mixed(1, 2, 0.7))
    assert strict.enroll(stray, subject_id="ann", quality="standard").status_code == 200


def test_strict_lets_a_first_photo_pass_whomever_it_looks_like(strict: Api) -> None:
    strict.enroll(photo(block(1)), subject_id="ann")
    assert strict.enroll(photo(block(1, grain=1)), subject_id="twin").status_code == 201


def test_strict_compares_the_photos_of_a_request_with_each_other(strict: Api) -> None:
    strict.enroll(photo(block(2)), subject_id="bob")
    answer = strict.enroll(
        photo(block(1)), photo(block(2, grain=1)), photo(block(1, grain=2)), subject_id="ann"
    )
    assert answer.status_code == 201
    body = answer.json()
    assert [image["index"] for image in body["accepted"]] == [0, 2]
    assert [(r["index"], r["reasons"]) for r in body["rejected"]] == [
        (1, ["nearer_to_other_subject"])
    ]


def test_one_wrong_photo_does_not_take_the_only_right_one_with_it(strict: Api) -> None:
    strict.enroll(photo(block(2)), subject_id="bob")
    for order in ((1, 2), (2, 1)):
        files = [photo(block(seed, grain=5)) for seed in order]
        answer = strict.enroll(*files, subject_id=f"ann{order[0]}", duplicate_check="off")
        assert answer.status_code == 201
        assert [image["index"] for image in answer.json()["accepted"]] == [order.index(1)]
        strict.delete(f"/v1/subjects/ann{order[0]}")


def test_standard_does_not_ask_who_else_a_photo_looks_like(make_api: ApiMaker) -> None:
    api = make_api(quality="standard")
    api.enroll(photo(block(1)), subject_id="ann")
    api.enroll(photo(block(2)), subject_id="bob")
    assert api.enroll(photo(block(2, grain=1)), subject_id="ann").status_code == 200


ANN, ANN_AGAIN, BOB = (face_photo(seed) for seed in (1, 1, 2))


def test_who_is_enrolled_already_is_a_warning_by_default(api: Api) -> None:
    api.enroll(ANN, subject_id="ann")
    api.enroll(BOB, subject_id="bob")
    answer = api.enroll(ANN_AGAIN, BOB, ANN, name="Somebody")
    assert answer.status_code == 201
    warnings = answer.json()["warnings"]
    assert {w["subject_id"]: w["similarity"] for w in warnings} == {"ann": 1.0, "bob": 1.0}
    assert {w["code"] for w in warnings} == {"possible_duplicate"}
    assert "'ann'" in next(w["detail"] for w in warnings if w["subject_id"] == "ann")


def test_the_own_subject_and_strangers_are_no_duplicates(api: Api) -> None:
    assert api.enroll(ANN, subject_id="ann", external_id="7").json()["warnings"] == []
    assert api.enroll(BOB, subject_id="bob").json()["warnings"] == []
    assert api.enroll(ANN, subject_id="ann").json()["warnings"] == []
    assert api.enroll(ANN, external_id="7").json()["warnings"] == []


def test_duplicates_begin_at_the_threshold_and_the_nearest_comes_first(make_api: ApiMaker) -> None:
    api = make_api(**NO_LIMIT)
    for share in (0.0, 0.2, 0.4, 1.0):
        api.enroll(photo(mixed(1, 2, share)), subject_id=f"share-{share}", duplicate_check="off")
    new = photo(block(1))
    found = api.runtime.default.gallery.search(_embedding(api, new), top_k=10).candidates[0]
    expected = [(c.subject.id, c.similarity) for c in found if c.similarity >= THRESHOLD]
    assert 1 < len(expected) < 4
    warnings = api.enroll(new, name="Ann").json()["warnings"]
    assert [(w["subject_id"], w["similarity"]) for w in warnings] == expected


def _embedding(api: Api, file: bytes) -> npt.NDArray[np.float32]:
    from service.recognizer import Timing

    pixels, faces = api.runtime.default.bundle.recognizer.detect(file, Timing())
    (embedded,) = api.runtime.default.bundle.recognizer.embed(pixels, faces, Timing())
    return np.stack([embedded.embedding])


def test_a_duplicate_is_refused_where_that_is_asked_and_nothing_is_stored(api: Api) -> None:
    api.enroll(ANN, subject_id="ann")
    before = api.runtime.default.gallery.revision
    answer = api.enroll(ANN, BOB, name="Somebody", duplicate_check="reject")
    problem = check_problem(answer, 409, "possible_duplicate")
    assert problem["errors"] == [{"subject_id": "ann", "similarity": 1.0}]
    assert "'ann'" in problem["detail"]
    assert "duplicate_check=warn" in problem["detail"]
    gallery = api.runtime.default.gallery
    assert (gallery.revision, gallery.subject_count) == (before, 1)
    assert api.enroll(ANN, subject_id="ann", duplicate_check="reject").status_code == 200
    assert api.enroll(BOB, subject_id="bob", duplicate_check="reject").status_code == 201


def test_a_duplicate_is_not_looked_for_where_that_is_asked(api: Api) -> None:
    api.enroll(ANN, subject_id="ann")
    answer = api.enroll(ANN, name="Ann", duplicate_check="off")
    assert answer.status_code == 201
    assert answer.json()["warnings"] == []
    check_problem(api.enroll(ANN, duplicate_check="never"), 422, "invalid_request")


@pytest.fixture
def without_threshold(make_bundle: Callable[..., Any], make_api: ApiMaker) -> Api:
    return make_api(bundle_path=make_bundle(threshold=None))


def test_without_a_threshold_nobody_can_be_told_and_that_is_said(without_threshold: Api) -> None:
    api = without_threshold
    assert api.enroll(ANN, subject_id="ann", duplicate_check="reject").status_code == 201
    (warning,) = api.enroll(ANN, name="Ann").json()["warnings"]
    assert (warning["code"], warning["subject_id"]) == ("duplicates_not_checked", None)
    assert "threshold" in warning["detail"]
    assert api.enroll(ANN, duplicate_check="off").json()["warnings"] == []
    before = api.runtime.default.gallery.revision
    problem = check_problem(api.enroll(ANN, duplicate_check="reject"), 422, "invalid_request")
    assert problem["errors"][0]["field"] == "duplicate_check"
    assert api.runtime.default.gallery.revision == before


@pytest.mark.parametrize(("value", "told"), [(0.0, ["ann", "bob"]), (0.999, ["ann"])])
def test_the_threshold_is_that_of_the_moment(
    api: Api, monkeypatch: pytest.MonkeyPatch, value: float, told: list[str]
) -> None:
    moment = Threshold(value=value, source="calibrated", gallery_subjects=2)
    monkeypatch.setattr(Thresholds, "threshold", lambda *_, **__: moment)
    api.enroll(ANN, subject_id="ann")
    api.enroll(BOB, subject_id="bob", duplicate_check="off")
    warnings = api.enroll(ANN, subject_id="new").json()["warnings"]
    assert [w["subject_id"] for w in warnings] == told


def test_the_error_carries_facts() -> None:
    error = PossibleDuplicateError([("ann", 0.9), ("bob", 0.8)])
    assert error.duplicates == (("ann", 0.9), ("bob", 0.8))
    assert "'bob' (similarity 0.800)" in str(error)


def test_a_face_that_looks_aside_is_found_again_in_the_mirror(
    make_api: ApiMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make_api(quality="standard")
    detector = api.detector
    frontal = type(detector).detect

    def askew(self: Any, image: Pixels) -> list[DetectedFace]:
        """Every nose is too far to the right of its face, in photos and in mirror images."""
        nose = np.zeros((5, 2), np.float32)
        nose[2, 0] = 14
        return [
            DetectedFace(face.box, face.landmarks + nose, face.score)
            for face in frontal(self, image)
        ]

    monkeypatch.setattr(type(detector), "detect", askew)
    answer = api.enroll(photo(block(1)))
    assert answer.status_code == 201, answer.text
    assert abs(answer.json()["accepted"][0]["quality"]["yaw"]) < 1
    (face,) = api.identify(photo(block(1))).json()["faces"]
    assert face["quality"]["yaw"] > 30
