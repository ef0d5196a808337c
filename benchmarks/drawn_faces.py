"""Drawn faces: nobody's, and told apart by the tiny bundle.

A person is a seed. What tells people apart are hair, skin, and large shapes of light behind them,
which is what blocks of grey can see.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Pixels = npt.NDArray[np.uint8]

SIDE_PX = 224
GAP_PX = 24
# Darker than the BlockDetector takes for a face.
GROUND = (24, 30, 38)
SHIRTS = ((70, 96, 140), (150, 70, 80), (84, 128, 96), (200, 190, 170), (80, 76, 96))
SKINS = ((246, 214, 184), (226, 178, 138), (188, 134, 94), (134, 88, 60), (108, 74, 56))
HAIRS = ((58, 44, 40), (140, 88, 44), (212, 172, 96), (96, 96, 104), (168, 66, 46))


def drawn_face(person: int, *, photo: int = 0, side: int = SIDE_PX) -> Pixels:
    """uint8 (side, side, 3). Photos of one person differ a little in light and place."""
    who = np.random.default_rng(person)
    how = np.random.default_rng((person, photo))
    tint = who.uniform(0.7, 1.0, 3)
    field = (who.integers(80, 250, (4, 4, 1)) * tint).astype(np.uint8)
    image = Image.fromarray(field).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    dx, dy = (int(v) for v in how.integers(-4, 5, 2)) if photo else (0, 0)
    skin, hair = SKINS[who.integers(len(SKINS))], HAIRS[who.integers(len(HAIRS))]
    x, y, wide, high = 112 + dx, 122 + dy, int(who.integers(50, 64)), int(who.integers(66, 78))
    draw.rounded_rectangle(
        (x - 84, y + 62, x + 84, 260), 40, fill=SHIRTS[who.integers(len(SHIRTS))]
    )
    if who.random() < 0.5:
        draw.ellipse((x - wide - 14, y - high - 12, x + wide + 14, y + high + 8), fill=hair)
    draw.rectangle((x - 18, y + 40, x + 18, y + 84), fill=skin)
    draw.ellipse((x - wide, y - high, x + wide, y + high), fill=skin)
    draw.chord((x - wide - 4, y - high - 8, x + wide + 4, y + high // 2), 190, 350, fill=hair)
    for eye in (x - 22, x + 22):
        draw.ellipse((eye - 10, y - 16, eye + 10, y - 4), fill="white")
        draw.ellipse((eye - 5, y - 16, eye + 5, y - 5), fill=(50, 60, 70))
        draw.line((eye - 12, y - 24, eye + 12, y - 26), fill=hair, width=4)
    draw.line((x, y - 4, x - 5, y + 16, x + 4, y + 16), fill=(90, 60, 50), width=3)
    smile = int(who.integers(4, 16))
    draw.chord((x - 22, y + 28 - smile, x + 22, y + 32 + smile), 0, 180, fill=(160, 56, 56))
    pixels = np.asarray(image.resize((side, side), Image.Resampling.LANCZOS), np.float64)
    light = 1 + 0.06 * how.standard_normal() if photo else 1.0
    # Brighter than the ground everywhere, or it would be cut in two.
    return np.clip(pixels * light, 56, 255).astype(np.uint8)


def drawn_photo(*people: int | tuple[int, int], sides: Sequence[int] = ()) -> Pixels:
    """A photo of people side by side, each a seed or (seed, photo)."""
    all_sides = list(sides) or [SIDE_PX] * len(people)
    height = max(all_sides, default=SIDE_PX) + 2 * GAP_PX
    width = sum(all_sides) + GAP_PX * (len(people) + 1)
    ground = np.broadcast_to(np.array(GROUND, np.uint8), (height, max(width, 2 * GAP_PX), 3)).copy()
    left = GAP_PX
    for person, side in zip(people, all_sides, strict=True):
        seed, photo = person if isinstance(person, tuple) else (person, 0)
        top = height - GAP_PX - side
        ground[top : top + side, left : left + side] = drawn_face(seed, photo=photo, side=side)
        left += side + GAP_PX
    return ground
