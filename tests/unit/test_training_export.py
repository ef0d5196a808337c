"""From a run to a bundle, its figures, and the command line that does it all."""

import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import nn

import training.export
from contract.bundle import load_bundle, sha256_of
from contract.errors import ManifestError
from contract.torchscript import load_torchscript
from training.checkpoint import CheckpointError, load_checkpoint
from training.cli import main
from training.config import ModelConfig, OptimizerConfig, TrainConfig, config_from_dict
from training.data.pack import Pack, open_pack
from training.data.sampler import BatchConfig
from training.evaluation.report import evaluate_bundle, write_report
from training.export import Card, ParityError, check_parity, export_bundle
from training.models.embedding_net import EmbeddingNet
from training.recipes import RECIPES
from training.trainer import build_model

Pixels = npt.NDArray[np.uint8]

CARD = Card(
    name="tiny-faces", version="1.2.3", description="Patterns.", license="MIT",
    terms="made up", remark="no person",
)  # fmt: skip


def tiny(*, epochs: int = 1) -> TrainConfig:
    return TrainConfig(
        name="tiny",
        epochs=epochs,
        bf16=False,
        model=ModelConfig(embedding_size=16, width=8, stem_stride=4, scale=1.5),
        batch=BatchConfig(identities=4, images_each=2),
        optimizer=OptimizerConfig(learning_rate=1e-2),
    )


def allow_tiny_runs(patch: pytest.MonkeyPatch) -> None:
    """The recipe above by its name; float16 moves a network of a few steps more than a real one."""
    patch.setitem(RECIPES, "tiny", tiny)
    patch.setattr(training.export, "PARITY_TOLERANCE", 0.05)


@pytest.fixture(autouse=True)
def _tiny_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    allow_tiny_runs(monkeypatch)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pattern(identity: int, image: int) -> Pixels:
    """One coloured wave an identity, with a phase an image."""
    rng = np.random.default_rng(identity)
    fx, fy = rng.uniform(-0.3, 0.3, 2)
    y, x = np.mgrid[0:112, 0:112]
    wave = np.sin(fx * x + fy * y + 0.3 * image)[:, :, None] * rng.uniform(40, 127, 3) + 128
    return np.clip(wave, 0, 255).astype(np.uint8)


