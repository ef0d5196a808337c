"""A tiny run, trained and exported once for all tests of the export."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

import training.export.parity as parity
from benchmarks.training_pack import wave_pack
from contract.bundle import Bundle, load_bundle
from training.cli import main
from training.config import OptimizerConfig, TrainConfig
from training.data.pack import Pack, open_pack
from training.data.sampler import BatchConfig
from training.export.card import Card
from training.models.config import ModelConfig
from training.models.embedding_net import EmbeddingNet
from training.recipes import RECIPES
from training.run import load_run

Pixels = npt.NDArray[np.uint8]
SIDE = 48
CARD = Card(
    name="tiny-waves", version="1.2.3", description="Patterns.", license="MIT",
    terms="made up", remark="no person", limits=("people", "anything but waves"),
)  # fmt: skip


def tiny(*, epochs: int = 1) -> TrainConfig:
    return TrainConfig(
        name="tiny",
        epochs=epochs,
        precision="float32",
        model=ModelConfig(embedding_size=16, width=8, stem_stride=4, side_px=SIDE, scale=1.5),
        batch=BatchConfig(identities=4, images_each=2),
        optimizer=OptimizerConfig(learning_rate=1e-2),
    )


def allow_tiny_runs(patch: pytest.MonkeyPatch) -> None:
    """The recipe above by its name; float16 moves a network of a few steps more than a real one."""
    patch.setitem(RECIPES, "tiny", tiny)
    patch.setattr(parity, "PARITY_TOLERANCE", 0.05)


@pytest.fixture(autouse=True)
def _tiny_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    allow_tiny_runs(monkeypatch)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train_arguments(root: Path) -> list[str]:
    words = ["train", str(root / "pack"), "--run", str(root / "run"), "--recipe", "tiny"]
    return [*words, "--no-tensorboard"]


def export_arguments(root: Path, out: Path, **changes: str) -> list[str]:
    options = {
        "name": CARD.name, "version": CARD.version, "description": CARD.description,
        "license": CARD.license, "terms": CARD.terms, "remark": CARD.remark, **changes,
    }  # fmt: skip
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    words += [word for limit in CARD.limits for word in ("--limit", limit)]
    pack = [] if "pack" in changes else ["--pack", str(root / "pack")]
    return ["export", str(root / "run"), *pack, "--out", str(out), *words]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack, a run and a bundle, the last two made by the command line."""
    root = tmp_path_factory.mktemp("made")
    wave_pack(root / "pack", identities=12, images_each=6, side_px=SIDE)
    with pytest.MonkeyPatch.context() as patch:
        allow_tiny_runs(patch)
        assert main([*train_arguments(root), "--epochs", "2"]) == 0
        shutil.copytree(root / "run", root / "before")
        assert main(export_arguments(root, root / "bundle")) == 0
    return root


@pytest.fixture
def pack(root: Path) -> Pack:
    return open_pack(root / "pack")


@pytest.fixture
def bundle(root: Path) -> Bundle:
    return load_bundle(root / "bundle")


def trained_net(root: Path) -> EmbeddingNet:
    return load_run(root / "run").net


@torch.inference_mode()
def embedded(model: nn.Module, pixels: Pixels) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = model(torch.from_numpy(np.array(pixels))).numpy()
    return found
