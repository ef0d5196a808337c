"""The model card: everything that a manifest states, for people and for programs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.training_pack import wave_pack
from contract.bundle import load_bundle, write_manifest
from contract.manifest import Calibration, DefaultThreshold, Manifest, Metric
from training.checkpoint import MODEL_NAME, save_checkpoint
from training.cli import main
from training.config import TrainConfig
from training.export.card import Card
from training.export.trained import export_bundle
from training.models.config import ModelConfig
from training.models.embedding_net import EmbeddingNet

MODEL = ModelConfig(width=4, side_px=32, embedding_size=8, space="unit_range", scale=1.25)
CARD = Card(
    name="waves", version="1.2.3", description="Waves of many colours, told apart.",
    license="MIT-0 for the weights", terms="made of numbers", remark="no person in them",
)  # fmt: skip
METRIC = Metric(
    name="held_out_accuracy", value=0.9876543, data="test split of waves",
    protocol="held-out: nearest class centre", command="oneglance-train evaluate b --run r",
)  # fmt: skip
THRESHOLD = DefaultThreshold(
    similarity=0.73456, fpir=0.01, gallery_subjects=1234, searches=5678, data="waves held out"
)
CALIBRATION: dict[str, Any] = {
    "data": "strangers of waves",
    "images_enrolled": 1,
    "template_fusion": "best",
    "replicates": 2000,
    "galleries": [
        {
            "subjects": subjects, "draws": 5, "mated_subjects": 50, "mated_searches": 250,
            "nonmated_subjects": 4321, "nonmated_searches": 21605,
            "points": [{
                "target_fpir": 0.003, "threshold": 0.8125, "fpir": 0.0029, "fpir_upper95": 0.0045,
                "fnir": {"value": 0.125, "low95": 0.1, "high95": 0.15},
            }],
            "unsupported": [{"target_fpir": 0.001, "reason": "too few strangers"}],
            "tail": [{"share": 0.1, "similarity": 0.6}, {"share": 0.01, "similarity": 0.79}],
        }
        for subjects in (100, 1000)
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle as export leaves it: without figures."""
    root = tmp_path_factory.mktemp("made")
    pack = wave_pack(root / "pack", identities=3, images_each=4, side_px=32)
    torch.manual_seed(0)
    state = {"net": EmbeddingNet(MODEL).state_dict(), "trained_paths": list(pack.index.paths[:8])}
    save_checkpoint(root / "run", state, TrainConfig(name="w", epochs=1, model=MODEL), MODEL_NAME)
    export_bundle(root / "run", pack, root / "bundle", CARD, weights="float32")
    return root / "bundle"


@pytest.fixture
def measured(plain: Path, tmp_path: Path) -> Path:
    """The same with all figures that a manifest can state."""
    bundle = load_bundle(shutil.copytree(plain, tmp_path / "bundle"))
    figures = {
        "metrics": [METRIC],
        "default_threshold": THRESHOLD,
        "calibration": Calibration.model_validate_json(json.dumps(CALIBRATION)),
    }
    write_manifest(bundle.root, Manifest.model_validate(dict(bundle.manifest) | figures))
    return bundle.root


Shown = Callable[..., str]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    def run(bundle: Path, *options: str) -> str:
        capsys.readouterr()
        assert main(["inspect", str(bundle), *options]) == 0
        return capsys.readouterr().out

    return run


def words_of(text: str) -> str:
    """Without the line breaks of the table."""
    return " ".join(text.split())


