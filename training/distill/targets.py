"""Targets of a pack: what the teacher says of each crop, and who the teacher is, beside the crops.

Shapes: N images, D embedding size.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError
from tqdm import tqdm

from training.data.pack import TARGETS_NAME, TEACHER_NAME, Pack


class TeacherError(ValueError):
    """There is no teacher, or nothing whole that it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherNote:
    """Which bundle the targets are of; flips: means with the embedding of the mirrored crop."""

    name: str
    version: str
    license: str
    flips: bool


class Teacher(Protocol):
    """Embeds crops."""

    @property
    def note(self) -> TeacherNote:
        """Who it is."""
        ...

    def embed(self, crops_BHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """float32 (B, D) on the unit sphere, of uint8 (B, H, W, 3) RGB crops."""
        ...


def write_targets(pack: Pack, teacher: Teacher, *, batch_size: int = 64) -> None:
    """Compute targets.npy, float32 (N, D), in the pack's folder; goes on where it was stopped.

    A row that is not computed yet is NaN. Raises TeacherError where the folder has targets of
    another teacher: nothing is overwritten.
    """
    path = pack.root / TARGETS_NAME
    if path.exists() and read_teacher(pack) != teacher.note:
        raise TeacherError(
            f"{path} holds targets of {read_teacher(pack)}, not of {teacher.note}: remove it to "
            "replace them."
        )
    if not path.exists():
        note = json.dumps(asdict(teacher.note), ensure_ascii=False, indent=2)
        (pack.root / TEACHER_NAME).write_text(note + "\n", encoding="utf-8")
        size = teacher.embed(pack.images[:1]).shape[1]
        temporary = path.with_name(f".{TARGETS_NAME}.tmp")
        with temporary.open("wb") as file:
            np.save(file, np.full((len(pack.images), size), np.nan, dtype=np.float32))
        temporary.replace(path)
    targets = np.lib.format.open_memmap(path, "r+")
    missing = np.flatnonzero(np.isnan(targets[:, 0]))
    for start in tqdm(range(0, len(missing), batch_size), "teach", unit="batch"):
        rows = missing[start : start + batch_size]
        targets[rows] = teacher.embed(pack.images[rows])
    targets.flush()


def read_teacher(pack: Pack) -> TeacherNote:
    """Whose targets the pack has. Raises TeacherError where nothing says it."""
    path = pack.root / TEACHER_NAME
    try:
        return TypeAdapter(TeacherNote).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise TeacherError(
            f"{path} does not say whose targets are in {TARGETS_NAME}: remove both, and run "
            "`oneglance-train teach` again."
        ) from error


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
