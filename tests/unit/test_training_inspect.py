"""The model card: everything that a manifest states, for people and for programs."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.training_pack import wave_pack
from contract.bundle import load_bundle, write_manifest
from contract.calibration.records import Calibration
from contract.manifest import DefaultThreshold, Metric, Origin, StartingPoint
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
    limits=("People | crowds", "Anything that is\nno wave"),
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
    write_manifest(bundle.root, bundle.manifest.replaced(**figures))
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
        "not fit for People | crowds",
        "not fit for Anything that is no wave",
        "input 32x32 pixels RGB, alignment none, whole images by pad",
        "loss L_exp (overlap 0) + L_class",
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


def section(page: str, title: str) -> list[str]:
    """The lines between a heading and the next one."""
    (found,) = [part for part in page.split("\n## ") if part.startswith(f"{title}\n")]
    return found.strip().splitlines()[2:]


def cells(line: str) -> list[str]:
    """Of a row of a table, as a reader of Markdown finds them."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    found = re.split(r"(?<!\\)\|", line)[1:-1]
    return [cell.strip().replace(r"\|", "|") for cell in found]


def test_markdown_says_what_the_bundle_is(plain: Path, shown: Shown) -> None:
    page = shown(plain, "--markdown")
    assert page.splitlines()[:3] == ["# waves 1.2.3", "", "Waves of many colours, told apart."]
    assert "**Licence of the weights:** MIT-0 for the weights\n" in page
    assert section(page, "Not fit for") == ["- People | crowds", "- Anything that is no wave"]
    facts = dict(cells(line) for line in section(page, "Network"))
    assert facts["sha256"] == f"`{load_bundle(plain).sha256}`"
    assert facts["input"] == "32x32 pixels RGB, alignment `none`, whole images by `pad`"
    assert facts["contract id"] == f"`{load_bundle(plain).manifest.contract.id}`"
    assert section(page, "Origin") == [
        "- Loss: L_exp (overlap 0) + L_class", "- Starting weights, teacher: none",
    ]  # fmt: skip
    assert section(page, "Training data") == [
        "- **waves**: 8 images of 2 identities. Terms: made of numbers. no person in them"
    ]
    assert section(page, "Figures")[0].startswith("None: ")
    assert section(page, "Default threshold") == ["None: every request has to name one."]
    assert section(page, "Calibration") == ["None."]
    assert str(plain) not in page


def test_markdown_says_what_others_had_trained(plain: Path, tmp_path: Path, shown: Shown) -> None:
    bundle = load_bundle(shutil.copytree(plain, tmp_path / "bundle"))
    points = [
        StartingPoint(role="starting_weights", name="w", license="MIT", remark="of 1 picture"),
        StartingPoint(role="teacher", name="t 1.0.0", license="CC0"),
    ]
    origin = Origin(loss="L_distill", starting_points=points)
    write_manifest(bundle.root, bundle.manifest.replaced(origin=origin))
    assert section(shown(bundle.root, "--markdown"), "Origin") == [
        "- Loss: L_distill",
        "- Starting weights: w (of 1 picture). Licence: MIT",
        "- Teacher: t 1.0.0. Licence: CC0",
    ]
    text = words_of(shown(bundle.root))
    assert "loss L_distill starting weights w; licence: MIT remark of 1 picture teacher t" in text


def test_markdown_has_the_figures_and_the_calibration_as_tables(
    measured: Path, shown: Shown
) -> None:
    bundle = load_bundle(measured)
    other = METRIC.model_copy(update={"name": "a|b", "command": "another"})
    metrics = [METRIC, other, METRIC.model_copy(update={"name": "c"})]
    write_manifest(measured, bundle.manifest.replaced(metrics=metrics))
    page = shown(measured, "--markdown")
    figures = section(page, "Figures")
    told = ["0.987654", METRIC.data, METRIC.protocol]
    assert [cells(line) for line in figures[:5]] == [
        ["figure", "value", "data", "protocol", "command"],
        ["---"] * 5,
        ["`held_out_accuracy`", *told, "1"],
        ["`a|b`", *told, "2"],
        ["`c`", *told, "1"],
    ]
    assert figures[5:] == [
        "", "Commands:", "", "1. `oneglance-train evaluate b --run r`", "2. `another`",
    ]  # fmt: skip
    assert section(page, "Default threshold") == [
        "Similarity >= 0.7346: FPIR 1.00% of 5,678 searches in a gallery of 1,234 subjects "
        "(waves held out)."
    ]
    calibration = section(page, "Calibration")
    assert "strangers of waves" in calibration[0]
    head, _, *rows = [cells(line) for line in calibration[2:6]]
    assert head[:4] == ["N", "target FPIR", "threshold", "FPIR seen (upper 95 %)"]
    seen = ["0.003", "0.8125", "0.0029 (0.0045)", "0.125 (0.100 to 0.150)", "21,605"]
    assert rows == [["100", *seen], ["1,000", *seen]]
    assert calibration[6:] == [
        "", "Not supported by the data:", "",
        "- N = 100, FPIR 0.001: too few strangers", "- N = 1,000, FPIR 0.001: too few strangers",
    ]  # fmt: skip


def test_a_point_of_too_few_mated_subjects_has_no_rate(measured: Path, shown: Shown) -> None:
    values = json.loads((measured / "manifest.json").read_text())
    for gallery in values["calibration"]["galleries"]:
        gallery["points"][0]["fnir"], gallery["unsupported"] = None, []
    (measured / "manifest.json").write_text(json.dumps(values))
    calibration = section(shown(measured, "--markdown"), "Calibration")
    assert [cells(line)[4] for line in calibration[4:]] == ["too few mated subjects"] * 2


def test_a_changed_file_is_not_shown_at_all(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = measured / "model.ts"
    model.write_bytes(model.read_bytes() + b"\0")
    assert main(["inspect", str(measured)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "model.ts has sha256" in err


def test_an_older_manifest_says_that_it_does_not_say(measured: Path, shown: Shown) -> None:
    values = json.loads((measured / "manifest.json").read_text())
    del values["origin"], values["limits"], values["input"]["fit"]
    values["format_version"] = 2
    (measured / "manifest.json").write_text(json.dumps(values))
    page = shown(measured, "--markdown")
    said = ["Not stated: manifests of format version 2 do not say it."]
    assert section(page, "Not fit for") == section(page, "Origin") == said
    assert dict(cells(line) for line in section(page, "Network"))["input"].endswith("`none`")
    assert "loss" not in shown(measured)


def test_the_shipped_bundle_can_be_inspected(shown: Shown) -> None:
    text = words_of(shown(Path(__file__).parents[2] / "service" / "bundles" / "oneglance-faces"))
    assert "oneglance-faces" in text
    assert "9,642,752 parameters" in text
    assert "Apache-2.0" in text
    assert "metric lfw_accuracy =" in text
