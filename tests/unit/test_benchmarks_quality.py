"""Photos spoilt on purpose, and the figures of benchmarks/quality.py, without anybody's photo."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.degraded import (
    FACE_EYE_DISTANCES,
    STRENGTHS,
    TINY_FACE_PX,
    Strength,
    blurred,
    covered,
    dark,
    eye_distance,
    tiny,
)
from benchmarks.pictures import astronaut
from benchmarks.quality import RIGHT, Clean, Tally, other_limits, rejected, report, right, tallied
from benchmarks.turned_head import AXES, CENTRE, turned_head
from contract.alignment import TEMPLATE
from service.quality.policy import QualityPolicies
from service.quality.sharpness import sharpness
from service.settings import Settings
from tests.unit.test_service_quality_measures import GOOD

Pixels = npt.NDArray[np.uint8]

# The template twice as large, in the middle of a photo.
LANDMARKS = TEMPLATE * 2 + (60, 50)
POLICIES = QualityPolicies(Settings())


def noise(side: int = 360) -> Pixels:
    return np.random.default_rng(0).integers(60, 200, (side, side, 3)).astype(np.uint8)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_every_kind_has_right_reasons_and_the_other_way_round() -> None:
    assert {strength.kind for strength in STRENGTHS} == RIGHT.keys()
    assert not any("no_face" in reasons for reasons in RIGHT.values())


@pytest.mark.parametrize("strength", STRENGTHS, ids=lambda s: f"{s.kind}, {s.name}")
def test_the_same_generator_spoils_in_the_same_way_and_leaves_the_photo(strength: Strength) -> None:
    photo = noise()
    before = photo.copy()
    once = strength.spoil(photo, LANDMARKS, rng())
    assert once.dtype == np.uint8
    assert once.ndim == 3
    np.testing.assert_array_equal(once, strength.spoil(photo, LANDMARKS, rng()))
    np.testing.assert_array_equal(photo, before)
    assert once.shape != photo.shape or (once != photo).mean() > 0.02


def test_blur_and_darkness_grow_with_their_strength() -> None:
    photo = noise()
    blurs = [
        sharpness(blurred(sigma)(photo, LANDMARKS, rng())[..., 0].astype(float))
        for sigma in (0.01, 0.02, 0.03)
    ]
    assert blurs == sorted(blurs, reverse=True)
    lights = [float(dark(share)(photo, LANDMARKS, rng()).mean()) for share in (1, 0.1, 0.01)]
    assert lights == sorted(lights, reverse=True)
    # Light is linear: a tenth of it is a brightness of 0.1 ** (1 / 2.2).
    assert lights[1] / lights[0] == pytest.approx(0.1 ** (1 / 2.2), abs=0.02)


@pytest.mark.parametrize("framed", [False, True])
def test_a_tiny_face_has_8_to_24_pixels(framed: bool) -> None:
    photo = np.full((360, 360, 3), 255, np.uint8)
    for seed in range(20):
        spoilt = tiny(framed=framed)(photo, LANDMARKS, np.random.default_rng(seed))
        side = spoilt.shape[0]
        if framed:
            assert spoilt.shape == photo.shape
            side = int((spoilt == 255).all(axis=2).any(axis=1).sum())
        face = FACE_EYE_DISTANCES * eye_distance(LANDMARKS) * side / 360
        assert TINY_FACE_PX[0] - 0.5 <= face <= TINY_FACE_PX[1] + 0.5


@pytest.mark.parametrize(
    ("part", "inside", "outside"),
    [
        ("mouth and nose", [2, 3, 4], [0, 1]),
        ("eyes", [0, 1], [2, 3, 4]),
        ("left half", [0, 3], [1, 4]),
        ("right half", [1, 4], [0, 3]),
    ],
)
def test_a_cover_lies_over_its_part_and_over_nothing_else(
    part: str, inside: Sequence[int], outside: Sequence[int]
) -> None:
    photo = noise()
    changed = (covered(part)(photo, LANDMARKS, rng()) != photo).any(axis=2)
    for number, (x, y) in enumerate(LANDMARKS.round().astype(int)):
        share = changed[y - 2 : y + 3, x - 2 : x + 3].mean()
        if number in inside:
            assert share > 0.9
        elif number in outside:
            assert share == 0


def test_a_head_that_is_not_turned_stays_as_it_is() -> None:
    photo = astronaut()
    landmarks = TEMPLATE * 0.9 + (175, 60)
    same = turned_head(photo, landmarks, yaw_deg=0)
    assert np.abs(same.astype(int) - photo).mean() < 1.5


def test_a_turned_head_moves_what_is_in_front_to_the_side_it_looks_to() -> None:
    """The tip of the nose lies as far before the middle of the head as the surface says."""
    photo = np.full((224, 224, 3), 90, np.uint8)
    x, y = 56, 70
    photo[y + 56 - 1 : y + 56 + 2, x + 56 - 1 : x + 56 + 2] = (255, 0, 0)
    landmarks = TEMPLATE + 56
    # Of the ellipsoid below its middle, and the nose on it.
    front = AXES[2] * np.sqrt(1 - ((y - CENTRE[1]) / AXES[1]) ** 2) + 11
    for yaw in (20.0, 40.0, -40.0):
        turned = turned_head(photo, landmarks, yaw_deg=yaw)
        red = (turned[..., 0].astype(int) - turned[..., 1]) > 60
        _, columns = np.nonzero(red)
        assert len(columns)
        expected = 56 + x + np.sin(np.radians(yaw)) * front
        assert np.median(columns) == pytest.approx(expected, abs=2.5)


def tally_of(*answers: Sequence[str], kind: str = "blur") -> Tally:
    tally = Tally()
    for reasons in answers:
        tally.add(reasons, RIGHT[kind])
    return tally


def test_a_photo_is_right_by_any_right_reason_and_no_face_is_none() -> None:
    tally = tally_of(["low_sharpness", "extreme_pose"], ["no_face"], [], ["extreme_pose"])
    assert (tally.photos, right(tally)) == (4, 0.25)
    assert tally.reasons == {"low_sharpness": 1, "extreme_pose": 2, "no_face": 1, "taken": 1}
    assert right(tally_of(["low_detection_score"], kind="covered")) == 1


def test_a_photo_without_a_face_is_not_rejected_by_a_limit() -> None:
    photos = [
        Clean(quality=GOOD, ita=10.0),
        Clean(quality=replace(GOOD, yaw=80, sharpness=0), ita=20.0),
        Clean(quality=None, ita=float("nan")),
        Clean(quality=GOOD, ita=30.0),
    ]
    assert rejected(tallied(photos, POLICIES.named("standard"))) == 0.25
    assert rejected(tallied(photos, POLICIES.named("off"))) == 0


def test_other_limits_count_both_sides() -> None:
    clean = [replace(GOOD, yaw=yaw) for yaw in (0, -30, 39, 44)]
    kinds = {kind: Tally(photos=1, measured=[replace(GOOD, yaw=-60)]) for kind in RIGHT}
    (line,) = [line for line in other_limits(clean, kinds) if line.startswith("yaw")]
    assert "40: 25.0% and 100.0%" in line
    assert "45: 0.0% and 100.0%" in line


@pytest.mark.parametrize(("spoilt", "clean", "holds"), [(9, 0, True), (8, 0, False), (9, 2, False)])
def test_the_bar_wants_nine_of_ten_and_few_clean_ones_lost(
    spoilt: int, clean: int, holds: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    tallies = {}
    for strength in STRENGTHS:
        good = [min(RIGHT[strength.kind])] * spoilt
        tally = Tally()
        for reason in [*good, *["no_face"] * (10 - spoilt)]:
            tally.add([reason], RIGHT[strength.kind])
        tallies[strength] = tally
    photos = [Clean(quality=GOOD, ita=float(i)) for i in range(30)]
    photos[:clean] = [Clean(quality=replace(GOOD, yaw=80), ita=1.0)] * clean
    assert report(tallies, photos, POLICIES) is holds
    figure = capsys.readouterr().out.splitlines()[-1]
    assert f"blur {spoilt / 10:.1%}" in figure
    assert f"standard rejects {clean / 30:.1%}" in figure
