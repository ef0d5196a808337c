"""Whole images to squares: where everything of them goes."""

from typing import get_args

import numpy as np
import pytest

from contract.fitting import Fit, fit_image

FITS: tuple[Fit, ...] = get_args(Fit)

# Left half red, right half blue, 64 x 32.
WIDE = np.zeros((32, 64, 3), dtype=np.uint8)
WIDE[:, :32, 0], WIDE[:, 32:, 2] = 255, 255


def test_pad_shows_all_of_the_image_between_black_borders() -> None:
    found = fit_image(WIDE, 32, "pad")
    assert not found[:8].any()
    assert not found[24:].any()
    assert (found[8:24, :14] == [255, 0, 0]).all()
    assert (found[8:24, 18:] == [0, 0, 255]).all()
    tall = fit_image(WIDE.transpose(1, 0, 2), 32, "pad")
    assert np.array_equal(tall, found.transpose(1, 0, 2))


def test_crop_cuts_both_sides_alike() -> None:
    found = fit_image(WIDE, 32, "crop")
    assert np.array_equal(found, WIDE[:, 16:48])


def test_stretch_shows_all_of_the_image_distorted() -> None:
    found = fit_image(WIDE, 32, "stretch")
    assert (found[:, :14] == [255, 0, 0]).all()
    assert (found[:, 18:] == [0, 0, 255]).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 7), (200, 200)])
def test_every_shape_becomes_a_square(fit: Fit, shape: tuple[int, int]) -> None:
    found = fit_image(np.full((*shape, 3), 200, dtype=np.uint8), 24, fit)
    assert found.shape == (24, 24, 3)
    assert found.dtype == np.uint8
    assert (found[found.any(axis=2)] == 200).all()
    assert found.any()


@pytest.mark.parametrize("fit", FITS)
def test_an_image_of_that_size_comes_out_unchanged(fit: Fit) -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(fit_image(image, 32, fit), image)


def test_large_images_are_averaged_down_not_sampled() -> None:
    """A fine chequerboard becomes grey, whatever pixels a sampler would have hit."""
    fine = np.indices((320, 320)).sum(axis=0) % 2 * 255
    image = np.repeat(fine[:, :, None], 3, axis=2).astype(np.uint8)
    for fit in FITS:
        assert np.abs(fit_image(image, 32, fit).astype(int) - 127).max() <= 3
