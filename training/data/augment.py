"""Augmentation of a batch on its device: what a photo and another detector do to a face.

Shapes: B batch, H x W pixels.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Largest change or probability of each step; 0 turns it off.

    shift: share of the side. scale: share. turn_degrees: to either side. light: share of
    brightness and contrast. color: share of saturation. grey, low_resolution, erase: probability.
    """

    flip: bool = True
    shift: float = 0.05
    scale: float = 0.12
    turn_degrees: float = 8.0
    light: float = 0.3
    color: float = 0.4
    grey: float = 0.1
    low_resolution: float = 0.2
    erase: float = 0.3


def augment(images_BHW3: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """uint8 (B, H, W, 3) to changed pixels in [-1, 1], float32 (B, 3, H, W)."""
    pixels = images_BHW3.permute(0, 3, 1, 2).float().div_(255)
    pixels = _move(pixels, config, generator)
    pixels = _recolor(pixels, config, generator)
    pixels = _blur(pixels, config, generator)
    pixels = _erase(pixels, config, generator)
    return pixels.clamp_(0, 1).mul_(2).sub_(1)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.empty(count).uniform_(low, high, generator=generator)


def _chance(count: int, probability: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) < probability


def _move(pixels: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    count = len(pixels)
    angle = _uniform(count, -1, 1, generator) * math.radians(config.turn_degrees)
    zoom = 1 + _uniform(count, -config.scale, config.scale, generator)
    mirror = 1 - 2.0 * _chance(count, 0.5 if config.flip else 0, generator)
    shift = 2 * _uniform(2 * count, -config.shift, config.shift, generator).view(count, 2)
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    rows = [torch.stack([cos * mirror, -sin, shift[:, 0]], 1)]
    rows.append(torch.stack([sin * mirror, cos, shift[:, 1]], 1))
    theta = torch.stack(rows, 1).to(pixels.device)
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, align_corners=False)


def _recolor(pixels: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    count = len(pixels)
    grey = pixels.mean(dim=1, keepdim=True)
    saturation = 1 + _uniform(count, -config.color, config.color, generator)
    saturation[_chance(count, config.grey, generator)] = 0
    contrast = 1 + _uniform(count, -config.light, config.light, generator)
    brightness = 1 + _uniform(count, -config.light, config.light, generator)
    middle = grey.mean(dim=(2, 3), keepdim=True)

    def each(factor: Tensor) -> Tensor:
        return factor.view(-1, 1, 1, 1).to(pixels.device)

    pixels = grey + (pixels - grey) * each(saturation)
    return (middle + (pixels - middle) * each(contrast)) * each(brightness)


def _blur(pixels: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """A part of the batch loses its detail, as a small face in a large photo has lost it."""
    chosen = _chance(len(pixels), config.low_resolution, generator).nonzero().flatten()
    share = float(_uniform(1, 0.2, 0.6, generator))
    if len(chosen) == 0:
        return pixels
    chosen = chosen.to(pixels.device)
    side = max(8, round(pixels.shape[-1] * share))
    small = F.interpolate(pixels[chosen], (side, side), mode="area")
    pixels[chosen] = F.interpolate(small, pixels.shape[-2:], mode="bilinear", align_corners=False)
    return pixels


def _erase(pixels: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """A rectangle of a part of the batch becomes its mean colour, as behind a hand or a mask."""
    height, width = pixels.shape[-2:]
    chosen = _chance(len(pixels), config.erase, generator)
    corner = torch.rand(len(pixels), 4, generator=generator)
    for i in chosen.nonzero().flatten().tolist():
        h = int(height * (0.15 + 0.3 * corner[i, 0]))
        w = int(width * (0.15 + 0.3 * corner[i, 1]))
        top, left = int((height - h) * corner[i, 2]), int((width - w) * corner[i, 3])
        mean = pixels[i].mean(dim=(1, 2), keepdim=True)
        pixels[i, :, top : top + h, left : left + w] = mean
    return pixels
