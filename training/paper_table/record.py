"""One run's JSON: what was measured, of which config, in what time and on which machine."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from training.config import TrainConfig

# Raised by whoever changes what the same config trains to, or what a figure means: all runs of an
# earlier number are stale then.
CODE_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What computed a run. threads: of the processor, in this run."""

    processor: str
    device: str
    threads: int
    torch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A finished epoch. validation: None where the data allow none. Times are of this epoch alone,
    its validation included. Epoch 0 is the network before training.
    """

    epoch: int
    validation: float | None
    core_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """column, variant, seed: which run it is. settings: what the variant changes of the recipe.

    config: hash of the whole config. data: fingerprint of the pack. code: CODE_VERSION.
    figures: shares by protocol (`paper`, `held_out`, `rank1`, `auc`, `eer`) and counts (`classes`,
        `probes`, `gallery`).
    core_s, wall_s: of training and validation, and of measuring, together.
    points: where D is 2, x, y and class of some of the images measured.
    """

    column: str
    variant: str
    seed: int
    recipe: str
    settings: tuple[str, ...]
    config: str
    data: str
    code: int
    figures: dict[str, float]
    epochs: tuple[Epoch, ...]
    core_s: float
    wall_s: float
    machine: Machine
    points: tuple[tuple[float, float, int], ...] = ()

    def is_of(self, config: TrainConfig) -> bool:
        """Whether the same config would train to this, by the same code."""
        return self.code == CODE_VERSION and self.config == config_hash(config)


class RecordError(ValueError):
    """A file of a run cannot be read."""


def config_hash(config: TrainConfig) -> str:
    """Of every value of a config."""
    text = json.dumps(asdict(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def record_path(runs: Path, column: str, variant: str, seed: int) -> Path:
    """Where the record of a run lies below the folder `runs`."""
    return runs / column / f"{variant}-{seed}.json"


def write_record(runs: Path, record: Record) -> None:
    """Write it whole or not at all."""
    path = record_path(runs, record.column, record.variant, record.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(_text(record))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _text(record: Record) -> str:
    """A line for each field, so that a change of one shows as one."""
    lines = (f'  "{f.name}": {json.dumps(_plain(getattr(record, f.name)))}' for f in fields(record))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Machine):
        return asdict(value)
    if isinstance(value, tuple):
        return [asdict(part) if isinstance(part, Epoch) else part for part in value]
    return value


def read_record(path: Path) -> Record | None:
    """The record in a file, None where there is no file. Raises RecordError."""
    try:
        return TypeAdapter(Record).validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise RecordError(f"{path} is no record of a run: delete it, and run it again.") from error


def read_records(runs: Path) -> list[Record]:
    """All below a folder, in the order of their paths. Raises RecordError."""
    found = (read_record(path) for path in sorted(runs.glob("*/*.json")))
    return [record for record in found if record]