def write_png(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


LFW_PEOPLE = ["Ada_Byron", "Pat_A", "Bo_Li", "Di_Ro"]  # Pat_A is in the training data, too
LFW_PAIRS = (
    "2\t2\nAda_Byron\t1\t2\nPat_A\t1\t2\nAda_Byron\t1\tBo_Li\t1\nAda_Byron\t2\tDi_Ro\t2\n"
    "Bo_Li\t1\t2\nDi_Ro\t1\t2\nBo_Li\t2\tDi_Ro\t1\nPat_A\t1\tBo_Li\t1\n"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack to train on, an LFW pack, a run and a bundle, all made by the command line.

    Besides 12 identities of 6 images there are 104 of one image: they are always held out, and
    enough for the 100 subjects of the default threshold.
    """
    root = tmp_path_factory.mktemp("made")
    for i in range(12):
        name = "Pat_A" if i == 0 else f"p{chr(ord('a') + i)}"
        for j in range(6):
            write_png(root / "faces" / name / f"{j}.png", pattern(i, j))
    for i in range(104):
        write_png(root / "faces" / f"single{i:03}" / "0.png", pattern(100 + i, 0))
    for i, name in enumerate(LFW_PEOPLE):
        for j in (1, 2):
            write_png(root / "lfw-src" / name / f"{name}_{j:04}.png", pattern(500 + i, j))
    (root / "lfw-src" / "pairs.txt").write_text(LFW_PAIRS)
    with pytest.MonkeyPatch.context() as patch:
        allow_tiny_runs(patch)
        assert main(["prepare", str(root / "faces"), "--out", str(root / "pack"), "--aligned"]) == 0
        lfw = ["prepare", str(root / "lfw-src"), "--out", str(root / "lfw"), "--aligned"]
        assert main(lfw) == 0
        train = ["train", str(root / "pack"), "--run", str(root / "run"), "--recipe", "tiny"]
        assert main([*train, "--epochs", "2"]) == 0
        shutil.copy(root / "run" / "checkpoint.pt", root / "before.pt")
        assert main(export_arguments(root, root / "bundle")) == 0
    return root


def export_arguments(root: Path, out: Path, **changes: str) -> list[str]:
    options = {
        "name": CARD.name, "version": CARD.version, "description": CARD.description,
        "license": CARD.license, "terms": CARD.terms, "remark": CARD.remark, **changes,
    }  # fmt: skip
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    return ["export", str(root / "run"), "--pack", str(root / "pack"), "--out", str(out), *words]


@pytest.fixture(scope="module")
def pack(root: Path) -> Pack:
    return open_pack(root / "pack")


# --- export ---


def test_the_manifest_says_what_was_trained(root: Path, pack: Pack) -> None:
    bundle = load_bundle(root / "bundle")
    manifest = bundle.manifest
    assert (manifest.name, manifest.version, manifest.license) == ("tiny-faces", "1.2.3", "MIT")
    assert manifest.model.weights_dtype == "float16"
    assert manifest.embedding.model_dump() == {
        "size": 16, "space": "l2", "scale": 1.5, "d_max": 3.0,
    }  # fmt: skip
    assert (manifest.input.width, manifest.input.alignment) == (112, "five_point_112")
    (data,) = manifest.training_data
    assert (data.name, data.terms, data.remark) == ("faces", "made up", "no person")
    assert (data.identities, data.images) == (11, 66)  # one of twelve is held out
    assert manifest.metrics == []
    assert manifest.default_threshold is None
    assert sha256_of((root / "bundle" / "model.ts").read_bytes()) == bundle.sha256


def test_weights_are_stored_as_float16_and_compute_as_float32(root: Path) -> None:
    bundle = load_bundle(root / "bundle")
    stored = torch.jit.load(io.BytesIO(bundle.read_model()))
    floats = [p for p in stored.state_dict().values() if p.is_floating_point()]
    assert {p.dtype for p in floats} == {torch.float16}
    loaded = load_torchscript(bundle)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def trained_net(root: Path) -> EmbeddingNet:
    state = load_checkpoint(root / "run")
    net = build_model(config_from_dict(state["config"]))
    net.load_state_dict(state["net"])
    return net.eval()


@torch.inference_mode()
def embedded(model: nn.Module, pixels: Pixels) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = model(torch.from_numpy(pixels)).numpy()
    return found


def test_the_exported_model_computes_what_the_trained_one_does(root: Path, pack: Pack) -> None:
    """The oracle is the eager network with its weights rounded to float16 and back."""
    pixels = np.array(pack.images[::11])
    exported = embedded(load_torchscript(load_bundle(root / "bundle")), pixels)
    assert exported.dtype == np.float32
    assert np.allclose(np.linalg.norm(exported, axis=1), 1.5, rtol=1e-5)
    rounded = embedded(trained_net(root).half().float(), pixels)
    assert np.abs(exported - rounded).max() < 1e-3
    apart = np.linalg.norm(exported[0] - exported[1:], axis=1)
    assert apart.max() > 0.3  # the crops are told apart, so that equality says something


def test_one_picture_alone_embeds_as_in_a_batch(root: Path, pack: Pack) -> None:
    model = load_torchscript(load_bundle(root / "bundle"))
    pixels = np.array(pack.images[:5])
    assert np.allclose(embedded(model, pixels[:1]), embedded(model, pixels)[:1], atol=1e-4)


def test_exporting_leaves_the_run_alone(root: Path) -> None:
    assert (root / "run" / "checkpoint.pt").read_bytes() == (root / "before.pt").read_bytes()


def test_a_model_that_computes_otherwise_is_refused(root: Path, pack: Pack) -> None:
    config = config_from_dict(load_checkpoint(root / "run")["config"])
    torch.manual_seed(1)
    with pytest.raises(ParityError, match="moves an embedding"):
        check_parity(build_model(config).eval(), load_bundle(root / "bundle"), pack)


def test_parity_is_the_share_of_d_max_that_the_worst_crop_moves(
    root: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, net, pixels = load_bundle(root / "bundle"), trained_net(root), np.array(pack.images)
    moved = embedded(net, pixels) - embedded(load_torchscript(bundle), pixels)
    worst = float(np.linalg.norm(moved, axis=1).max()) / 3.0
    assert worst > 1e-5
    monkeypatch.setattr(training.export, "PARITY_TOLERANCE", 1.1 * worst)
    assert check_parity(net, bundle, pack) == pytest.approx(worst, rel=0.05)
    monkeypatch.setattr(training.export, "PARITY_TOLERANCE", 0.9 * worst)
    with pytest.raises(ParityError, match="--weights float32"):
        check_parity(net, bundle, pack)


def test_an_embedding_that_is_no_number_never_passes_parity(root: Path, pack: Pack) -> None:
    net = trained_net(root)
    net.head[3].weight.data[0, 0] = torch.nan
    with pytest.raises(ParityError, match="nan"):
        check_parity(net, load_bundle(root / "bundle"), pack)


def test_a_card_that_no_manifest_can_state_writes_nothing(
    root: Path, pack: Pack, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match=r"name: .*; version: "):
        export_bundle(
            root / "run", pack, tmp_path / "out", replace(CARD, name="Tiny Faces", version="1")
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_run_cannot_be_exported(pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="train first"):
        export_bundle(tmp_path, pack, tmp_path / "out", CARD)


# --- report ---


def test_the_report_is_in_the_manifest_and_the_contract_stays(
    root: Path, pack: Pack, tmp_path: Path
) -> None:
    bundle = load_bundle(shutil.copytree(root / "bundle", tmp_path / "bundle"))
    report = evaluate_bundle(bundle, root / "run", pack, open_pack(root / "lfw"))
    written = write_report(bundle, report, "some command")
    assert load_bundle(bundle.root).manifest == written.manifest
    assert written.manifest.contract == bundle.manifest.contract
    metrics = {metric.name: metric for metric in written.manifest.metrics}
    assert metrics["lfw_accuracy"].value == report.lfw.accuracy.mean
    assert "8 pairs; 1 people of the protocol" in metrics["lfw_accuracy"].data
    assert metrics["lfw_accuracy_disjoint"].value == report.lfw.disjoint.mean
    assert "the 6 pairs without" in metrics["lfw_accuracy_disjoint"].data
    assert metrics["lfw_failures_to_acquire"].value == 0
    assert {metric.command for metric in metrics.values()} == {"some command"}
    threshold = written.manifest.default_threshold
    assert threshold == report.threshold
    assert threshold is not None
    assert (threshold.gallery_subjects, threshold.searches) == (100, 5)  # 104 singles, 1 held out
    assert threshold.fpir <= 0.01


# --- the command line ---


def test_evaluate_writes_its_figures_and_prints_the_accuracy_last(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = shutil.copytree(root / "bundle", tmp_path / "bundle")
    arguments = [
        "evaluate", str(bundle), "--run", str(root / "run"), "--pack", str(root / "pack"),
        "--lfw", str(root / "lfw"),
    ]  # fmt: skip
    assert main(arguments) == 0
    manifest = load_bundle(bundle).manifest
    accuracy = {metric.name: metric.value for metric in manifest.metrics}["lfw_accuracy"]
    assert f"LFW accuracy {accuracy:.2%}" in capsys.readouterr().out.splitlines()[-1]
    assert manifest.default_threshold is not None


def test_prepare_prints_what_it_could_not_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_png(tmp_path / "faces" / "a" / "0.png", pattern(0, 0))
    write_png(tmp_path / "faces" / "a" / "1.png", pattern(0, 0)[:50])
    assert (
        main(["prepare", str(tmp_path / "faces"), "--out", str(tmp_path / "p"), "--aligned"]) == 0
    )
    out = capsys.readouterr().out
    assert "1 images of 1 identities; 1 could not be used" in out
    assert "  a/1.png: has 112 x 50 pixels" in out


def test_train_goes_on_only_when_told_to(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", str(root / "pack"), "--run", str(root / "run"), "--recipe", "tiny"]
    before = (root / "run" / "checkpoint.pt").read_bytes()
    assert main([*train, "--epochs", "2"]) == 1
    assert "--resume" in capsys.readouterr().err
    assert main([*train, "--epochs", "2", "--resume"]) == 0
    assert (root / "run" / "checkpoint.pt").read_bytes() == before


Arguments = Callable[[Path, Path], list[str]]

# What is wrong: the command, and what its one line has to say.
REFUSED: dict[str, tuple[Arguments, str]] = {
    "prepare nothing": (
        lambda r, t: ["prepare", str(t / "no"), "--out", str(t / "o"), "--aligned"],
        "neither a folder",
    ),
    "prepare an empty folder": (
        lambda r, t: ["prepare", str(t), "--out", str(t / "o"), "--aligned"], "holds no",
    ),
    "prepare into a file": (
        lambda r, t: ["prepare", str(r / "lfw-src"), "--out", str(r / "lfw-src" / "pairs.txt"),
                      "--aligned"], "pairs.txt",
    ),
    "teach no pack": (
        lambda r, t: ["teach", str(t), "--onnx", str(t / "no.onnx")], "not a pack",
    ),
    "teach by no network": (
        lambda r, t: ["teach", str(r / "pack"), "--onnx", str(r / "pack" / "index.json")],
        "not an ONNX network",
    ),
    "train on no pack": (
        lambda r, t: ["train", str(t), "--run", str(t / "run"), "--recipe", "tiny"], "not a pack",
    ),
    "train on too few": (
        lambda r, t: ["train", str(r / "lfw"), "--run", str(t / "run"), "--recipe", "tiny"],
        "asks for 4 identities",
    ),
    "train without targets": (
        lambda r, t: ["train", str(r / "pack"), "--run", str(t / "run"), "--recipe",
                      "faces-r18-half-distilled"], "teach",
    ),
    "train into a file": (
        lambda r, t: ["train", str(r / "pack"), "--run", str(r / "lfw" / "pairs.txt" / "run"),
                      "--recipe", "tiny"], "Not a directory",
    ),
    "export no run": (
        lambda r, t: export_arguments(t, t / "out", pack=str(r / "pack")), "train first",
    ),
    "export no pack": (
        lambda r, t: export_arguments(r, t / "out", pack=str(t)), "not a pack",
    ),
    "export a bad name": (
        lambda r, t: export_arguments(r, t / "out", name="Tiny Faces"), "name",
    ),
    "evaluate no bundle": (
        lambda r, t: ["evaluate", str(t), "--run", str(r / "run"), "--pack", str(r / "pack"),
                      "--lfw", str(r / "lfw")], "manifest.json",
    ),
    "evaluate on a pack without pairs": (
        lambda r, t: ["evaluate", str(r / "bundle"), "--run", str(r / "run"), "--pack",
                      str(r / "pack"), "--lfw", str(r / "pack")], "pairs.txt",
    ),
    "evaluate without a run": (
        lambda r, t: ["evaluate", str(r / "bundle"), "--run", str(t), "--pack", str(r / "pack"),
                      "--lfw", str(r / "lfw")], "train first",
    ),
    "evaluate with too few strangers": (
        lambda r, t: ["evaluate", str(r / "bundle"), "--run", str(r / "run"), "--pack",
                      str(r / "lfw"), "--lfw", str(r / "lfw")], "cannot give 100 subjects",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "word"), REFUSED.values(), ids=list(REFUSED))
def test_bad_input_ends_with_one_and_one_line_of_words(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: Arguments, word: str
) -> None:
    capsys.readouterr()
    assert main(arguments(root, tmp_path)) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "it/s" not in line]
    said = [line for line in lines if line.startswith("oneglance-train: ")]
    assert len(said) == 1
    assert lines[-1] == said[0]
    assert word in said[0]


@pytest.mark.parametrize(
    "arguments", [[], ["unknown"], ["train"], ["train", "x", "--run", "y", "--recipe", "z"]]
)
def test_unknown_words_are_answered_by_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: oneglance-train" in capsys.readouterr().err


def test_export_by_hand_and_by_command_are_the_same_bundle(
    root: Path, pack: Pack, tmp_path: Path
) -> None:
    by_hand = export_bundle(root / "run", pack, tmp_path, CARD)
    by_command = load_bundle(root / "bundle")
    assert by_hand.manifest.model_copy(update={"files": {}}) == by_command.manifest.model_copy(
        update={"files": {}}
    )
    pixels = np.array(pack.images[:4])
    ours, theirs = (embedded(load_torchscript(b), pixels) for b in (by_hand, by_command))
    assert np.array_equal(ours, theirs)


def test_a_bundle_that_fails_parity_is_named_as_such(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    monkeypatch.setattr(training.export, "PARITY_TOLERANCE", -1.0)
    assert main(export_arguments(root, tmp_path / "out")) == 1
    assert "--weights float32" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_float32_weights_lose_nothing(
    root: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(training.export, "PARITY_TOLERANCE", 1e-6)
    assert main(export_arguments(root, tmp_path / "half")) == 1
    assert main(export_arguments(root, tmp_path / "whole", weights="float32")) == 0
    bundle = load_bundle(tmp_path / "whole")
    assert bundle.manifest.model.weights_dtype == "float32"
    assert check_parity(trained_net(root), bundle, pack) <= 1e-6
