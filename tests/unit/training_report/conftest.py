"""A bundle of grey blocks, and packs of textures to evaluate it on."""

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import training.evaluation.calibration as calibration_module
import training.evaluation.report as report_module
from contract.bundle import Bundle, load_bundle, sha256_of, write_manifest
from contract.manifest import EmbeddingSpec, InputSpec, Manifest, ModelFile, TrainingData
from contract.torchscript import torchscript_deprecation_silenced
from training.data.pack import PAIRS_NAME, Pack, PackIndex, write_pack
from training.evaluation.calibration import open_set
from training.evaluation.report import evaluate_bundle, write_report
from training.evaluation.results import Report

SIDE = 28
HOSTILE = '<script>alert("x")</script>&$x^2_1$'


class Blocks(torch.nn.Module):
    """4 x 4 blocks of grey, mean removed, of length 1."""

    def forward(self, images_BHW3: torch.Tensor) -> torch.Tensor:
        grey = images_BHW3.permute(0, 3, 1, 2).float().mean(dim=1, keepdim=True)
        flat = torch.nn.functional.adaptive_avg_pool2d(grey, (4, 4)).flatten(1)
        return torch.nn.functional.normalize(flat - flat.mean(dim=1, keepdim=True), dim=1)


@pytest.fixture(scope="module")
def model_bytes() -> bytes:
    buffer = io.BytesIO()
    with torchscript_deprecation_silenced():
        torch.jit.save(torch.jit.script(Blocks()), buffer)
    return buffer.getvalue()


@pytest.fixture
def bundle(tmp_path: Path, model_bytes: bytes) -> Bundle:
    """A bundle of format version 1 for 28 x 28 pixels without alignment."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "model.ts").write_bytes(model_bytes)
    manifest = Manifest(
        format_version=1, name="tiny", version="1.2.3", description="grey <blocks>",
        license="none",
        model=ModelFile(file="model.ts", format="torchscript", weights_dtype="float32"),
        files={"model.ts": sha256_of(model_bytes)},
        embedding=EmbeddingSpec(size=16, space="l2", scale=1.0, d_max=2.0),
        input=InputSpec(width=SIDE, height=SIDE, color_order="RGB", alignment="none"),
        training_data=[TrainingData(name="nothing", terms="none", identities=1, images=1)],
        metrics=[], default_threshold=None, calibration=None,
    )  # fmt: skip
    write_manifest(folder, manifest)
    return load_bundle(folder)


def textures(labels: list[int], *, noise: float = 25.0) -> Any:
    """uint8 (N, 28, 28, 3): coarse random squares for each label, and noise for each image."""
    out = np.empty((len(labels), SIDE, SIDE, 3), np.uint8)
    for i, label in enumerate(labels):
        coarse = np.random.default_rng(label).integers(40, 216, (4, 4, 1))
        pixels = np.kron(coarse, np.ones((7, 7, 3)))
        mottled = np.kron(np.random.default_rng(10_000 + i).normal(0, noise, (4, 4, 1)),
                          np.ones((7, 7, 3)))  # fmt: skip
        out[i] = np.clip(pixels + mottled, 0, 255)
    return out


Rows = list[tuple[str, str]]


def make_pack(root: Path, rows: Rows, name: Callable[[str, int], str] | None = None) -> Pack:
    """An image for each (identity, split), called <identity>/<number> or as `name` has it."""
    names = sorted({identity for identity, _ in rows})
    labels = [names.index(identity) for identity, _ in rows]
    index = PackIndex(
        source=root.name,
        alignment="none",
        identities=tuple(names),
        paths=tuple(
            name(identity, i) if name else f"{identity}/{i}" for i, (identity, _) in enumerate(rows)
        ),
        labels=tuple(labels),
        splits=tuple(split for _, split in rows),
        unused=(),
    )
    write_pack(root, index, textures(labels))
    return report_pack(root)


def report_pack(root: Path) -> Pack:
    from training.data.pack import open_pack

    return open_pack(root)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pack, Callable[[str, str], bool]], None]:
    """trained(pack, chosen): the run learned from the images of chosen (identity, split)."""

    def set_to(pack: Pack, chosen: Callable[[str, str], bool]) -> None:
        index = pack.index
        paths = frozenset(
            path
            for path, label, split in zip(index.paths, index.labels, index.splits, strict=True)
            if chosen(index.identities[label], split)
        )
        monkeypatch.setattr(
            report_module, "load_run", lambda run: SimpleNamespace(trained_paths=paths)
        )

    return set_to


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few draws and replicates; the defaults are of the figures, not of the code."""
    monkeypatch.setattr(calibration_module, "DRAWS", 2)
    monkeypatch.setattr(calibration_module, "ENROLMENTS", 20)
    monkeypatch.setattr(
        report_module, "open_set", lambda *a, **options: open_set(*a, replicates=40, **options)
    )


Trained = Callable[[Pack, Callable[[str, str], bool]], None]


def crowd(root: Path) -> Pack:
    """Four trained on, 14 unseen of three images and 320 strangers of one; one name is hostile."""
    rows: Rows = [(f"known{i}", "train") for i in range(4) for _ in range(3)]
    rows += [(HOSTILE if i == 0 else f"unseen{i}", "train") for i in range(14) for _ in range(3)]
    return make_pack(root / "crowd", rows + [(f"stranger{i}", "train") for i in range(320)])


def lfw(root: Path) -> Pack:
    people = ["known0", "B", "C", "D"]
    rows = [(person, "test") for person in people for _ in range(2)]
    pack = make_pack(root / "lfw", rows, lambda name, i: f"lfw/{name}/{name}_{i % 2 + 1:04}.jpg")
    (pack.root / PAIRS_NAME).write_text(
        "2\t2\nknown0\t1\t2\nB\t1\t2\nknown0\t1\tB\t1\nknown0\t2\tC\t1\n"
        "C\t1\t2\nD\t1\t2\nC\t2\tD\t2\nB\t2\tD\t1\n"
    )
    return pack


def known(identity: str, split: str) -> bool:
    return identity.startswith("known")


@pytest.fixture
def whole(bundle: Bundle, trained: Trained, tmp_path: Path) -> tuple[Report, Bundle]:
    """Everything that a pack split by identity and LFW give."""
    pack = crowd(tmp_path)
    trained(pack, known)
    report = evaluate_bundle(bundle, tmp_path / "run", pack, lfw(tmp_path))
    return report, write_report(bundle, report, "some <command>")
