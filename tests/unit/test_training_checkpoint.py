"""Checkpoints: whole or not at all, never code, and readable on any machine."""

from pathlib import Path
from typing import Any

import pytest
import torch

from training.checkpoint import (
    CHECKPOINT_NAME,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from training.config import TrainConfig

CONFIG = TrainConfig(name="tiny", epochs=2)


def test_a_checkpoint_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, {"step": 1}, CONFIG)

    def half(_: object, file: Any) -> None:
        file.write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tmp_path, {"step": 2}, CONFIG)
    assert load_checkpoint(tmp_path)["step"] == 1


@pytest.mark.parametrize("data", [b"", b"no checkpoint", b"PK\x03\x04 half of one"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / CHECKPOINT_NAME).write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"step": Path.home}, tmp_path / CHECKPOINT_NAME)
    with pytest.raises(CheckpointError, match="not ours"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_of_a_gpu_is_read_on_a_machine_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
        save_checkpoint(tmp_path, {"net": torch.arange(3.0)}, CONFIG)
    found = load_checkpoint(tmp_path)["net"]
    assert found.device.type == "cpu"
    assert found.tolist() == [0, 1, 2]
