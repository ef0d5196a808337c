"""Alignment at its conventions and edges; random transforms are in tests/property."""

import numpy as np
import numpy.typing as npt
import pytest

from contract.alignment import CROP_SIDE_PX, TEMPLATE, align_face, similarity_transform

Pixels = npt.NDArray[np.uint8]


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_crop_whose_face_is_at_the_template_stays_the_very_picture() -> None:
    crop = noise(CROP_SIDE_PX, CROP_SIDE_PX)
    assert np.array_equal(align_face(crop, TEMPLATE), crop)


def test_a_shift_by_whole_pixels_moves_the_pixels_and_mixes_none() -> None:
    photo = noise(150, 160)
    crop = align_face(photo, TEMPLATE + np.array([30, 20])).astype(int)
    assert np.abs(crop - photo[20:132, 30:142]).max() <= 1  # Pillow cuts fractions off


def test_landmarks_turned_by_a_quarter_turn_the_picture() -> None:
    crop = noise(CROP_SIDE_PX, CROP_SIDE_PX)
    turned = np.rot90(crop)  # anticlockwise: (x, y) goes to (y, 111 - x)
    landmarks = np.stack([TEMPLATE[:, 1], 111 - TEMPLATE[:, 0]], axis=1)
    found = align_face(np.ascontiguousarray(turned), landmarks).astype(int)
    assert np.abs(found - crop).max() <= 1


def test_outside_of_the_photo_is_black() -> None:
    white = np.full((112, 112, 3), 255, dtype=np.uint8)
    crop = align_face(white, TEMPLATE - [0, 40])
    assert (crop[:39] == 0).all()
    assert (crop[41:] == 255).all()


@pytest.mark.parametrize("scale", [0.2, 1.0, 6.0, 1e3, 1e9, 1e12])
@pytest.mark.parametrize("far", [5e3, -5e3, 1e9])
def test_landmarks_outside_of_the_photo_give_a_crop_of_what_is_there(
    scale: float, far: float
) -> None:
    crop = align_face(noise(60, 80), TEMPLATE * scale + far)
    assert crop.shape == (112, 112, 3)
    assert crop.dtype == np.uint8


def test_a_far_away_face_is_black() -> None:
    assert (align_face(noise(60, 80), TEMPLATE * 6 + 5000) == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1)])
def test_tiny_photos_align_too(shape: tuple[int, int]) -> None:
    assert align_face(noise(*shape), TEMPLATE * 3).shape == (112, 112, 3)


@pytest.mark.parametrize("zoom", [4, 8, 13])
def test_large_faces_are_averaged_and_not_sampled(zoom: int) -> None:
    """Noise averages out to its mean; sampling single pixels would keep its spread of 74."""
    photo = noise(112 * zoom, 112 * zoom)
    crop = align_face(photo, (TEMPLATE + 0.5) * zoom - 0.5)
    assert crop[2:-2, 2:-2].std() < 74 / zoom * 2.5
    assert abs(float(crop[2:-2, 2:-2].mean()) - 127.5) < 2


@pytest.mark.parametrize("zoom", [4, 6, 8])
def test_a_large_face_equals_the_mean_of_each_block_of_its_photo(zoom: int) -> None:
    """The independent way down: the crop is smooth, so that any fair average agrees with it."""
    y, x = np.mgrid[0 : 112 * zoom, 0 : 112 * zoom] / zoom
    smooth = np.stack([2 * x, 2 * y, x + y], axis=2)
    blocks = smooth.reshape(112, zoom, 112, zoom, 3).mean(axis=(1, 3))
    crop = align_face(smooth.astype(np.uint8), (TEMPLATE + 0.5) * zoom - 0.5).astype(float)
    assert np.abs(crop - blocks)[1:-1, 1:-1].max() < 1.5


@pytest.mark.parametrize(
    "landmarks",
    [np.zeros((5, 2)), np.full((5, 2), 31.5), np.full((5, 2), np.nan), TEMPLATE * np.inf],
    ids=["zero", "one point", "nan", "infinite"],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_landmarks_that_span_nothing_are_refused(landmarks: npt.NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="no face to align"):
        align_face(noise(112, 112), landmarks)


def test_a_transform_never_mirrors() -> None:
    mirrored = TEMPLATE * [-1, 1]
    linear = similarity_transform(mirrored, TEMPLATE)[:, :2]
    assert np.linalg.det(linear) > 0