def test_the_card_says_what_the_bundle_is(plain: Path, shown: Shown) -> None:
    text = shown(plain)
    assert text.splitlines()[0] == "waves 1.2.3"
    assert text.splitlines()[1] == "Waves of many colours, told apart."
    parameters = sum(p.numel() for p in EmbeddingNet(MODEL).parameters())
    megabytes = (plain / "model.ts").stat().st_size / 1e6
    bundle = load_bundle(plain)
    for words in (
        "licence MIT-0 for the weights",
        "model model.ts: torchscript, weights stored as float32, "
        f"{megabytes:.2f} MB, {parameters:,} parameters",
        "embedding 8 numbers, space unit_range, scale 1.25, d_max 2.5",
        "input 32x32 pixels RGB, alignment none",
        f"contract id {bundle.manifest.contract.id}",
        f"sha256 model.ts {bundle.sha256} (verified)",
        "training data waves: 8 images of 2 identities",
        "terms made of numbers",
        "remark no person in them",
        "metrics none: `oneglance-train evaluate` measures and writes them",
        "default threshold none",
        "calibration none",
    ):
        assert words in words_of(text), words


def test_the_card_says_what_was_measured_and_on_what(measured: Path, shown: Shown) -> None:
    text = shown(measured)
    for words in (
        "metric held_out_accuracy = 0.987654 data test split of waves protocol held-out: nearest "
        "class centre command oneglance-train evaluate b --run r",
        "default threshold similarity >= 0.7346",
        "FPIR 1.00% of 5,678 searches, gallery of 1,234 subjects data waves held out",
    ):
        assert words in words_of(text), words


def test_the_calibration_is_told_whole(measured: Path, shown: Shown) -> None:
    """Every field and every number, whatever the manifest has there."""
    lines = shown(measured).split("\ncalibration\n")[1].splitlines()
    assert lines[:5] == [
        "  data: strangers of waves",
        "  images enrolled: 1",
        "  template fusion: best",
        "  replicates: 2,000",
        "  galleries",
    ]
    first = lines[5 : 5 + (len(lines) - 5) // 2]
    assert first == [
        "    1.",
        "      subjects: 100",
        "      draws: 5",
        "      mated subjects: 50",
        "      mated searches: 250",
        "      nonmated subjects: 4,321",
        "      nonmated searches: 21,605",
        "      points",
        "        target fpir 0.003, threshold 0.8125, fpir 0.0029, fpir upper95 0.0045, "
        "fnir (value 0.125, low95 0.1, high95 0.15)",
        "      unsupported",
        "        target fpir 0.001, reason too few strangers",
        "      tail",
        "        share 0.1, similarity 0.6",
        "        share 0.01, similarity 0.79",
    ]
    assert lines[5 + len(first) : 7 + len(first)] == ["    2.", "      subjects: 1,000"]


def test_no_line_is_longer_than_a_terminal(measured: Path, shown: Shown) -> None:
    table = shown(measured).split("\ncalibration\n")[0]
    assert all(len(line) <= 110 for line in table.splitlines())


def test_json_is_the_manifest_and_what_follows_from_the_files(measured: Path, shown: Shown) -> None:
    card = json.loads(shown(measured, "--json"))
    manifest = json.loads((measured / "manifest.json").read_text())
    bundle = load_bundle(measured)
    extra = {name: card.pop(name) for name in set(card) - set(manifest)}
    assert card == manifest
    assert card["calibration"] == CALIBRATION
    assert extra == {
        "contract_id": bundle.manifest.contract.id,
        "parameters": sum(p.numel() for p in EmbeddingNet(MODEL).parameters()),
        "model_bytes": (measured / "model.ts").stat().st_size,
        "hashes_verified": True,
    }


def test_a_changed_file_is_not_shown_at_all(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = measured / "model.ts"
    model.write_bytes(model.read_bytes() + b"\0")
    assert main(["inspect", str(measured)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "model.ts has sha256" in err


def test_the_shipped_bundle_can_be_inspected(shown: Shown) -> None:
    """A manifest of format version 1 has a card, too."""
    text = words_of(shown(Path(__file__).parents[2] / "service" / "bundles" / "oneglance-faces"))
    assert "oneglance-faces" in text
    assert "3,320,096 parameters" in text
    assert "metric lfw_accuracy =" in text
