"""Sources to prepare, and a detector that needs no network."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from contract.alignment import TEMPLATE
from contract.detection.base import DetectedFace
from tests.source_files import folder_of
from training.data.pack import PackIndex
from training.data.prepare import PrepareConfig, prepare

Pixels = npt.NDArray[np.uint8]
ALIGNED = PrepareConfig(aligned=True)


def crop(seed: int, side: int = 112) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


both = pytest.mark.parametrize("make", [zip_of, folder_of])
# Not in sorted order, and with names beyond ASCII.
FILES = {
    "set/Zoë Šķēle/2.png": png(crop(3)),
    "set/Ada/1.PNG": png(crop(1)),
    "set/Ada/0.png": png(crop(0)),
    "set/林/a.png": png(crop(2)),
    "set/readme.txt": b"no picture",
}
PATHS = ("set/Ada/0.png", "set/Ada/1.PNG", "set/Zoë Šķēle/2.png", "set/林/a.png")


def aligned(source: Path, out: Path, **options: Any) -> PackIndex:
    return prepare(source, out, ALIGNED, **options).index


def face(left: float, top: float, side: float, landmarks: npt.NDArray[np.float64]) -> DetectedFace:
    return DetectedFace((left, top, left + side, top + side), landmarks.astype(np.float32), 0.9)


class FakeDetector:
    """Says that a large face is at the left and a small one, with a crop, in the middle."""

    name = "fake"
    made = 0
    asked = 0
    stops_at = -1

    def __init__(self) -> None:
        FakeDetector.made += 1

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        FakeDetector.asked += 1
        if FakeDetector.asked == FakeDetector.stops_at:
            raise KeyboardInterrupt
        if image_HW3.shape[1] < 200:
            return []
        large = face(0, 0, 180, TEMPLATE)
        central = face(150, 50, 60, TEMPLATE + np.array([144, 44]))
        return [large, central]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeDetector]:
    for name, value in (("made", 0), ("asked", 0), ("stops_at", -1)):
        monkeypatch.setattr(FakeDetector, name, value)
    return FakeDetector


def photo(seed: int) -> bytes:
    pixels = np.zeros((200, 400, 3), dtype=np.uint8)
    pixels[44:156, 144:256] = crop(seed)
    return png(pixels)
