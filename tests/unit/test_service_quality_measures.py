"""Measures of a face: against plain loops, and against faces whose measures are known."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from contract.alignment import CROP_SIDE_PX, TEMPLATE, align_face
from contract.detection.base import DetectedFace
from service.quality import covering as covering_module
from service.quality.covering import FLOOR, NEAR, SHARE, WEIGHT, covering
from service.quality.measures import FACE_COLUMNS, FACE_ROWS, Quality, measure
from service.quality.pose import generic_face, pose
from service.quality.sharpness import REBLUR_PX, sharpness

Pixels = npt.NDArray[np.uint8]

GOOD = Quality(
    sharpness=0.55,
    brightness=0.5,
    covered=0.15,
    face_px=100,
    eye_px=40,
    yaw=0,
    pitch=0,
    roll=0,
    det_score=1,
)


def plain_sharpness(luma: npt.NDArray[np.float64]) -> float:
    """The paper's sums, a pixel at a time, in the worse of two directions."""
    shares = []
    for picture in (luma, luma.T):
        half, whole, lost = REBLUR_PX // 2, 0.0, 0.0
        for row in picture:
            blurred = {
                x: sum(row[x - half : x + half + 1]) / REBLUR_PX
                for x in range(half, len(row) - half)
            }
            for x in range(half + 1, len(row) - half):
                step = abs(row[x] - row[x - 1])
                whole += step
                lost += max(0.0, step - abs(blurred[x] - blurred[x - 1]))
        shares.append(lost / whole if whole else 0.0)
    return min(shares)


@pytest.mark.parametrize("size", [(12, 30), (25, 17), (80, 72)])
def test_sharpness_is_that_of_a_plain_loop(size: tuple[int, int]) -> None:
    luma = np.random.default_rng(3).uniform(0, 255, size)
    assert sharpness(luma) == pytest.approx(plain_sharpness(luma), abs=1e-9)


def test_sharpness_falls_with_every_blur_and_is_0_without_any_contrast() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 96)).astype(np.uint8))
    values = [
        sharpness(np.asarray(noise.filter(ImageFilter.GaussianBlur(radius)), np.float32))
        for radius in (0, 1, 2, 4)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.8
    assert values[-1] < 0.45
    assert sharpness(np.full((20, 20), 7.0)) == 0


def test_sharpness_is_that_of_the_blurred_direction() -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (90, 90))
    bell = np.exp(-(np.arange(-12, 13) ** 2) / 32)
    smeared = np.stack([np.convolve(row, bell / bell.sum(), "same") for row in noise])
    assert sharpness(smeared) == sharpness(smeared.T) < 0.5 < sharpness(noise)


def seen_from(yaw: float, pitch: float, roll: float) -> npt.NDArray[np.float64]:
    """Landmarks of the generic face after three turns, each written out for each point.

    x to the right, y down, z away from the camera.
    """
    points = []
    for x, y, z in generic_face().tolist():
        up, aside, lean = np.radians([pitch, yaw, roll])
        y, z = y * np.cos(up) + z * np.sin(up), z * np.cos(up) - y * np.sin(up)
        x, z = x * np.cos(aside) - z * np.sin(aside), z * np.cos(aside) + x * np.sin(aside)
        points.append((x * np.cos(lean) - y * np.sin(lean), x * np.sin(lean) + y * np.cos(lean)))
    return np.array(points)


@given(
    yaw=st.floats(-75, 75),
    pitch=st.floats(-60, 60),
    roll=st.floats(-170, 170),
    scale=st.floats(0.1, 20),
)
def test_pose_is_what_the_generic_face_was_turned_by(
    yaw: float, pitch: float, roll: float, scale: float
) -> None:
    found = pose(seen_from(yaw, pitch, roll) * scale + (300, 20))
    assert (found.yaw, found.pitch) == pytest.approx((yaw, pitch), abs=1e-4)
    assert found.roll == pytest.approx(roll, abs=1e-4)


def test_pose_has_its_signs_from_the_photo() -> None:
    nose_right, nose_up = TEMPLATE + 0.0, TEMPLATE + 0.0
    nose_right[2, 0] += 10
    nose_up[2, 1] -= 10
    leaning = TEMPLATE @ np.array([[0.8, 0.6], [-0.6, 0.8]])  # The right eye is lower.
    assert pose(nose_right).yaw > 20
    assert pose(nose_up).pitch > 20
    assert pose(leaning).roll == pytest.approx(np.degrees(np.arctan2(0.6, 0.8)), abs=1)
    assert pose(np.full((5, 2), 3.0)) == pose(np.zeros((5, 2)))
    assert pose(np.zeros((5, 2))).yaw == 0


