"""Targets of a pack: what the teacher says of each crop, beside the crops.

Shapes: N images, D embedding size.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from training.data.pack import TARGETS_NAME, Pack


class TeacherError(ValueError):
    """There is no teacher, or nothing whole that it said."""


class Teacher(Protocol):
    """Embeds crops; a Protocol here, so that training never needs onnx."""

    def embed(self, crops_BHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """float32 (B, D) on the unit sphere, of uint8 (B, H, W, 3) RGB crops."""
        ...


def write_targets(pack: Pack, teacher: Teacher, *, batch_size: int = 64) -> None:
    """Compute targets.npy, float32 (N, D), in the pack's folder; goes on where it was stopped.

    A row that is not computed yet is NaN.
    """
    path = pack.root / TARGETS_NAME
    if not path.exists():
        size = teacher.embed(pack.images[:1]).shape[1]
        empty = np.lib.format.open_memmap(path, "w+", np.float32, (len(pack.images), size))
        empty[:] = np.nan
        empty.flush()
    targets = np.lib.format.open_memmap(path, "r+")
    missing = np.flatnonzero(np.isnan(targets[:, 0]))
    for start in tqdm(range(0, len(missing), batch_size), "teach", unit="batch"):
        rows = missing[start : start + batch_size]
        targets[rows] = teacher.embed(pack.images[rows])
    targets.flush()


def open_targets(pack: Pack, *, size: int) -> npt.NDArray[np.float32]:
    """float32 (N, D) targets of a pack. Raises TeacherError if they are not there or not whole."""
    path: Path = pack.root / TARGETS_NAME
    try:
        targets: npt.NDArray[np.float32] = np.load(path)
    except OSError as error:
        raise TeacherError(f"There is no {path}: run `oneglance-train teach` first.") from error
    if targets.shape != (len(pack.images), size):
        raise TeacherError(f"{path} has shape {targets.shape}, not {(len(pack.images), size)}.")
    if np.isnan(targets).any():
        raise TeacherError(f"{path} is not complete: run `oneglance-train teach` again.")
    return targets
