"""Reading an index from its snapshot; where anything is amiss, it has to come from the truth.

See index/snapshot_file.py for the file.
"""

import hashlib
import logging
import mmap
import os
from pathlib import Path
from typing import Final, TypeVar

import faiss
import numpy as np
import numpy.typing as npt

from index.generation import Generation
from index.generations import FINDERS, FinderKind
from index.positions import Positions
from index.records import Numbers
from index.rows import PART_NUMBERS, Codes, HalfRows, Rows
from index.search import SearchIndex, SnapshotKey
from index.snapshot_file import DIGEST, MAGIC, PREFIX, Header, part_path
from index.tiered import TieredIndex
from index.tiers import POLICIES, Tier

log = logging.getLogger(__name__)

Bytes = npt.NDArray[np.uint8]
T = TypeVar("T", bound=np.generic)

_INFINITE: Final = 0x7C00  # The exponent that only infinity and NaN have in half precision.


class _Unusable(Exception):  # noqa: N818 (it ends up in a log line, as the reason)
    """Why a file is not taken."""


def load_snapshot(
    path: Path, key: SnapshotKey, *, revision: int, tier: Tier = "auto"
) -> SearchIndex | None:
    """The index that was saved under this key at this revision, or None; the log says why.

    Of another tier the rows are taken and the generation is built anew. What a crash left
    half-written is removed.
    """
    try:
        part_path(path).unlink(missing_ok=True)
        header, body = _verified(path)
        return _restored(header, body, key, revision, tier)
    except (OSError, _Unusable) as error:
        log.info("the snapshot %s is not used: %s", path, error)
        return None


def _verified(path: Path) -> tuple[Header, Bytes]:
    """The header and the bytes after it; nothing is looked into before the checksum holds."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < PREFIX + DIGEST:
            raise _Unusable("it is too short")
        # Mapped, not read: a copy of the file would double what an index takes.
        content = np.frombuffer(
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8
        )
    content, digest = content[:-DIGEST], content[-DIGEST:]
    if hashlib.sha256(content.data).digest() != digest.tobytes():
        raise _Unusable("its checksum does not hold")
    if content[: len(MAGIC)].tobytes() != MAGIC:
        raise _Unusable("it is another kind of file")
    start = PREFIX + int.from_bytes(content[len(MAGIC) : PREFIX].tobytes(), "little")
    try:
        header = Header.model_validate_json(content[PREFIX:start].tobytes())
    except ValueError as error:
        raise _Unusable(f"its header cannot be read ({error})") from error
    return header, content[start:]


def _restored(
    header: Header, body: Bytes, key: SnapshotKey, revision: int, tier: Tier
) -> TieredIndex:
    if header.key != key:
        raise _Unusable(f"it is of {header.key}, not of {key}")
    if header.revision != revision:
        raise _Unusable(f"it is of revision {header.revision}, not {revision}")
    if len(body) != header.body_bytes:
        raise _Unusable("its length is not what its header says")
    arrays = _Arrays(body)
    numbers = arrays.take(np.int64, header.count)
    subjects = arrays.take(np.int64, header.count)
    slots = arrays.take(np.int64, header.positions)
    codes = arrays.take(np.float16, header.count * key.size).reshape(-1, key.size)
    if not _is_finite(codes):
        raise _Unusable("a value is not finite")
    rows = Rows(key.size)
    policy = POLICIES[tier]
    try:
        rows.check([], numbers.tolist())
        rows.add(numbers, subjects, HalfRows(codes=codes, rounding=header.rounding))
        generation = None
        if policy and header.finder == policy.finder:
            generation = _generation(policy.finder, slots, arrays.rest(), rows)
    except (ValueError, RuntimeError) as error:  # FAISS raises the latter.
        raise _Unusable(str(error)) from error
    return TieredIndex(
        rows, d_max=key.d_max, policy=policy, revision=revision, generation=generation
    )


def _generation(kind: FinderKind, slots: Numbers, index: Bytes, rows: Rows) -> Generation:
    finder = FINDERS[kind].loaded(faiss.deserialize_index(index), rows.size)
    positions = Positions(slots)
    if len(finder) != len(positions) or len(positions) - positions.dead != len(rows):
        raise ValueError("The generation is not of these rows.")
    return Generation(finder, positions, built=len(positions))


def _is_finite(codes_ND: Codes) -> bool:
    step = max(1, PART_NUMBERS // codes_ND.shape[1])
    bits_ND = codes_ND.view(np.uint16)
    return not any(
        (bits_ND[i : i + step] & _INFINITE == _INFINITE).any() for i in range(0, len(bits_ND), step)
    )


class _Arrays:
    """The arrays of a body, one after the other."""

    def __init__(self, body: Bytes) -> None:
        self._left = body

    def take(self, kind: type[T], count: int) -> npt.NDArray[T]:
        length = count * np.dtype(kind).itemsize
        taken, self._left = self._left[:length], self._left[length:]
        return taken.view(kind)

    def rest(self) -> Bytes:
        return self._left
