"""Checkpoints: written whole or not at all, so that a killed run always has its last good one."""

import os
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from training.config import TrainConfig

CHECKPOINT_NAME = "checkpoint.pt"


class CheckpointError(ValueError):
    """A run cannot be resumed or exported from what lies in its folder."""


def save_checkpoint(run: Path, state: dict[str, Any], config: TrainConfig) -> None:
    """Write `state` (tensors and plain values) of the run in folder `run`, atomically."""
    run.mkdir(parents=True, exist_ok=True)
    temporary = run / f".{CHECKPOINT_NAME}.tmp"
    with temporary.open("wb") as file:
        torch.save({"config": asdict(config), **state}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(run / CHECKPOINT_NAME)


def load_checkpoint(run: Path) -> dict[str, Any]:
    """The last checkpoint of a run, its tensors on the CPU wherever it was trained.

    Raises CheckpointError where there is none that can be read.
    """
    try:
        state: dict[str, Any] = torch.load(
            run / CHECKPOINT_NAME, map_location="cpu", weights_only=True
        )
    except OSError as error:
        raise CheckpointError(f"{run} holds no readable {CHECKPOINT_NAME}: train first.") from error
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{run / CHECKPOINT_NAME} is damaged or not ours: train again, in another folder."
        ) from error
    return state
