"""Augmentation: the same by the same generator, never out of range, and nothing when off."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from training.data.augment import AugmentConfig, augment

OFF = AugmentConfig(
    flip=False, shift=0, scale=0, turn_degrees=0, light=0, color=0, grey=0, low_resolution=0,
    erase=0,
)  # fmt: skip

# Each step alone at full strength.
STEPS = {
    "flip": replace(OFF, flip=True),
    "shift": replace(OFF, shift=0.2),
    "scale": replace(OFF, scale=0.3),
    "turn": replace(OFF, turn_degrees=30),
    "light": replace(OFF, light=0.9),
    "color": replace(OFF, color=1.0),
    "grey": replace(OFF, grey=1.0),
    "low resolution": replace(OFF, low_resolution=1.0),
    "erase": replace(OFF, erase=1.0),
}


def images(count: int = 8, side: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def augmented(config: AugmentConfig, seed: int = 0, pixels: Tensor | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return augment(images() if pixels is None else pixels, config, generator)


def plain(pixels: Tensor) -> Tensor:
    """What the exported model makes of the same pixels: (B, 3, H, W) in [-1, 1]."""
    return (pixels.permute(0, 3, 1, 2).float() - 127.5) / 127.5


def test_everything_off_is_the_normalisation_of_the_exported_model() -> None:
    assert torch.allclose(augmented(OFF), plain(images()), atol=1e-5)


@pytest.mark.parametrize("config", [AugmentConfig(), *STEPS.values()], ids=["default", *STEPS])
@pytest.mark.parametrize("shade", [None, 0, 255])
def test_the_result_is_in_range_and_of_the_shape_of_the_batch(
    config: AugmentConfig, shade: int | None
) -> None:
    pixels = images() if shade is None else torch.full_like(images(), shade)
    found = augmented(config, pixels=pixels)
    assert found.shape == (8, 3, 32, 32)
    assert found.dtype == torch.float32
    assert float(found.min()) >= -1
    assert float(found.max()) <= 1


@pytest.mark.parametrize("config", STEPS.values(), ids=list(STEPS))
def test_each_step_does_something(config: AugmentConfig) -> None:
    assert float((augmented(config) - plain(images())).abs().max()) > 0.1


@pytest.mark.parametrize("config", [AugmentConfig(), *STEPS.values()], ids=["default", *STEPS])
def test_the_generator_decides_and_nothing_else(config: AugmentConfig) -> None:
    torch.manual_seed(1)
    first = augmented(config, seed=5)
    torch.manual_seed(2)
    assert torch.equal(first, augmented(config, seed=5))


def test_another_generator_augments_otherwise() -> None:
    assert not torch.equal(augmented(AugmentConfig(), 5), augmented(AugmentConfig(), 6))


def test_the_images_themselves_are_left_alone() -> None:
    pixels = images()
    augmented(AugmentConfig(), pixels=pixels)
    assert torch.equal(pixels, images())


def test_flip_only_mirrors_some_of_the_batch() -> None:
    found, straight = augmented(STEPS["flip"]), plain(images())
    mirrored = [
        torch.allclose(f, s.flip(-1), atol=1e-5) for f, s in zip(found, straight, strict=True)
    ]
    untouched = [torch.allclose(f, s, atol=1e-5) for f, s in zip(found, straight, strict=True)]
    assert all(m != u for m, u in zip(mirrored, untouched, strict=True))
    assert any(mirrored)
    assert any(untouched)


def test_grey_makes_equal_channels() -> None:
    found = augmented(STEPS["grey"])
    assert torch.allclose(found, found.mean(dim=1, keepdim=True).expand_as(found), atol=1e-5)


def test_light_of_one_colour_stays_one_colour() -> None:
    found = augmented(STEPS["light"], pixels=torch.full((4, 8, 8, 3), 100, dtype=torch.uint8))
    assert torch.allclose(found, found[:, :1, :1, :1].expand_as(found), atol=1e-5)
    assert len({round(float(value), 4) for value in found[:, 0, 0, 0]}) == 4


def test_low_resolution_keeps_the_mean_and_loses_detail() -> None:
    found, straight = augmented(STEPS["low resolution"]), plain(images())
    assert (found.mean(dim=(1, 2, 3)) - straight.mean(dim=(1, 2, 3))).abs().max() < 0.02
    assert (found.std(dim=(1, 2, 3)) < 0.6 * straight.std(dim=(1, 2, 3))).all()


def test_erase_fills_one_rectangle_with_the_mean_colour() -> None:
    found, straight = augmented(STEPS["erase"]), plain(images())
    for image, before in zip(found, straight, strict=True):
        rows, columns = ((image - before).abs().amax(dim=0) > 1e-4).nonzero().T
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        patch = image[:, top : bottom + 1, left : right + 1]
        mean = before.mean(dim=(1, 2), keepdim=True)
        assert torch.allclose(patch, mean.expand_as(patch), atol=1e-4)
        assert 0.15 * 32 - 1 <= len(set(rows.tolist())) <= 0.45 * 32
        assert 0.15 * 32 - 1 <= len(set(columns.tolist())) <= 0.45 * 32


def test_a_shift_moves_at_most_its_share_of_the_side() -> None:
    """A white dot in the middle of 100 pixels stays within 20 of it."""
    dot = torch.zeros(16, 101, 101, 3, dtype=torch.uint8)
    dot[:, 50, 50] = 255
    found = augmented(STEPS["shift"], pixels=dot)[:, 0] + 1
    places = [(image == image.max()).nonzero()[0] for image in found]
    moved = torch.stack(places).float() - 50
    assert float(moved.abs().max()) <= 21
    assert float(moved.abs().max()) > 10
