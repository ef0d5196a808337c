"""From a run to a bundle: what it says, what it computes, and the commands on the way there."""

import io
import json
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

import training.export.parity as parity
from benchmarks.training_pack import wave_pack
from contract.bundle import Bundle, load_bundle, sha256_of
from contract.errors import ManifestError
from contract.fitting import Fit
from contract.manifest import Origin
from contract.torchscript import load_torchscript
from training.checkpoint import MODEL_NAME, CheckpointError, save_checkpoint
from training.cli import main
from training.config import OptimizerConfig, TrainConfig
from training.data.pack import Pack, PackError, open_pack
from training.data.sampler import BatchConfig
from training.distill.targets import TeacherError
from training.export.card import Card
from training.export.parity import ParityError, check_parity, parity_devices
from training.export.trained import export_bundle
from training.losses.config import LossConfig
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


def saved_run(run: Path, pack: Pack, model: ModelConfig, **changes: Any) -> EmbeddingNet:
    """A run without its training: fresh weights, and the pack's images as what it learned from."""
    torch.manual_seed(2)
    net = EmbeddingNet(model, load_weights=False).eval()
    state = {"net": net.state_dict(), "trained_paths": list(pack.index.paths), "epoch": 1}
    config = replace(tiny(), model=model, **changes)
    save_checkpoint(run, {**state, "validation": None}, config, MODEL_NAME)
    return net


# --- what the bundle says ---


