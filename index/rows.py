"""The rows in memory, in half precision, and FAISS's scan over them.

Shapes: B probes, N rows, M rows of one change, K rows listed, D embedding size.
A *slot* is a row's place in memory, 0 to N - 1; it changes when another row is removed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import faiss
import numpy as np
import numpy.typing as npt

from contract.similarity import Float
from index.records import Embeddings, Numbers

Codes = npt.NDArray[np.float16]
Move = tuple[int, int]

LARGEST: Final = 65504.0  # Largest finite number of half precision.
_FIRST_CAPACITY: Final = 1024
PART_NUMBERS: Final = 1 << 19  # float64 numbers held at once while computing: 4 MiB.


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HalfRows:
    """Embeddings rounded to half precision. codes: float16 (M, D), finite.

    rounding: no row lies farther than this from its embedding (Euclidean).
    """

    codes: Codes
    rounding: float


def to_half(embeddings_MD: Embeddings) -> HalfRows:
    """Round to nearest, and measure by how much.

    The measured bound is about half of what 2^-11 |x| + sqrt(D) 2^-25, the worst case, allows.
    ValueError: not finite, or beyond 65504, half precision's range.
    """
    codes_MD = np.empty(embeddings_MD.shape, dtype=np.float16)
    largest = 0.0
    step = max(1, PART_NUMBERS // max(1, embeddings_MD.shape[1]))
    for first in range(0, len(embeddings_MD), step):
        part_MD = embeddings_MD[first : first + step]
        # The negation also catches NaN.
        if not (np.abs(part_MD) <= LARGEST).all():
            raise ValueError(
                f"Embeddings must be finite, with values from -{LARGEST} to {LARGEST}."
            )
        codes_MD[first : first + step] = part_MD
        gaps_MD = part_MD.astype(np.float64) - codes_MD[first : first + step]
        largest = max(largest, float(np.square(gaps_MD).sum(axis=1).max()))
    # Upwards, past the rounding of this sum and root.
    return HalfRows(codes=codes_MD, rounding=float(np.sqrt(largest)) * (1 + 1e-9))


class Rows:
    """Slots with embedding, number and subject number, and a table from number to slot.

    The embeddings are the codes of a FAISS scalar quantizer, written by us: a removal moves the
    last row into the gap, O(D), where FAISS's own removal shifts all rows. One writer at a time,
    and no reader beside it: whoever holds the rows also holds the lock.
    """

    def __init__(self, size: int) -> None:
        """size: D."""
        self.size = size
        self.rounding = 0.0  # Of the rows ever held, see HalfRows.
        self._index = faiss.IndexScalarQuantizer(
            size, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2
        )
        self._slots: dict[int, int] = {}
        self._numbers: Numbers = np.zeros(0, dtype=np.int64)
        self._subjects: Numbers = np.zeros(0, dtype=np.int64)
        self._codes: Codes
        self._grow(_FIRST_CAPACITY)

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, number: int) -> bool:
        return number in self._slots

    @property
    def numbers(self) -> Numbers:
        """By slot, int64 (N,); a view."""
        return self._numbers[: len(self)]

    @property
    def subject_numbers(self) -> Numbers:
        """By slot, int64 (N,); a view."""
        return self._subjects[: len(self)]

    @property
    def codes(self) -> Codes:
        """By slot, float16 (N, D); a view that the next change invalidates."""
        return self._codes[: len(self)]

    def held_bytes(self) -> int:
        """Bytes of the arrays, with room to grow; without the table from number to slot."""
        return self._codes.nbytes + self._numbers.nbytes + self._subjects.nbytes

    def check(self, removed: Sequence[int], added: Sequence[int]) -> None:
        """ValueError where `remove` and then `add` could not both be done."""
        gone, new = set(removed), set(added)
        if len(gone) < len(removed) or not self._slots.keys() >= gone:
            raise ValueError("Only rows that are there can be removed, each once.")
        if len(new) < len(added) or not (self._slots.keys() & new) <= gone:
            raise ValueError("A row's number may be added only once.")

    def reserve(self, count: int) -> None:
        """Make room for N = count, so that `add` cannot run out of memory."""
        if count > len(self._numbers):
            self._grow(max(count, len(self._numbers) + len(self._numbers) // 8))

    def remove(self, numbers: Sequence[int]) -> list[Move]:
        """Drop checked rows. For each: the slot that it had, and the one whose row moved there."""
        moves = []
        for number in numbers:
            slot = self._slots.pop(number)
            last = len(self._slots)
            if slot != last:
                self._codes[slot] = self._codes[last]
                self._numbers[slot] = self._numbers[last]
                self._subjects[slot] = self._subjects[last]
                self._slots[int(self._numbers[slot])] = slot
            # A removed embedding must not linger in memory.
            self._codes[last] = 0
            moves.append((slot, last))
        self._index.ntotal = len(self)
        return moves

    def add(self, numbers: Numbers, subject_numbers: Numbers, half: HalfRows) -> None:
        """Append checked rows at the slots from N on."""
        first, end = len(self), len(self) + len(numbers)
        self.reserve(end)
        self._codes[first:end] = half.codes
        self._numbers[first:end] = numbers
        self._subjects[first:end] = subject_numbers
        self._slots.update(zip(numbers.tolist(), range(first, end), strict=True))
        self._index.ntotal = end
        self.rounding = max(self.rounding, half.rounding)

    def slots(self, numbers: Numbers) -> Numbers:
        """Slots of some numbers, int64 (len,). KeyError: a number that is not there."""
        return np.array([self._slots[n] for n in numbers.tolist()], dtype=np.int64)

    def nearest(self, probes_BD: Embeddings, count: int) -> tuple[Embeddings, Numbers]:
        """FAISS's squared distances and slots (B, K), K = count <= N, nearest first.

        FAISS sums squared differences in float32, so each sum is off by a factor within
        1 ± (D + 4) 2^-24 and by the squares that underflow; of a probe whose squares overflow
        the last slots are -1.
        """
        # OpenMP keeps this setting a thread; many searches at once share the cores as they are.
        faiss.omp_set_num_threads(1)
        squared_BK, slots_BK = self._index.search(probes_BD, count)
        return squared_BK, slots_BK

    def distances(self, probe_D: Embeddings, slots_K: Numbers) -> Float:
        """Euclidean distances of one probe to rows as they are held, in float64 (K,)."""
        probe = probe_D.astype(np.float64)
        step = max(1, PART_NUMBERS // self.size)
        distances_K = np.empty(len(slots_K))
        for first in range(0, len(slots_K), step):
            gaps_KD = self._codes[slots_K[first : first + step]] - probe
            distances_K[first : first + step] = np.sqrt(np.square(gaps_KD).sum(axis=1))
        return distances_K

    def _grow(self, capacity: int) -> None:
        # The small arrays come first: no memory left must change nothing.
        numbers, subjects = np.zeros((2, capacity), dtype=np.int64)
        self._index.codes.resize(capacity * self.size * 2)
        numbers[: len(self)] = self.numbers
        subjects[: len(self)] = self.subject_numbers
        self._numbers, self._subjects = numbers, subjects
        memory = faiss.rev_swig_ptr(self._index.codes.data(), capacity * self.size * 2)
        self._codes = memory.view(np.float16).reshape(capacity, self.size)