def plain_covering(crop: Pixels) -> float:
    """The definition, a place at a time."""
    places = []
    for row in range(2, 112, 4):
        for column in range(2, 112, 4):
            if ((column - 56) / 34) ** 2 + ((row - 70) / 42) ** 2 < 1:
                r, g, b = (float(v) + FLOOR for v in crop[row, column])
                luma = 0.299 * r + 0.587 * g + 0.114 * b
                colour = np.array([np.log(r / g), np.log(b / g), WEIGHT * np.log(luma)])
                places.append((column, colour))
    clouds = [
        [other for _, other in places if np.linalg.norm(other - colour) < NEAR]
        for _, colour in places[::2]
    ]
    skin = np.mean(max(clouds, key=len), axis=0)
    strayed = [(column, float(np.linalg.norm(colour - skin))) for column, colour in places]
    beyond = np.quantile([d for _, d in strayed], 1 - SHARE)
    left = np.median([d for column, d in strayed if column < 56])
    right = np.median([d for column, d in strayed if column >= 56])
    return min(1.0, max(float(beyond), 2 * abs(float(left - right))))


def skin(seed: int = 0, tone: float = 1.0) -> Pixels:
    """A crop of the colour of skin, with the noise and the shading of a face."""
    rng = np.random.default_rng(seed)
    shading = np.linspace(0.8, 1.1, 112)[:, None, None] + rng.normal(0, 0.03, (112, 112, 1))
    return np.clip(np.array([200, 150, 120]) * shading * tone, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_covering_is_that_of_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blots = np.asarray(
        Image.fromarray(rng.integers(0, 255, (6, 6, 3)).astype(np.uint8)).resize((112, 112))
    )
    mixed = np.where(rng.random((112, 112, 1)) < 0.6, skin(seed), blots).astype(np.uint8)
    for crop in (skin(seed), mixed):
        assert covering(crop) == pytest.approx(plain_covering(crop), abs=1e-4)


@pytest.mark.parametrize("tone", [1.2, 1.0, 0.6, 0.35])
def test_a_cover_is_told_on_every_tone_of_skin(tone: float) -> None:
    face = skin(tone=tone)
    assert covering(face) < 0.2
    for rows, columns in ((slice(66, 112), slice(None)), (slice(None), slice(0, 54))):
        masked = face.copy()
        masked[rows, columns] = (100, 160, 220)
        assert covering(masked) > 0.5
    lips = face.copy()
    lips[84:98, 42:70] = (150, 60, 60)
    assert covering(lips) < 0.3


def test_every_place_of_covering_is_in_the_crop() -> None:
    rows, columns = covering_module._places()
    assert len(rows) > 200
    assert 0 <= min(rows.min(), columns.min()) <= max(rows.max(), columns.max()) < CROP_SIDE_PX


def test_a_face_is_measured_by_its_crop_box_and_landmarks() -> None:
    points = (TEMPLATE * 2 + (5, 7)).astype(np.float32)
    face = DetectedFace((10, 20, 190, 300), points, 0.97)
    photo = np.tile(np.asarray(skin()), (4, 4, 1))
    crop = align_face(photo, points)
    quality = measure(face, crop)
    assert quality is not None
    assert quality.face_px == 180
    assert quality.eye_px == pytest.approx(2 * np.hypot(*(TEMPLATE[1] - TEMPLATE[0])), abs=1e-3)
    assert quality.det_score == 0.97
    grey = crop[FACE_ROWS, FACE_COLUMNS].astype(float) @ [0.299, 0.587, 0.114]
    assert quality.brightness == pytest.approx(grey.mean() / 255, abs=1e-5)
    assert quality.sharpness == pytest.approx(plain_sharpness(grey), abs=1e-5)
    assert quality.covered == covering(crop)
    assert (abs(quality.yaw), abs(quality.roll)) < (2, 2)


def test_what_is_no_face_has_no_quality() -> None:
    whole = DetectedFace((0, 0, 40, 40), np.zeros((0, 2), np.float32), 1.0)
    assert measure(whole, np.zeros((40, 40, 3), np.uint8)) is None


@pytest.mark.parametrize(
    ("worse", "worst"),
    [
        ({"sharpness": 0.3}, {"sharpness": 0.1}),
        ({"brightness": 0.1}, {"brightness": 0.0}),
        ({"covered": 0.5}, {"covered": 1.0}),
        ({"face_px": 40}, {"face_px": 8}),
        ({"yaw": -40}, {"yaw": 80}),
        ({"pitch": 45}, {"pitch": -80}),
        ({"det_score": 0.9}, {"det_score": 0.4}),
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_score_is_that_of_the_worst_measure(
    worse: dict[str, float], worst: dict[str, float]
) -> None:
    def score(change: dict[str, float]) -> float:
        values = {name: getattr(GOOD, name) for name in GOOD.__dataclass_fields__}
        return Quality(**{**values, **change}).score

    assert score({}) == 1
    assert 0 < score(worse) < 1
    assert score(worst) == 0
    assert score(worse | {"sharpness": 0.0}) == 0