def test_the_manifest_says_what_was_trained(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert (manifest.name, manifest.version, manifest.license) == ("tiny-waves", "1.2.3", "MIT")
    assert manifest.format_version == 3
    assert manifest.model.weights_dtype == "float16"
    assert manifest.embedding.model_dump() == {
        "size": 16, "space": "l2", "scale": 1.5, "d_max": 3.0,
    }  # fmt: skip
    assert manifest.input.model_dump() == {
        "width": SIDE, "height": SIDE, "color_order": "RGB", "alignment": "none", "fit": "pad",
    }  # fmt: skip
    assert manifest.limits == ["people", "anything but waves"]
    assert manifest.origin == Origin(loss="L_exp (overlap 0) + L_class", starting_points=[])
    (data,) = manifest.training_data
    assert (data.name, data.terms, data.remark) == ("waves", "made up", "no person")
    assert (data.identities, data.images) == (11, 66)  # one of twelve is held out
    assert (manifest.metrics, manifest.default_threshold, manifest.calibration) == ([], None, None)
    assert sha256_of((bundle.root / "model.ts").read_bytes()) == bundle.sha256


def test_aligned_faces_are_said_to_be_aligned(tmp_path: Path) -> None:
    pack = wave_pack(tmp_path / "pack", identities=2, images_each=2, side_px=112)
    saved_run(tmp_path / "run", pack, ModelConfig(width=4, embedding_size=4))
    bundle = export_bundle(tmp_path / "run", pack, tmp_path / "out", CARD).bundle
    spec = bundle.manifest.input
    assert (spec.width, spec.height, spec.alignment) == (112, 112, "five_point_112")
    assert spec.fit is None


@pytest.mark.parametrize(("made_by", "stated"), [(None, "pad"), ("crop", "crop"), ("pad", "pad")])
def test_whole_images_state_the_fit_of_their_pack(
    root: Path, tmp_path: Path, made_by: Fit | None, stated: Fit
) -> None:
    """Images that were taken as they are come out of every fit unchanged."""
    pack = open_pack(root / "pack")
    pack = replace(pack, index=replace(pack.index, fit=made_by))
    bundle = export_bundle(root / "run", pack, tmp_path / "out", CARD).bundle
    assert bundle.manifest.input.fit == stated


def test_a_student_names_its_first_weights_and_its_teacher(root: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(root / "pack", tmp_path / "pack")
    note = {"name": "tutor", "version": "3.2.1", "license": "CC0", "flips": True}
    (copy / "teacher.json").write_text(json.dumps(note))
    pack = open_pack(copy)
    model = replace(tiny().model, pretrained="imagenet", width=64, pool="average")
    saved_run(tmp_path / "run", pack, model, loss=LossConfig(c_distill=2.0))
    origin = export_bundle(tmp_path / "run", pack, tmp_path / "out", CARD).bundle.manifest.origin
    assert origin is not None
    assert origin.loss == "L_exp (overlap 0) + L_class + 2 L_distill"
    weights, teacher = origin.starting_points
    assert (weights.role, "ImageNet" in weights.name) == ("starting_weights", True)
    assert (teacher.role, teacher.name, teacher.license) == ("teacher", "tutor 3.2.1", "CC0")
    assert "mirrored" in teacher.remark


def test_a_student_whose_teacher_is_not_known_is_not_exported(
    root: Path, pack: Pack, tmp_path: Path
) -> None:
    saved_run(tmp_path / "run", pack, tiny().model, loss=LossConfig(c_distill=1.0))
    with pytest.raises(TeacherError, match=r"teacher\.json does not say whose targets"):
        export_bundle(tmp_path / "run", pack, tmp_path / "out", CARD)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("space", "d_max"), [("unit_bounce", 3.0), ("none", 7.5)])
def test_the_space_and_its_largest_distance_are_the_configs(
    root: Path, pack: Pack, tmp_path: Path, space: Any, d_max: float
) -> None:
    bounds = {"unbounded_d_max": 7.5} if space == "none" else {}
    model = replace(tiny().model, space=space, activation="tanh", maxout=2, **bounds)
    net = saved_run(tmp_path / "run", pack, model)
    exported = export_bundle(tmp_path / "run", pack, tmp_path / "out", CARD, weights="float32")
    spec = exported.bundle.manifest.embedding
    assert (spec.space, spec.scale, spec.d_max) == (space, 1.5, d_max)
    found = embedded(load_torchscript(exported.bundle), pack.images[::9])
    assert np.allclose(found, embedded(net, pack.images[::9]), atol=1e-5)


# --- what the bundle computes ---


def test_weights_are_stored_as_float16_and_compute_as_float32(bundle: Bundle) -> None:
    stored = torch.jit.load(io.BytesIO(bundle.read_model()))
    floats = [p for p in stored.state_dict().values() if p.is_floating_point()]
    assert {p.dtype for p in floats} == {torch.float16}
    loaded = load_torchscript(bundle)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert {b.dtype for b in loaded.buffers() if b.is_floating_point()} == {torch.float32}


def test_the_exported_model_computes_what_the_trained_one_does(
    root: Path, pack: Pack, bundle: Bundle
) -> None:
    """The oracle is the eager network with its weights rounded to float16 and back."""
    pixels = pack.images[::11]
    exported = embedded(load_torchscript(bundle), pixels)
    assert exported.dtype == np.float32
    assert np.allclose(np.linalg.norm(exported, axis=1), 1.5, rtol=1e-5)
    rounded = embedded(trained_net(root).half().float(), pixels)
    assert np.abs(exported - rounded).max() < 1e-3
    apart = np.linalg.norm(exported[0] - exported[1:], axis=1)
    assert apart.max() > 0.3  # the crops are told apart, so that equality says something


def test_any_number_of_pictures_can_be_embedded(pack: Pack, bundle: Bundle) -> None:
    model = load_torchscript(bundle)
    together = embedded(model, pack.images[:5])
    assert np.allclose(embedded(model, pack.images[:1]), together[:1], atol=1e-4)
    assert np.allclose(embedded(model, pack.images[3:5]), together[3:5], atol=1e-4)
    assert embedded(model, pack.images[:0]).shape == (0, 16)


def test_exporting_leaves_the_run_alone(root: Path) -> None:
    before = {path.name: path.read_bytes() for path in (root / "before").iterdir()}
    assert before == {path.name: path.read_bytes() for path in (root / "run").iterdir()}
    assert MODEL_NAME in before


def test_float32_weights_lose_nothing(
    root: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(parity, "PARITY_TOLERANCE", 1e-6)
    assert main(export_arguments(root, tmp_path / "half")) == 1
    assert main(export_arguments(root, tmp_path / "whole", weights="float32")) == 0
    whole = load_bundle(tmp_path / "whole")
    assert whole.manifest.model.weights_dtype == "float32"
    assert check_parity(trained_net(root), whole, pack.images)["cpu"] <= 1e-6


def test_a_run_in_double_precision_is_exported_in_single(pack: Pack, tmp_path: Path) -> None:
    net = saved_run(tmp_path / "run", pack, tiny().model, precision="float64").double()
    state = {"net": net.state_dict(), "trained_paths": list(pack.index.paths)}
    save_checkpoint(tmp_path / "run", state, tiny(), MODEL_NAME)
    exported = export_bundle(tmp_path / "run", pack, tmp_path / "out", CARD, weights="float32")
    stored = torch.jit.load(io.BytesIO(exported.bundle.read_model()))
    assert {p.dtype for p in stored.parameters()} == {torch.float32}
    assert exported.parity["cpu"] < 1e-5


def test_a_run_that_began_with_pretrained_weights_needs_them_no_more(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    model = replace(tiny().model, pretrained="imagenet", width=64, pool="average")
    net = saved_run(tmp_path / "run", pack, model)
    exported = export_bundle(tmp_path / "run", pack, tmp_path / "out", CARD, weights="float32")
    found = embedded(load_torchscript(exported.bundle), pack.images[:2])
    assert np.allclose(found, embedded(net, pack.images[:2]), atol=1e-5)
    assert not (tmp_path / "empty").exists()


# --- parity ---


def test_a_model_that_computes_otherwise_is_refused(pack: Pack, bundle: Bundle) -> None:
    torch.manual_seed(1)
    with pytest.raises(ParityError, match="On cpu the exported model moves an embedding"):
        check_parity(EmbeddingNet(tiny().model).eval(), bundle, pack.images)


def test_parity_is_the_share_of_d_max_that_the_worst_crop_moves(
    root: Path, pack: Pack, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, pixels = trained_net(root), np.array(pack.images)
    moved = embedded(net, pixels) - embedded(load_torchscript(bundle), pixels)
    worst = float(np.linalg.norm(moved, axis=1).max()) / 3.0
    assert worst > 1e-5
    monkeypatch.setattr(parity, "PARITY_TOLERANCE", 1.1 * worst)
    assert check_parity(net, bundle, pixels) == {"cpu": pytest.approx(worst, rel=0.05)}
    monkeypatch.setattr(parity, "PARITY_TOLERANCE", 0.9 * worst)
    with pytest.raises(ParityError, match="--weights float32"):
        check_parity(net, bundle, pixels)


def test_an_embedding_that_is_no_number_never_passes_parity(
    root: Path, pack: Pack, bundle: Bundle
) -> None:
    net = trained_net(root)
    net.head[3].weight.data[0, 0] = torch.nan
    with pytest.raises(ParityError, match="nan"):
        check_parity(net, bundle, pack.images)


def test_parity_is_checked_on_cuda_where_there_is_a_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert parity_devices() == ("cpu",)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert parity_devices() == ("cpu", "cuda")


def test_both_networks_are_compared_on_every_device(
    root: Path, pack: Pack, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cpu:0` is the processor by another name: a second device on every machine."""
    monkeypatch.setattr(parity, "parity_devices", lambda: ("cpu", "cpu:0"))
    net, loaded_on, moved_to = trained_net(root), [], []
    to = EmbeddingNet.to

    def load(found: Bundle, device: str) -> torch.jit.ScriptModule:
        loaded_on.append(device)
        model = load_torchscript(found, device)
        if device == "cpu:0" and spoil:
            dict(model.named_parameters())["head.3.weight"].data.neg_()
        return model

    def moved(self: EmbeddingNet, device: str) -> EmbeddingNet:
        assert self is not net  # the network of the caller stays where it is
        moved_to.append(device)
        return to(self, device)

    monkeypatch.setattr(parity, "load_torchscript", load)
    monkeypatch.setattr(EmbeddingNet, "to", moved)
    spoil = False
    found = check_parity(net, bundle, pack.images)
    assert loaded_on == moved_to == list(found) == ["cpu", "cpu:0"]
    assert found["cpu"] == found["cpu:0"] > 0
    spoil = True
    with pytest.raises(ParityError, match="On cpu:0 the exported"):
        check_parity(net, bundle, pack.images)


def test_a_bundle_that_fails_parity_is_not_written(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    monkeypatch.setattr(parity, "PARITY_TOLERANCE", -1.0)
    assert main(export_arguments(root, tmp_path / "out")) == 1
    assert "--weights float32" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- what cannot be exported ---


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Tiny Waves", "version": "1"}, r"name: .*; version: "),
        ({"terms": ""}, "terms: "),
        ({"limits": ()}, "at least one of limits"),
        ({"limits": ("x", "")}, r"limits\.1: "),
    ],
)
def test_a_card_that_no_manifest_can_state_writes_nothing(
    root: Path, pack: Pack, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ManifestError, match=words):
        export_bundle(root / "run", pack, tmp_path / "out", replace(CARD, **changes))
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_run_cannot_be_exported(pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="train first"):
        export_bundle(tmp_path, pack, tmp_path / "out", CARD)


def test_a_pack_of_other_pixels_is_refused(root: Path, tmp_path: Path) -> None:
    other = wave_pack(tmp_path / "other", identities=12, images_each=6, side_px=32)
    with pytest.raises(PackError, match=r"has images of 32x32 pixels, .* takes 48x48"):
        export_bundle(root / "run", other, tmp_path / "out", CARD)


def test_a_pack_that_was_not_trained_on_is_refused(root: Path, tmp_path: Path) -> None:
    other = wave_pack(tmp_path / "other", identities=5, images_each=6, side_px=SIDE)
    with pytest.raises(PackError, match="not the pack that the run was trained on"):
        export_bundle(root / "run", other, tmp_path / "out", CARD)


# --- the command line ---


def test_export_by_hand_and_by_command_are_the_same_bundle(
    root: Path, pack: Pack, bundle: Bundle, tmp_path: Path
) -> None:
    by_hand = export_bundle(root / "run", pack, tmp_path, CARD).bundle
    assert by_hand.manifest.model_copy(update={"files": {}}) == bundle.manifest.model_copy(
        update={"files": {}}
    )
    ours, theirs = (
        embedded(load_torchscript(found), pack.images[:4]) for found in (by_hand, bundle)
    )
    assert np.array_equal(ours, theirs)


def test_the_command_says_how_well_parity_held(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(export_arguments(root, tmp_path / "out")) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{tmp_path / 'out'}: tiny-waves 1.2.3, parity held (an embedding moves")
    assert line.endswith(" on cpu of d_max 3)")


def test_prepare_prints_what_it_could_not_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, height in (("0", 112), ("1", 50)):
        path = tmp_path / "faces" / "a" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((height, 112, 3), np.uint8)).save(path)
    words = ["prepare", str(tmp_path / "faces"), "--out", str(tmp_path / "p"), "--aligned"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "1 images of 1 identities; 1 could not be used" in out
    assert "  a/1.png: has 112 x 50 pixels" in out


def test_train_goes_on_only_when_told_to(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (root / "run" / MODEL_NAME).read_bytes()
    assert main([*train_arguments(root), "--epochs", "2"]) == 1
    assert "--resume" in capsys.readouterr().err
    assert main([*train_arguments(root), "--epochs", "2", "--resume"]) == 0
    assert (root / "run" / MODEL_NAME).read_bytes() == before


Arguments = Callable[[Path, Path], list[str]]


def evaluate_arguments(bundle: Path, run: Path, pack: Path, *more: str) -> list[str]:
    return ["evaluate", str(bundle), "--run", str(run), "--pack", str(pack), *more]


# What is wrong: the command, and what its one line has to say.
REFUSED: dict[str, tuple[Arguments, str]] = {
    "prepare nothing": (
        lambda r, t: ["prepare", str(t / "no"), "--out", str(t / "o"), "--aligned"], "neither",
    ),
    "prepare an empty folder": (
        lambda r, t: ["prepare", str(t), "--out", str(t / "o"), "--aligned"], "holds no",
    ),
    "teach no pack": (
        lambda r, t: ["teach", str(t), "--teacher", str(r / "bundle")], "not a pack",
    ),
    "teach by no bundle": (
        lambda r, t: ["teach", str(r / "pack"), "--teacher", str(t), "--flips"], "manifest.json",
    ),
    "distill by no bundle": (
        lambda r, t: ["distill", str(r / "pack"), "--teacher", str(t), "--run", str(t / "run"),
                      "--recipe", "tiny", "--set", "loss.c_distill=1"], "manifest.json",
    ),
    "distill without a loss for it": (
        lambda r, t: ["distill", str(r / "pack"), "--teacher", str(r / "bundle"),
                      "--run", str(t / "run"), "--recipe", "tiny"], "no loss.c_distill above 0",
    ),
    "train on no pack": (
        lambda r, t: ["train", str(t), "--run", str(t / "run"), "--recipe", "tiny"], "not a pack",
    ),
    "train without targets": (
        lambda r, t: ["train", str(r / "pack"), "--run", str(t / "run"), "--recipe", "tiny",
                      "--set", "loss.c_distill=1"], "teach",
    ),
    "train into a file": (
        lambda r, t: ["train", str(r / "pack"), "--run", str(r / "pack" / "index.json" / "run"),
                      "--recipe", "tiny"], "Not a directory",
    ),
    "train by a network that there is not": (
        lambda r, t: ["train", str(r / "pack"), "--run", str(t / "run"), "--recipe", "tiny",
                      "--set", "model.pretrained=vggface2"], "no weights 'vggface2' for resnet18",
    ),
    "export no run": (
        lambda r, t: export_arguments(t, t / "out", pack=str(r / "pack")), "train first",
    ),
    "export no pack": (
        lambda r, t: export_arguments(r, t / "out", pack=str(t)), "not a pack",
    ),
    "export a bad name": (
        lambda r, t: export_arguments(r, t / "out", name="Tiny Waves"), "name",
    ),
    "inspect no bundle": (lambda r, t: ["inspect", str(t)], "manifest.json"),
    "evaluate no bundle": (
        lambda r, t: evaluate_arguments(t, r / "run", r / "pack"), "manifest.json",
    ),
    "evaluate on a pack without pairs": (
        lambda r, t: evaluate_arguments(
            r / "bundle", r / "run", r / "pack", "--lfw", str(r / "pack")),
        "pairs.txt",
    ),
    "evaluate without a run": (
        lambda r, t: evaluate_arguments(r / "bundle", t, r / "pack"), "train first",
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
    "arguments", [[], ["unknown"], ["train"], ["train", "x", "--run", "y", "--recipe", "z"],
                  ["teach", "x"], ["distill", "x", "--teacher", "y"],
                  ["import", "x"], ["inspect"], ["inspect", "b", "--json", "--markdown"],
                  export_arguments(Path("r"), Path("o"))[:-2 * len(CARD.limits)]],
)  # fmt: skip
def test_unknown_words_are_answered_by_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: oneglance-train" in capsys.readouterr().err
