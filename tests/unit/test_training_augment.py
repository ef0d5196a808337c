"""Augmentation: the same by the same generator, never out of range, and nothing when off."""

from dataclasses import fields, replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.data.augment import AugmentPlan, apply, augment, draw
from training.data.augment_config import AugmentConfig, Edges

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


@pytest.mark.parametrize("edges", get_args(Edges))
def test_a_shift_alone_mixes_no_pixels_with_their_neighbours(edges: Edges) -> None:
    """Each result is the image by some whole pixels aside, mirrored or not; beyond its edge lies
    what `edges` says.
    """
    pixels, reach = images(count=24), 6
    config = replace(OFF, flip=True, shift=0.2, edges=edges)
    ways = set()
    for found, image in zip(augmented(config, pixels=pixels), plain(pixels), strict=True):
        same = [
            (mirrored, down, right)
            for mirrored in (False, True)
            for down in range(-reach, reach + 1)
            for right in range(-reach, reach + 1)
            if torch.allclose(found, slid(image, mirrored, down, right, edges), atol=1e-6)
        ]
        assert len(same) == 1
        ways.update(same)
    assert len({mirrored for mirrored, _, _ in ways}) == 2
    assert len({down for _, down, _ in ways}) > 6
    assert len({right for _, _, right in ways}) > 6


def slid(image: Tensor, mirrored: bool, down: int, right: int, edges: Edges) -> Tensor:
    """By numpy's own padding."""
    image, side = image.flip(2) if mirrored else image, image.shape[1]
    around = ((0, 0), (side, side), (side, side))
    if edges == "black":
        wide = np.pad(image.numpy(), around, constant_values=-1)
    else:
        wide = np.pad(image.numpy(), around, mode="symmetric")
    top, left = side - down, side - right
    return torch.from_numpy(wide[:, top : top + side, left : left + side].copy())


@pytest.mark.parametrize("config", [AugmentConfig(), OFF, *STEPS.values()])
def test_the_result_is_channels_last_and_of_its_own_memory(config: AugmentConfig) -> None:
    found = augmented(config)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_nothing_to_do_is_the_conversion_alone_bit_for_bit() -> None:
    every = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    expected = every.permute(0, 3, 1, 2).float() / 127.5 - 1
    assert torch.equal(augmented(OFF, pixels=every), expected)
    plan = draw(1, AugmentConfig(), torch.Generator().manual_seed(0))  # which says other things
    assert torch.equal(apply(every, plan, OFF), expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [("grey", 1.1), ("erase", -0.1), ("low_resolution", 2), ("shift", -0.1), ("scale", 1.5),
     ("light", -1), ("color", 2), ("turn_degrees", 181), ("turn_degrees", -1), ("edges", "white")],
)  # fmt: skip
def test_a_strength_out_of_range_is_refused(field: str, value: float | str) -> None:
    with pytest.raises(ValueError, match=field):
        AugmentConfig(**{field: value})  # type: ignore[arg-type]


# --- a part of a batch ---


@settings(derandomize=True, database=None, max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(1, 12),
    shape=st.tuples(st.integers(3, 40), st.integers(3, 40)),
    bounds=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    config=st.sampled_from([AugmentConfig(), *STEPS.values()]),
)
def test_a_part_of_a_batch_becomes_what_it_becomes_in_the_whole_of_it(
    seed: int, count: int, shape: tuple[int, int], bounds: tuple[int, int], config: AugmentConfig
) -> None:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, *shape, 3), dtype=torch.uint8, generator=generator)
    plan = draw(count, config, generator)
    rows = slice(min(bounds), max(bounds))
    assert torch.equal(
        apply(pixels[rows], plan.rows(rows), config), apply(pixels, plan, config)[rows]
    )


def test_so_does_a_batch_of_faces_on_several_threads() -> None:
    pixels, config = images(48, 112), AugmentConfig()
    plan = draw(48, config, torch.Generator().manual_seed(3))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        whole = apply(pixels, plan, config)
        for rows in (slice(0, 16), slice(16, 48), slice(47, 48)):
            assert torch.equal(apply(pixels[rows], plan.rows(rows), config), whole[rows])
        torch.set_num_threads(1)
        # torch's bilinear upsampling rounds otherwise on one thread.
        torch.testing.assert_close(apply(pixels, plan, config), whole, atol=1e-6, rtol=0)
    finally:
        torch.set_num_threads(before)


def test_rows_take_every_field() -> None:
    plan = draw(6, AugmentConfig(), torch.Generator().manual_seed(0))
    part = plan.rows(slice(2, 4))
    for field in fields(AugmentPlan):
        assert torch.equal(getattr(part, field.name), getattr(plan, field.name)[2:4])


def test_a_larger_batch_draws_the_same_for_its_first_images_and_other_for_each() -> None:
    generators = [torch.Generator().manual_seed(5) for _ in range(2)]
    small, large = (draw(n, AugmentConfig(), g) for n, g in zip((3, 9), generators, strict=True))
    for field in fields(AugmentPlan):
        few, many = getattr(small, field.name), getattr(large, field.name)
        assert torch.equal(few, many[:3])
    assert len({tuple(row.flatten().tolist()) for row in large.place_B23}) == 9
    assert len(set(large.contrast_B.tolist())) == 9


def test_a_plan_stays_within_its_config() -> None:
    config = AugmentConfig(light=0.2, color=0.3, grey=0.25, low_resolution=0.4, erase=0.6)
    plan = draw(4000, config, torch.Generator().manual_seed(0))
    grey = plan.saturation_B == 0
    assert float(grey.float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float((plan.detail_B > 0).float().mean()) == pytest.approx(0.4, abs=0.03)
    assert float((plan.erased_B4[:, 2] > 0).float().mean()) == pytest.approx(0.6, abs=0.03)
    for values, low, high in (
        (plan.saturation_B[~grey], 0.7, 1.3),
        (plan.contrast_B, 0.8, 1.2),
        (plan.brightness_B, 0.8, 1.2),
        (plan.detail_B[plan.detail_B > 0], 0.2, 0.6),
        (plan.erased_B4[plan.erased_B4[:, 2] > 0, 2], 0.15, 0.45),
        (plan.erased_B4[:, 3], 0.15, 0.45),
        (plan.place_B23[:, :, 2], -0.1, 0.1),
        (plan.place_B23[:, :, :2].det().abs().sqrt(), 0.88, 1.12),
    ):
        edge = 0.02 * (high - low)
        assert low - 1e-6 <= float(values.min()) < low + edge
        assert high - edge < float(values.max()) <= high + 1e-6
    mirrored = plan.place_B23[:, :, :2].det() < 0
    assert float(mirrored.float().mean()) == pytest.approx(0.5, abs=0.03)
    turned = torch.rad2deg(torch.atan2(-plan.place_B23[:, 0, 1], plan.place_B23[:, 1, 1]))
    assert float(turned.abs().max()) == pytest.approx(8, abs=0.1)


# --- against plain loops in double precision ---

Numbers = npt.NDArray[np.float64]


def rotated_places(plan: AugmentPlan, i: int, height: int, width: int) -> Any:
    """For each pixel of the result its place in the image, in pixels: turned about the middle."""
    (a, b, shift_x), (c, d, shift_y) = plan.place_B23[i].double().tolist()
    for row in range(height):
        for column in range(width):
            x, y = column + 0.5 - width / 2, row + 0.5 - height / 2
            yield (
                row,
                column,
                a * x + b * y + shift_x * width / 2 + width / 2 - 0.5,
                c * x + d * y + shift_y * height / 2 + height / 2 - 0.5,
            )


def moved(image: Numbers, plan: AugmentPlan, i: int) -> Numbers:
    height, width = image.shape[:2]
    found = np.zeros_like(image)
    for row, column, x, y in rotated_places(plan, i, height, width):
        for yy in (int(np.floor(y)), int(np.floor(y)) + 1):
            for xx in (int(np.floor(x)), int(np.floor(x)) + 1):
                if 0 <= yy < height and 0 <= xx < width:
                    found[row, column] += (1 - abs(y - yy)) * (1 - abs(x - xx)) * image[yy, xx]
    return found


def recolored(image: Numbers, mean_grey: float, plan: AugmentPlan, i: int) -> Numbers:
    grey = image.mean(axis=2, keepdims=True)
    image = grey + (image - grey) * float(plan.saturation_B[i])
    image = mean_grey + (image - mean_grey) * float(plan.contrast_B[i])
    return image * float(plan.brightness_B[i])


def overlap(start: float, end: float, i: int) -> float:
    return max(0.0, min(end, i + 1) - max(start, i))


def with_detail(image: Numbers, share: float) -> Numbers:
    """Means over blocks, and straight lines between the middles of the blocks."""
    for axis in (0, 1):
        image = np.moveaxis(image, axis, 0)
        side = len(image)
        small = min(side, max(8, round(side * share)))
        blocks = []
        for i in range(small):  # whole pixels that the block touches, as torch counts them
            taken = image[i * side // small : -(-(i + 1) * side // small)]
            blocks.append(taken.mean(axis=0))
        found = []
        for i in range(side):
            at = min(max((i + 0.5) * small / side - 0.5, 0), small - 1)
            low = int(at)
            high = min(low + 1, small - 1)
            found.append(blocks[low] * (1 - (at - low)) + blocks[high] * (at - low))
        image = np.moveaxis(np.stack(found), 0, axis)
    return image


@pytest.mark.parametrize("shape", [(14, 14), (12, 20), (21, 9)])
def test_every_step_is_what_plain_loops_make_of_the_plan(shape: tuple[int, int]) -> None:
    height, width = shape
    config = AugmentConfig(
        turn_degrees=25, shift=0.15, scale=0.3, grey=0.3, low_resolution=0.5, erase=0.7, light=0.2
    )
    generator = torch.Generator().manual_seed(11)
    pixels = torch.randint(0, 256, (10, height, width, 3), dtype=torch.uint8, generator=generator)
    plan = draw(10, config, generator)
    assert 0 < int((plan.detail_B > 0).sum()) < 10
    assert 0 < int((plan.erased_B4[:, 2] > 0).sum()) < 10
    found = apply(pixels, plan, config).permute(0, 2, 3, 1).numpy()
    for i in range(10):
        image = pixels[i].double().numpy()
        mean = image.mean(axis=(0, 1))
        expected = recolored(moved(image, plan, i), mean.mean(), plan, i)
        if plan.detail_B[i] > 0:
            expected = with_detail(expected, float(plan.detail_B[i]))
        top, left, high, wide = plan.erased_B4[i].tolist()
        rows, columns = int(high * height), int(wide * width)
        first_row, first_column = int((height - rows) * top), int((width - columns) * left)
        patch = recolored(mean[None, None], mean.mean(), plan, i)
        expected[first_row : first_row + rows, first_column : first_column + columns] = patch
        expected = np.clip(expected / 127.5 - 1, -1, 1)
        np.testing.assert_allclose(found[i], expected, atol=2e-4)
