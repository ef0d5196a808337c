"""The exported model computes what the trained one does, or is not written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import training.export.parity as parity
from contract.bundle import Bundle
from contract.torchscript import load_torchscript
from tests.unit.training_export.conftest import embedded, export_arguments, tiny, trained_net
from training.cli import main
from training.data.pack import Pack
from training.export.parity import ParityError, check_parity, parity_devices
from training.models.embedding_net import EmbeddingNet


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
