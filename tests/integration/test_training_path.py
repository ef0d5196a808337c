"""From files to a bundle by the commands that docs/training.md names: digits and faces."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from contract.bundle import load_bundle
from contract.torchscript import load_torchscript
from training.cli import main

CARD = ["--version", "1.0.0", "--description", "patterns", "--license", "none", "--terms", "none"]
CARD += ["--limit", "anything else"]


def trained(*words: str | Path) -> None:
    assert main([str(word) for word in words]) == 0


def stripes(label: int, count: int, side: int, seed: int) -> npt.NDArray[np.uint8]:
    """Stripes of a direction for each label, shifted and noisy; (count, side, side)."""
    rng = np.random.default_rng([label, seed])
    y, x = np.mgrid[0:side, 0:side] * (28 / side)
    angle = label * np.pi / 10
    phase = rng.uniform(0, 1.0, (count, 1, 1))
    wave = np.sin(0.8 * (x * np.cos(angle) + y * np.sin(angle)) + phase) * 100 + 128
    return np.clip(wave + rng.normal(0, 10, (count, side, side)), 0, 255).astype(np.uint8)


def write_idx(folder: Path, split: str, each: int, seed: int) -> None:
    images = np.concatenate([stripes(label, each, 28, seed) for label in range(10)])
    labels = np.repeat(np.arange(10, dtype=np.uint8), each)
    head = struct.pack(">IIII", 2051, len(images), 28, 28)
    (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
    head = struct.pack(">II", 2049, len(labels))
    (folder / f"{split}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + labels.tobytes()))


def test_digits_from_idx_files_to_an_evaluated_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, pack, run, bundle = (tmp_path / name for name in ("mnist", "pack", "run", "bundle"))
    source.mkdir()
    write_idx(source, "train", 40, seed=0)
    write_idx(source, "t10k", 10, seed=1)
    trained("prepare", source, "--out", pack)
    trained(
        "train", pack, "--run", run, "--recipe", "mnist", "--epochs", 3, "--threads", 1,
        "--set", "model.width=8", "--set", "batch.images_each=4", "--set", "optimizer.ema_decay=0",
        "--set", "augment.scale=0", "--set", "augment.turn_degrees=0",
    )  # fmt: skip
    trained("export", run, "--pack", pack, "--out", bundle, "--name", "stripes", *CARD)
    trained("evaluate", bundle, "--run", run, "--pack", pack, "--report", tmp_path / "report.html")
    capsys.readouterr()
    trained("inspect", bundle)
    card = capsys.readouterr().out
    manifest = load_bundle(bundle).manifest
    metrics = {metric.name: metric for metric in manifest.metrics}
    assert metrics["held_out_accuracy"].value > 0.8
    assert "held-out" in metrics["held_out_accuracy"].protocol
    assert metrics["paper_accuracy"].value > 0.8
    assert (manifest.input.alignment, manifest.input.fit) == ("none", "pad")
    assert manifest.training_data[0].images < 400
    assert "held_out_accuracy" in card
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")
    model = load_torchscript(load_bundle(bundle))
    import torch

    zeros = torch.zeros(2, 28, 28, 3, dtype=torch.uint8)
    assert model(zeros).shape == (2, manifest.embedding.size)


def test_faces_from_a_folder_to_a_bundle_with_a_calibration(tmp_path: Path) -> None:
    source, pack, run, bundle = (tmp_path / name for name in ("faces", "pack", "run", "bundle"))
    rng = np.random.default_rng(0)
    for person in range(40):
        (source / f"person {person}").mkdir(parents=True)
        face = rng.integers(0, 256, (7, 7, 3)).astype(np.uint8)
        for photo in range(3 if person % 4 else 1):
            smooth = Image.fromarray(face).resize((112, 112), Image.Resampling.BICUBIC)
            noisy = np.asarray(smooth, np.float64) + rng.normal(0, 6, (112, 112, 3))
            whole = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
            whole.save(source / f"person {person}" / f"{photo}.png")
    trained("prepare", source, "--out", pack, "--aligned")
    trained(
        "train", pack, "--run", run, "--epochs", 2, "--threads", 1, "--set", "model.width=8",
        "--set", "model.stem_stride=4", "--set", "batch.identities=8",
        "--set", "split.holdout_share=0.4",
    )  # fmt: skip
    trained("export", run, "--pack", pack, "--out", bundle, "--name", "faces", "--weights",
        "float32", *CARD,
    )  # fmt: skip
    trained("evaluate", bundle, "--run", run, "--pack", pack, "--report", tmp_path / "report.html")
    manifest = load_bundle(bundle).manifest
    assert manifest.input.alignment == "five_point_112"
    assert manifest.training_data[0].identities == 18
    assert any(metric.name.startswith("zero_shot") for metric in manifest.metrics)
    assert json.loads((bundle / "manifest.json").read_text())["format_version"] == 3
