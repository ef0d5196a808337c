"""Alignment against scikit-image's estimate, and against dots drawn into a synthetic photo."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from contract.alignment import TEMPLATE, align_face, similarity_transform

CHECKED = settings(derandomize=True, database=None, max_examples=60, deadline=None)

# Red, green, blue, yellow, magenta on grey.
COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 0, 255]])
GREY = 128.0

Points = npt.NDArray[np.float64]


def placed(scale: float, degrees: float, shift: tuple[float, float]) -> Points:
    """The template, scaled and turned about its middle, in a photo of at least its size."""
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centred: Points = (TEMPLATE - 56) @ turn.T
    return centred + 56 * scale * 1.5 + 10 + np.array(shift)


def photo_of_dots(landmarks: Points, radius: float) -> npt.NDArray[np.uint8]:
    """Soft round dots on grey; a landmark of whole numbers is the centre of that pixel."""
    side = int(np.ceil(landmarks.max() + 4 * radius)) + 2
    photo = np.full((side, side, 3), GREY)
    reach = int(np.ceil(4 * radius)) + 1
    for (x, y), color in zip(landmarks, COLORS, strict=True):
        top, left = max(0, int(y) - reach), max(0, int(x) - reach)
        part = photo[top : int(y) + reach, left : int(x) + reach]
        rows, columns = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
        weight = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))[:, :, None]
        part[:] = part * (1 - weight) + color * weight
    return np.rint(photo).astype(np.uint8)


def found_dots(crop: npt.NDArray[np.uint8]) -> Points:
    """Where each colour's dot lies in the crop: the middle of all that it changed, (5, 2)."""
    rows, columns = np.mgrid[0:112, 0:112]
    places = []
    for near, color in zip(TEMPLATE, COLORS, strict=True):
        weight = ((crop - GREY) * np.sign(color - GREY)).min(axis=2).clip(0)
        weight[np.hypot(columns - near[0], rows - near[1]) > 8] = 0
        places.append([(weight * columns).sum(), (weight * rows).sum()] / weight.sum())
    return np.array(places)


@CHECKED
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 9), noise=st.sampled_from([0, 0.1, 5]))
def test_similarity_transform_equals_scikit_image(seed: int, count: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    source = rng.uniform(-500, 500, (count, 2))
    true = SimilarityTransform(
        scale=float(rng.uniform(0.05, 20)),
        rotation=float(rng.uniform(-np.pi, np.pi)),
        translation=rng.uniform(-300, 300, 2),
    )
    target = true(source) + noise * rng.standard_normal((count, 2))
    oracle = SimilarityTransform.from_estimate(source, target)
    found = similarity_transform(source, target)
    assert found == pytest.approx(oracle.params[:2], rel=1e-7, abs=1e-6)


@CHECKED
@given(seed=st.integers(0, 2**32 - 1))
def test_no_nearby_transform_fits_better(seed: int) -> None:
    """Unrelated points: where a reflection would fit better, the best without one is wanted."""
    rng = np.random.default_rng(seed)
    source, target = rng.standard_normal((2, 5, 2))

    def error(transform: Points) -> float:
        return float(((source @ transform[:, :2].T + transform[:, 2] - target) ** 2).sum())

    best = similarity_transform(source, target)
    for _ in range(20):
        a, b, *shift = 0.01 * rng.standard_normal(4)
        nearby = best + np.array([[a, -b, shift[0]], [b, a, shift[1]]])
        assert error(best) <= error(nearby)


@CHECKED
@given(
    scale=st.floats(0.3, 8),
    degrees=st.floats(-180, 180),
    shift=st.tuples(st.floats(0, 30), st.floats(0, 30)),
)
def test_dots_at_the_landmarks_end_up_at_the_template(
    scale: float, degrees: float, shift: tuple[float, float]
) -> None:
    landmarks = placed(scale, degrees, shift)
    crop = align_face(photo_of_dots(landmarks, radius=max(1.0, 1.8 * scale)), landmarks)
    assert np.abs(found_dots(crop) - TEMPLATE).max() < 0.1
