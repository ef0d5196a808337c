"""A pack of coloured waves: identities that a small network tells apart, made of numbers alone."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.data.pack import Pack, PackIndex, open_pack, write_pack


def wave_pack(root: Path, *, identities: int, images_each: int, side_px: int) -> Pack:
    """One coloured wave an identity, with a phase and noise an image; the same at every call."""
    names = tuple(f"wave/{i:03}" for i in range(identities))
    index = PackIndex(
        source="waves",
        alignment="five_point_112" if side_px == 112 else "none",
        identities=names,
        paths=tuple(f"{name}/{j}.png" for name in names for j in range(images_each)),
        labels=tuple(i for i in range(identities) for _ in range(images_each)),
        splits=("train",) * (identities * images_each),
        unused=(),
    )
    write_pack(root, index, _waves(identities, images_each, side_px))
    return open_pack(root)


def _waves(identities: int, images_each: int, side_px: int) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:side_px, 0:side_px] * (112 / side_px)
    images = []
    for _ in range(identities):
        slope_x, slope_y = rng.uniform(-0.3, 0.3, 2)
        color = rng.uniform(40, 127, 3)
        for _ in range(images_each):
            phase = rng.uniform(0, 1)
            wave = np.sin(slope_x * x + slope_y * y + phase)[:, :, None] * color + 128
            images.append(wave + rng.normal(0, 8, (side_px, side_px, 3)))
    return np.clip(np.stack(images), 0, 255).astype(np.uint8)
