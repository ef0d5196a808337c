"""The file that an index in memory is read from faster than from the truth: its bytes.

    magic | length of the header | header, JSON | numbers | subject numbers
    | positions of the generation | codes | finder of the generation | SHA-256 of all before

Little-endian; the header is padded so that the arrays are aligned. See index/snapshot.py for
reading it.
"""

import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final, Literal

import faiss
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt

from index.folders import sync_names
from index.generation import Generation
from index.rows import Rows
from index.search import SnapshotKey

MAGIC: Final = b"1GlanceS"
ALIGNED: Final = 64
PREFIX: Final = len(MAGIC) + 4
DIGEST: Final = hashlib.sha256().digest_size
_PART_BYTES: Final = 1 << 23


class Header(BaseModel):
    """What a file says of itself. count: N. rounding: see HalfRows.

    finder: kind of the generation's finder, None without one. positions, finder_bytes: their
    number and size, 0 without one.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[2]
    contract_id: str
    collection_id: str
    scoring: str
    size: PositiveInt
    d_max: float
    protection: str
    revision: NonNegativeInt
    count: NonNegativeInt
    rounding: NonNegativeFloat
    finder: str | None
    positions: NonNegativeInt
    finder_bytes: NonNegativeInt

    @property
    def key(self) -> SnapshotKey:
        """Whose file it is."""
        return SnapshotKey(
            contract_id=self.contract_id,
            collection_id=self.collection_id,
            scoring=self.scoring,
            size=self.size,
            d_max=self.d_max,
            protection=self.protection,
        )

    @property
    def body_bytes(self) -> int:
        """Length of the arrays and of the finder."""
        return self.count * (16 + 2 * self.size) + 8 * self.positions + self.finder_bytes


def part_path(path: Path) -> Path:
    """Where a file lies while it is written."""
    return path.with_name(f"{path.name}.part")


def write_snapshot(
    path: Path, key: SnapshotKey, *, revision: int, rows: Rows, live: Generation | None
) -> None:
    """Write it beside, make it durable, then put it in place, readable by its owner alone.

    A generation in which embeddings of removed rows linger is left out. Raises OSError, and then
    what lay at `path` still does.
    """
    finder, slots = np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.int64)
    kept = live if live and not live.lingering else None
    if kept:
        finder, slots = faiss.serialize_index(kept.finder.index), kept.positions.slots
    header = Header(
        format=2,
        **asdict(key),
        revision=revision,
        count=len(rows),
        rounding=rows.rounding,
        finder=kept.finder.kind if kept else None,
        positions=len(slots),
        finder_bytes=len(finder),
    )
    arrays: list[npt.NDArray[Any]]
    arrays = [rows.numbers, rows.subject_numbers, slots, rows.codes, finder]
    part = part_path(path)
    part.unlink(missing_ok=True)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(part, flags, 0o600), "wb") as file:
            _write(file, header, arrays)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_names(path.parent)


def _write(file: IO[bytes], header: Header, arrays: list[npt.NDArray[Any]]) -> None:
    digest = hashlib.sha256()
    text = header.model_dump_json().encode()
    text += b" " * (-(PREFIX + len(text)) % ALIGNED)
    pieces: list[bytes | memoryview] = [MAGIC + len(text).to_bytes(4, "little") + text]
    for array in arrays:
        # No copy of a whole array: an index may fill half of the memory.
        raw = array.reshape(-1).view(np.uint8)
        pieces += [raw[i : i + _PART_BYTES].data for i in range(0, len(raw), _PART_BYTES)]
    for piece in pieces:
        digest.update(piece)
        file.write(piece)
    file.write(digest.digest())
