"""Checkpoints: written whole or not at all, so that a killed run always has its last good one."""

import os
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from training.config import TrainConfig

# Everything that --resume needs.
CHECKPOINT_NAME = "checkpoint.pt"
# The best network so far: what evaluation and export use.
MODEL_NAME = "model.pt"


class CheckpointError(ValueError):
    """A run cannot be resumed or exported from what lies in its folder."""


def save_checkpoint(
    run: Path, state: dict[str, Any], config: TrainConfig, name: str = CHECKPOINT_NAME
) -> None:
    """Write `state` (tensors and plain values) of the run in folder `run`, atomically."""
    run.mkdir(parents=True, exist_ok=True)
    temporary = run / f".{name}.tmp"
    with temporary.open("wb") as file:
        torch.save({"config": asdict(config), **state}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(run / name)


def load_checkpoint(run: Path, name: str = CHECKPOINT_NAME) -> dict[str, Any]:
    """What was saved, its tensors on the CPU wherever it was trained.

    Raises CheckpointError where there is none that can be read.
    """
    try:
        state: dict[str, Any] = torch.load(run / name, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{run} holds no readable {name}: train first.") from error
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{run / name} is damaged or not ours: train again, in another folder."
        ) from error
    return state


def refuse_other_run(
    state: dict[str, Any], config: TrainConfig, data: str, run: Path, world: int
) -> None:
    """Raise CheckpointError unless a run of `config` on `data` may go on from checkpoint `state`.

    data: fingerprint of the pack. The number of epochs may differ: the cosine of the learning rate
    is then that of the new one.
    """
    kept, asked = _flat(state["config"]), _flat(asdict(config))
    changed = sorted(
        f"{name} ({kept.get(name)!r} there, {asked.get(name)!r} asked)"
        for name in kept.keys() | asked.keys()
        if name != "epochs" and kept.get(name) != asked.get(name)
    )
    if changed:
        raise CheckpointError(
            f"{run} was trained with other values: {', '.join(changed)}. Resume with those there, "
            "or name another folder."
        )
    if state["data"] != data:
        raise CheckpointError(f"{run} was trained on another pack: name that, or another folder.")
    if state["world"] != world:
        raise CheckpointError(
            f"{run} was trained by {state['world']} processes, not {world}: use as many to resume."
        )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat
