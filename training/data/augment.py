"""Augmentation of a batch on its device: what a photo and another detector do to a face.

`draw` draws the random numbers of a whole batch, `apply` changes the pixels by them. Each image is
changed by its own row of the plan alone, and (on as many threads) bit for bit the same in a part of
the batch as in the whole of it: processes that share a batch see what one process would.

Shapes: B batch, H x W pixels, C colour channels (3).
"""

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor

from training.data.augment_config import AugmentConfig

LOW_RESOLUTION_SHARE = (0.2, 0.6)  # of the sides that the lost detail leaves
LOW_RESOLUTION_MIN_PX = 8
# A few images fit into the processor's cache, a whole batch of floats does not: 1.5 times faster.
CPU_IMAGES_AT_ONCE = 16
ERASED_SHARE = (0.15, 0.45)  # of a side


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentPlan:
    """What happens to each image of a batch, float32 on the CPU.

    place_B23: from a pixel's place in the result to its place in the image; both are x, y in
        [-1, 1] from edge to edge, multiplied by the sides' ratio where they differ.
    saturation_B, contrast_B, brightness_B: factors, 1 for no change.
    detail_B: share of the sides that low resolution leaves, 0 for no change.
    erased_B4: top, left (shares of what the rectangle leaves free), height and width (shares of
        the sides) of the erased rectangle; height 0 for none.
    """

    place_B23: Tensor
    saturation_B: Tensor
    contrast_B: Tensor
    brightness_B: Tensor
    detail_B: Tensor
    erased_B4: Tensor

    @property
    def mirrored(self) -> Tensor:
        """bool (B,): which images are mirrored, where none turns by a right angle or more."""
        return self.place_B23[:, 0, 0] < 0

    def rows(self, taken: slice) -> "AugmentPlan":
        """The plan of a part of the batch."""
        return AugmentPlan(**{f.name: getattr(self, f.name)[taken] for f in fields(self)})


