"""A trained run as a bundle: what its manifest says and its model computes."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import training.export.parity as parity
from benchmarks.training_pack import wave_pack
from contract.bundle import Bundle, load_bundle, sha256_of
from contract.errors import ManifestError
from contract.fitting import Fit
from contract.manifest import Origin
from contract.torchscript import load_torchscript
from tests.unit.training_export.conftest import (
    CARD,
    SIDE,
    embedded,
    export_arguments,
    tiny,
    trained_net,
)
from training.checkpoint import MODEL_NAME, CheckpointError, save_checkpoint
from training.cli import main
from training.data.pack import Pack, PackError, open_pack
from training.distill.targets import TeacherError
from training.export.parity import check_parity
from training.export.trained import export_bundle
from training.losses.config import LossConfig
from training.models.config import ModelConfig
from training.models.embedding_net import EmbeddingNet


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
