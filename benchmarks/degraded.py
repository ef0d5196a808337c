"""Photos of one face, spoilt on purpose: blurred, dark, tiny, turned away, covered.

Each spoils the photo as it would come from a camera: uint8 (H, W, 3) RGB of any size. Landmarks are
the five of contract/detection/base.py, found in the photo as it was; lengths that hang on the size
of the face are in eye distances. Every choice comes from the generator that is passed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from benchmarks.turned_head import turned_head
from contract.alignment import TEMPLATE, similarity_transform
from service.quality.pose import pose

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating]
Rng = np.random.Generator
Spoil = Callable[[Pixels, Points, Rng], Pixels]

TINY_FACE_PX: Final = (8, 24)
TURNED_YAW_DEG: Final = (50.0, 70.0)
# The height of a face as MTCNN boxes it is so many eye distances.
FACE_EYE_DISTANCES: Final = 2.6
# Parts of the face in the 112 x 112 template: left, top, right, bottom.
PARTS: Final = {
    "mouth and nose": (22.0, 64.0, 90.0, 122.0),
    "eyes": (18.0, 38.0, 94.0, 66.0),
    "left half": (-6.0, 0.0, 56.0, 124.0),
    "right half": (56.0, 0.0, 118.0, 124.0),
}
MASK_COLOURS: Final = np.array(
    [[235, 238, 240], [120, 170, 205], [25, 25, 28], [60, 130, 90], [40, 60, 130]]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """One way to spoil photos. name: of the kind and how much of it."""

    kind: str
    name: str
    spoil: Spoil


def eye_distance(landmarks_52: Points) -> float:
    """Pixels between the eyes."""
    return float(np.linalg.norm(landmarks_52[1] - landmarks_52[0]))


def blurred(sigma_eyes: float) -> Spoil:
    """Out of focus: a Gaussian of that many eye distances."""

    def spoil(photo: Pixels, landmarks: Points, rng: Rng) -> Pixels:
        radius = sigma_eyes * eye_distance(landmarks)
        return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(radius)))

    return spoil


def dark(light: float) -> Spoil:
    """So much of the light is left, with the noise of a sensor that has too little of it."""

    def spoil(photo: Pixels, landmarks: Points, rng: Rng) -> Pixels:
        linear = (photo / 255.0) ** 2.2 * light
        electrons = rng.poisson(linear * 4_000) + rng.normal(0, 3, photo.shape)
        seen = np.clip(electrons / 4_000, 0, 1) ** (1 / 2.2)
        return (seen * 255).round().astype(np.uint8)

    return spoil


def tiny(*, framed: bool) -> Spoil:
    """The face is 8 to 24 pixels high: in a small photo, or far away in one of its old size."""

    def spoil(photo: Pixels, landmarks: Points, rng: Rng) -> Pixels:
        height_px = rng.uniform(*TINY_FACE_PX)
        shrink = height_px / (FACE_EYE_DISTANCES * eye_distance(landmarks))
        size = tuple(max(1, round(side * shrink)) for side in photo.shape[1::-1])
        small = np.asarray(
            Image.fromarray(photo).resize((size[0], size[1]), Image.Resampling.LANCZOS)
        )
        return _framed(small, photo.shape[:2], rng) if framed else small

    return spoil


def _framed(small: Pixels, size: tuple[int, int], rng: Rng) -> Pixels:
    """On a smooth background of the size `size`, in the colours of the photo, at a chance place."""
    coarse = rng.integers(40, 200, (4, 4, 3)).astype(np.uint8)
    wall = Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)
    framed = np.array(wall)
    top, left = (
        int(rng.integers(0, whole - part + 1))
        for whole, part in zip(size, small.shape[:2], strict=True)
    )
    framed[top : top + small.shape[0], left : left + small.shape[1]] = small
    return framed


def turned(photo: Pixels, landmarks: Points, rng: Rng) -> Pixels:
    """The head turned on, the way it looks already, until it looks 50 to 70 degrees aside."""
    now = pose(landmarks).yaw
    yaw = rng.uniform(*TURNED_YAW_DEG) * (np.sign(now) or 1.0)
    return turned_head(photo, landmarks, yaw_deg=float(yaw - now))


def covered(part: str) -> Spoil:
    """Something lies over a part of the face: plain as a mask, or with a texture as a book."""

    def spoil(photo: Pixels, landmarks: Points, rng: Rng) -> Pixels:
        left, top, right, bottom = PARTS[part]
        to_crop = similarity_transform(landmarks, TEMPLATE)
        height, width = photo.shape[:2]
        xs, ys = np.meshgrid(np.arange(width), np.arange(height))
        crop = np.stack([xs, ys], axis=-1) @ to_crop[:, :2].T + to_crop[:, 2]
        middle = np.array([left + right, top + bottom]) / 2
        half = np.array([right - left, bottom - top]) / 2
        # A rounded rectangle, its border softened over two pixels of the crop.
        inside = 1 - (np.abs((crop - middle) / half) ** 6).sum(axis=-1) ** (1 / 6)
        alpha = np.clip(inside * half.min() / 2 + 0.5, 0, 1)[..., None]
        mixed = photo * (1 - alpha) + _cloth(crop, part, rng) * alpha
        return np.asarray(mixed.round(), dtype=np.uint8)

    return spoil


def _cloth(crop_HW2: npt.NDArray[np.float64], part: str, rng: Rng) -> npt.NDArray[np.float64]:
    """What covers: (H, W, 3). Sunglasses are dark; else plain, striped, or blots of colours."""
    shading = 1 + 0.06 * np.sin(crop_HW2 @ rng.normal(0, 0.05, 2) + rng.uniform(0, 6))
    colour = MASK_COLOURS[rng.integers(len(MASK_COLOURS))] * rng.uniform(0.7, 1)
    if part == "eyes":
        colour = np.array([30, 28, 30]) * rng.uniform(0.5, 1.6)
    cloth = np.broadcast_to(colour, (*crop_HW2.shape[:2], 3)).astype(np.float64)
    pattern = "plain" if part == "eyes" else rng.choice(["plain", "plain", "striped", "blots"])
    if pattern == "striped":
        angle, period = rng.uniform(0, np.pi), rng.uniform(6, 16)
        across = crop_HW2 @ np.array([np.cos(angle), np.sin(angle)])
        stripes = (np.sin(across * 2 * np.pi / period) > 0)[..., None]
        cloth = np.where(stripes, cloth, rng.integers(0, 255, 3))
    elif pattern == "blots":
        blots = rng.integers(0, 255, (64, 64, 3))
        cell = ((crop_HW2 + 40) // rng.uniform(5, 14)).astype(int) % 64
        cloth = blots[cell[..., 1], cell[..., 0]].astype(np.float64)
    return cloth * shading[..., None]


STRENGTHS: Final = (
    *(Strength(kind="blur", name=f"sigma {s} eye distances", spoil=blurred(s))
      for s in (0.07, 0.1, 0.15)),
    *(Strength(kind="dark", name=f"{s:.1%} of the light", spoil=dark(s))
      for s in (0.03, 0.015, 0.007)),
    Strength(kind="tiny", name="small photo", spoil=tiny(framed=False)),
    Strength(kind="tiny", name="far away", spoil=tiny(framed=True)),
    Strength(kind="turned", name="yaw of 50 to 70 degrees", spoil=turned),
    *(Strength(kind="covered", name=part, spoil=covered(part)) for part in PARTS),
)  # fmt: skip
