"""Photos of four kinds, composed of those of Labeled Faces in the Wild, as JPEG files.

One face in each but the group's, whose ten are people of different names.
"""

import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.lfw_people import LfwPeople

SINGLES: Final[Mapping[str, tuple[int, int, int]]] = {
    # width, height, and side of the portrait in it
    "250 x 250": (250, 250, 250),
    "640 x 480": (640, 480, 480),
    "12 megapixels": (4_000, 3_000, 2_500),
}
GROUP: Final = "10 faces"
GROUP_SIZE: Final = (1_250, 500)
QUALITY: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Album:
    """enrolled: person -> file. probes: kind -> the files to identify, other photos of them."""

    enrolled: dict[str, Path]
    probes: dict[str, list[Path]]


def make_album(lfw: LfwPeople, folder: Path, *, people: int, each: int) -> Album:
    """`people` enrolled, and `each` photos of each kind. Raises DataMissingError."""
    cast = lfw.cast(enrolled=people, strangers=0, seed=0, without=frozenset())
    enrolled = {}
    for name, (photo, _) in cast.enrolled.items():
        enrolled[name] = folder / f"{name}.jpg"
        enrolled[name].write_bytes(lfw.read(photo))
    faces = {name: _opened(lfw.read(photo)) for name, photo in cast.probes.items()}
    names = sorted(faces)
    probes: dict[str, list[Path]] = {}
    for kind, (width, height, side) in SINGLES.items():
        probes[kind] = [
            _written(_portrait(faces[names[i % people]], width, height, side), folder, kind, i)
            for i in range(each)
        ]
    choose = random.Random(0)
    probes[GROUP] = [
        _written(_group([faces[n] for n in choose.sample(names, 10)]), folder, GROUP, i)
        for i in range(each)
    ]
    return Album(enrolled=enrolled, probes=probes)


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _portrait(face: Image.Image, width: int, height: int, side: int) -> Image.Image:
    """The portrait in the middle of a wider one of itself, out of focus, with a sensor's noise."""
    if (width, height) == face.size:
        return face
    longest = max(width, height)
    around = face.filter(ImageFilter.GaussianBlur(12)).resize((longest, longest))
    picture = around.crop((0, (longest - height) // 2, width, (longest - height) // 2 + height))
    portrait = face.resize((side, side), Image.Resampling.BICUBIC)
    picture.paste(portrait, ((width - side) // 2, (height - side) // 2))
    noise = np.random.default_rng(0).integers(-6, 7, (height, width, 1), dtype=np.int16)
    noisy = np.asarray(picture, dtype=np.int16) + noise
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _group(faces: Sequence[Image.Image]) -> Image.Image:
    picture = Image.new("RGB", GROUP_SIZE)
    for place, face in enumerate(faces):
        picture.paste(face, (place % 5 * 250, place // 5 * 250))
    return picture


def _written(picture: Image.Image, folder: Path, kind: str, number: int) -> Path:
    path = folder / f"{kind.replace(' ', '-')}-{number}.jpg"
    picture.save(path, quality=QUALITY)
    return path