def augment(images_BHW3: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """`apply` of a plan that is drawn for this batch."""
    return apply(images_BHW3, draw(len(images_BHW3), config, generator), config)


def draw(count: int, config: AugmentConfig, generator: torch.Generator) -> AugmentPlan:
    """Draw the plan of `count` images. Every image takes as many numbers, used or not."""
    numbers = iter(torch.rand(count, 16, generator=generator).unbind(1))

    def uniform(low: float, high: float) -> Tensor:
        return next(numbers) * (high - low) + low

    def chance(probability: float) -> Tensor:
        return next(numbers) < probability

    place = _places(
        angle_B=math.radians(config.turn_degrees) * uniform(-1, 1),
        zoom_B=1 + uniform(-config.scale, config.scale),
        mirrored_B=chance(0.5 if config.flip else 0),
        shift_B2=2 * torch.stack([uniform(-config.shift, config.shift) for _ in range(2)], dim=1),
    )
    saturation = (1 + uniform(-config.color, config.color)).masked_fill(chance(config.grey), 0)
    contrast = 1 + uniform(-config.light, config.light)
    brightness = 1 + uniform(-config.light, config.light)
    detail = uniform(*LOW_RESOLUTION_SHARE).masked_fill(~chance(config.low_resolution), 0)
    top, left = uniform(0, 1), uniform(0, 1)
    height, width = uniform(*ERASED_SHARE), uniform(*ERASED_SHARE)
    height = height.masked_fill(~chance(config.erase), 0)
    return AugmentPlan(
        place_B23=place,
        saturation_B=saturation,
        contrast_B=contrast,
        brightness_B=brightness,
        detail_B=detail,
        erased_B4=torch.stack([top, left, height, width], dim=1),
    )


def _places(*, angle_B: Tensor, zoom_B: Tensor, mirrored_B: Tensor, shift_B2: Tensor) -> Tensor:
    cos, sin = angle_B.cos() * zoom_B, angle_B.sin() * zoom_B
    mirror = 1 - 2 * mirrored_B.float()
    x = torch.stack([cos * mirror, -sin, shift_B2[:, 0]], dim=1)
    y = torch.stack([sin * mirror, cos, shift_B2[:, 1]], dim=1)
    return torch.stack([x, y], dim=1)


def apply(images_BHW3: Tensor, plan: AugmentPlan, config: AugmentConfig) -> Tensor:
    """uint8 (B, H, W, 3) to changed pixels in [-1, 1], float32 (B, 3, H, W), channels_last.

    plan: as drawn by `config` for these images, whose steps that are off are skipped.
    """
    if not (config.moves or config.recolors or config.low_resolution or config.erase):
        return _float(images_BHW3).div_(127.5).sub_(1)  # as the exported model does it
    if images_BHW3.device.type != "cpu":
        return _changed(images_BHW3, plan, config)
    count, height, width, _ = images_BHW3.shape
    result = torch.empty((count, 3, height, width), memory_format=torch.channels_last)
    for start in range(0, count, CPU_IMAGES_AT_ONCE):
        rows = slice(start, start + CPU_IMAGES_AT_ONCE)
        result[rows] = _changed(images_BHW3[rows], plan.rows(rows), config)
    return result


def _float(images_BHW3: Tensor) -> Tensor:
    """Numbers in [0, 255], float32 (B, 3, H, W); the memory stays in the order of the images."""
    return images_BHW3.permute(0, 3, 1, 2).float()


def _changed(images_BHW3: Tensor, plan: AugmentPlan, config: AugmentConfig) -> Tensor:
    """All steps, at once for the images that are given."""
    pixels = _float(images_BHW3)
    if config.moves:
        pixels = _moved(pixels, plan.place_B23.to(pixels.device), config)
    # Sums of whole numbers are the same in any order, whatever the rest of the batch.
    height, width = images_BHW3.shape[1:3]
    mean_BC = images_BHW3.sum((1, 2), dtype=torch.int32).float() / (height * width)
    if config.recolors:
        pixels, mean_BC = _recolored(pixels, mean_BC, plan)
    else:
        pixels, mean_BC = pixels.div_(127.5).sub_(1), mean_BC / 127.5 - 1
    if config.low_resolution:
        _lose_detail(pixels, plan.detail_B)
    if config.erase:
        pixels = _erased(pixels, mean_BC, plan.erased_B4)
    return pixels.clamp_(-1, 1).contiguous(memory_format=torch.channels_last)


def _moved(pixels: Tensor, place_B23: Tensor, config: AugmentConfig) -> Tensor:
    """Turned, zoomed, mirrored and shifted.

    Where nothing turns or zooms each pixel is the nearest one of the image: to mix the neighbours
    of a small picture for a shift by half a pixel would blur what no picture to be recognised has
    blurred.
    """
    height, width = pixels.shape[-2:]
    x = _centres(width, pixels.device)
    y = _centres(height, pixels.device)
    ratio = height / width
    (xx, xy, x0), (yx, yy, y0) = (row.unbind(1) for row in place_B23.unbind(1))
    grid = torch.empty(len(pixels), height, width, 2, device=pixels.device)
    torch.add(_row(xx) * x, (_row(xy * ratio) * y[:, None] + _row(x0)), out=grid[..., 0])
    torch.add(_row(yx / ratio) * x, (_row(yy) * y[:, None] + _row(y0)), out=grid[..., 1])
    mode = "bilinear" if config.resamples else "nearest"
    beyond = "zeros" if config.edges == "black" else "reflection"
    return F.grid_sample(pixels, grid, mode=mode, padding_mode=beyond, align_corners=False)


def _row(value_B: Tensor) -> Tensor:
    return value_B[:, None, None]


def _centres(count: int, device: torch.device) -> Tensor:
    """Centres of `count` pixels in [-1, 1] from edge to edge."""
    return (2 * torch.arange(count, device=device) + 1) / count - 1


def _recolored(pixels: Tensor, mean_BC: Tensor, plan: AugmentPlan) -> tuple[Tensor, Tensor]:
    """Saturation about grey, contrast about the image's mean grey, brightness; to about [-1, 1].

    pixels: in [0, 255]. mean_BC: colour to change in the same way.
    All three are one product: own share of the colour + share of the grey + constant.
    """
    saturation, contrast, brightness = (
        factor.to(pixels.device)
        for factor in (plan.saturation_B, plan.contrast_B, plan.brightness_B)
    )
    own_B = brightness * contrast * saturation / 127.5
    grey_B = brightness * contrast * (1 - saturation) / (3 * 127.5)
    red, green, blue = mean_BC.unbind(1)
    constant_B = brightness * (1 - contrast) * (red + green + blue) / (3 * 127.5) - 1
    grey = pixels[:, 0] + pixels[:, 1] + pixels[:, 2]
    grey.mul_(_row(grey_B)).add_(_row(constant_B))
    mean_grey = grey_B * (red + green + blue) + constant_B
    pixels = pixels.mul_(own_B[:, None, None, None]).add_(grey[:, None])
    return pixels, mean_BC * own_B[:, None] + mean_grey[:, None]


def _lose_detail(pixels: Tensor, detail_B: Tensor) -> None:
    """Some images lose their detail, as a small face in a large photo has lost it. In place."""
    height, width = pixels.shape[-2:]
    for i, share in enumerate(detail_B.tolist()):
        if share > 0:
            small = [
                min(side, max(LOW_RESOLUTION_MIN_PX, round(side * share)))
                for side in (height, width)
            ]
            image = pixels[i : i + 1]
            image.copy_(
                F.interpolate(
                    F.interpolate(image, small, mode="area"),
                    (height, width),
                    mode="bilinear",
                    align_corners=False,
                )
            )


def _erased(pixels: Tensor, color_BC: Tensor, erased_B4: Tensor) -> Tensor:
    """A rectangle of some images becomes their mean colour, as behind a hand or a mask."""
    height, width = pixels.shape[-2:]
    top, left, high, wide = erased_B4.to(pixels.device).unbind(1)
    rows = _between(top, high, height, pixels.device)
    columns = _between(left, wide, width, pixels.device)
    inside = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(inside, color_BC[:, :, None, None], pixels)


def _between(start_B: Tensor, size_B: Tensor, side: int, device: torch.device) -> Tensor:
    """bool (B, side): the whole pixels of a stretch, `start_B` being a share of what is free."""
    length = (size_B * side).floor()
    first = ((side - length) * start_B).floor()[:, None]
    place = torch.arange(side, device=device)
    return (place >= first) & (place < first + length[:, None])
