"""Files of data sets as their authors lay them out, and the pack that becomes of them."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.data.pack import Pack, open_pack
from training.data.prepare import PrepareConfig, Prepared, prepare

Pixels = npt.NDArray[np.uint8]


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: Pixels, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def folder_of(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def packed(source: Path, **options: Any) -> tuple[Pack, Prepared]:
    out = source.parent / "pack"
    prepared = prepare(source, out, PrepareConfig(**options))
    return open_pack(out), prepared


def identity_of(pack: Pack) -> list[str]:
    return [pack.index.identities[label] for label in pack.index.labels]
