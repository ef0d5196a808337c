"""Quality policies: which measures they refuse, in which words, and by which name."""

from dataclasses import replace
from typing import Any

import pytest

from service.quality.policy import OFF, STRICT, QualityPolicies
from service.settings import Settings
from tests.unit.test_service_quality_measures import GOOD

SETTINGS = Settings(
    quality_min_face_px=40,
    quality_min_sharpness=0.3,
    quality_min_brightness=0.2,
    quality_max_yaw_deg=35,
    quality_max_pitch_deg=36,
    quality_max_roll_deg=37,
    quality_max_covered=0.5,
    quality_min_detection_score=0.9,
)
AT_THE_LIMITS = replace(
    GOOD, face_px=40, sharpness=0.3, brightness=0.2, yaw=-35, pitch=36, roll=-37, covered=0.5,
    det_score=0.9,
)  # fmt: skip
# One measure just beyond its limit, the reason, and what its words must name.
BEYOND: list[tuple[dict[str, float], str, list[str]]] = [
    ({"face_px": 39}, "face_too_small", ["39 pixels", "40", "nearer"]),
    ({"sharpness": 0.29}, "low_sharpness", ["0.29", "0.30", "focus"]),
    ({"brightness": 0.19}, "low_brightness", ["0.19", "0.20", "light"]),
    ({"yaw": 35.6}, "extreme_pose", ["yaw", "36", "35", "camera"]),
    ({"pitch": -37}, "extreme_pose", ["pitch", "-37", "36", "camera"]),
    ({"roll": 38}, "extreme_pose", ["roll", "38", "37", "camera"]),
    ({"covered": 0.51}, "face_covered", ["0.51", "0.50", "nothing in front"]),
    ({"det_score": 0.899, "yaw": 0}, "low_detection_score", ["0.899", "0.900", "whole face"]),
]


def test_standard_takes_what_is_at_its_limits() -> None:
    assert QualityPolicies(SETTINGS).named("standard").shortcomings(AT_THE_LIMITS) == ()


@pytest.mark.parametrize(("change", "reason", "words"), BEYOND, ids=lambda value: str(value)[:20])
def test_each_measure_beyond_its_limit_is_a_reason_in_words(
    change: dict[str, float], reason: str, words: list[str]
) -> None:
    policy = QualityPolicies(SETTINGS).named("standard")
    (found,) = policy.shortcomings(replace(AT_THE_LIMITS, **change))
    assert found.reason == reason
    for word in words:
        assert word in found.detail


def test_a_face_that_the_detector_is_unsure_of_may_look_half_as_far_aside() -> None:
    policy = QualityPolicies(SETTINGS).named("standard")
    for yaw, expected in ((17.4, False), (17.6, True), (-17.6, True)):
        sure = replace(GOOD, yaw=yaw, det_score=0.9)
        assert policy.shortcomings(sure) == ()
        found = policy.shortcomings(replace(sure, det_score=0.89))
        reasons = [shortcoming.reason for shortcoming in found]
        assert reasons == [*["extreme_pose"] * expected, "low_detection_score"]
        assert not expected or "at most 18 either way" in found[0].detail


def test_every_reason_of_a_face_is_named_once() -> None:
    worst: dict[str, float] = {}
    for change, _, _ in BEYOND:
        worst = {**change, **worst}
    found = QualityPolicies(SETTINGS).named("standard").shortcomings(replace(GOOD, **worst))
    reasons = [shortcoming.reason for shortcoming in found]
    assert reasons == list(dict.fromkeys(reason for _, reason, _ in BEYOND))


def test_off_takes_everything_and_a_whole_image_has_no_limits() -> None:
    worst = replace(GOOD, face_px=1, sharpness=0, brightness=0, yaw=90, det_score=0)
    assert QualityPolicies(SETTINGS).named("off").shortcomings(worst) == ()
    assert QualityPolicies(SETTINGS).named("strict").shortcomings(None) == ()


def test_strict_is_nowhere_laxer_than_standard() -> None:
    limits = QualityPolicies(SETTINGS).named("strict").limits
    assert limits == STRICT
    demanding = replace_settings(quality_min_face_px=90, quality_max_yaw_deg=10)
    limits = QualityPolicies(demanding).named("strict").limits
    assert limits == replace(STRICT, min_face_px=90, max_yaw_deg=10)


def test_the_settings_name_the_default() -> None:
    for name in ("off", "standard", "strict"):
        policies = QualityPolicies(replace_settings(quality=name))
        assert policies.named(None) is policies.default
        assert policies.default.name == name
    assert QualityPolicies(SETTINGS).default.name == "standard"


def test_an_id_changes_with_what_is_asked_and_with_nothing_else() -> None:
    ids = {QualityPolicies(SETTINGS).named(name).id for name in ("off", "standard", "strict")}
    assert len(ids) == 3
    standard = QualityPolicies(SETTINGS).named("standard")
    assert standard.id.startswith("standard-")
    other = replace_settings(port=1, quality="strict")
    assert QualityPolicies(other).named("standard").id == standard.id
    for name, value in SETTINGS.model_dump().items():
        if name == "quality_look_again_ms":
            changed = replace_settings(quality_look_again_ms=0)
            assert QualityPolicies(changed).named("standard").id == standard.id
        elif name.startswith("quality_"):
            changed = replace_settings(**{name: value / 2})
            assert QualityPolicies(changed).named("standard").id != standard.id
            assert QualityPolicies(changed).named("off").id == OFF.id


def replace_settings(**changes: Any) -> Settings:
    return Settings(**{**SETTINGS.model_dump(), **changes})


def test_a_face_that_looks_far_aside_is_in_doubt() -> None:
    standard = QualityPolicies(SETTINGS).named("standard")
    for yaw, doubtful in ((17, False), (-17, False), (18, True), (-18, True), (60, True)):
        assert standard.doubts(replace(GOOD, yaw=yaw)) is doubtful
    assert not OFF.doubts(replace(GOOD, yaw=60))
