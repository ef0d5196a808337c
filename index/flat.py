"""Exact search by FAISS: every template is looked at, in float32, and the best are re-scored.

Shapes: B probes, N templates, K of them that FAISS returns, D embedding size.
"""

from collections.abc import Iterable

import faiss
import numpy as np
import numpy.typing as npt

from contract.similarity import Float, pairwise_similarity, similarity_from_distance
from index.records import Embeddings, Hit, Numbers, TemplateBatch

_FIRST_CAPACITY = 1024
_PART_NUMBERS = 1 << 19  # float64 numbers held at once while scoring: 4 MiB
_FLOAT32 = np.finfo(np.float32)


class FlatIndex:
    """SearchIndex over one dense array of rows, with a table from template number to row.

    The rows are ours and FAISS's kernel runs over them (faiss.knn, what IndexFlatL2 calls too):
    a removal moves the last row into the gap, O(D), where FAISS's own removal shifts all rows.

    FAISS answers in float32 and, for large batches, by |x|² + |y|² - 2xy, which loses all digits
    where x is near y. So it only chooses: what it returns is scored again in float64, and a search
    is settled once the first template that it left out cannot, within its rounding error, reach
    the last subject in the answer. Otherwise K grows. Results equal ExactIndex's, bit by bit.
    """

    def __init__(self, *, size: int, d_max: float) -> None:
        """size: D. d_max: see contract/similarity.py."""
        self._size = size
        self._d_max = d_max
        self._count = 0
        self._numbers: Numbers = np.zeros(_FIRST_CAPACITY, dtype=np.int64)
        self._subjects: Numbers = np.zeros(_FIRST_CAPACITY, dtype=np.int64)
        self._embeddings: Embeddings = np.zeros((_FIRST_CAPACITY, size), dtype=np.float32)
        self._rows: dict[int, int] = {}
        # Largest Euclidean norm ever held: the scale of FAISS's rounding error.
        self._reach = 0.0

    def __len__(self) -> int:
        return self._count

    def add(self, batch: TemplateBatch) -> None:
        """See SearchIndex."""
        if batch.embeddings.shape != (len(batch), self._size):
            raise ValueError(f"Templates must have the shape (N, {self._size}).")
        numbers = batch.numbers.tolist()
        end = self._count + len(numbers)
        rows = dict(zip(numbers, range(self._count, end), strict=True))
        if len(rows) < len(numbers) or not self._rows.keys().isdisjoint(rows):
            raise ValueError("A template number may be added only once.")
        if not rows:
            return
        self._grow(end)
        new = slice(self._count, end)
        self._numbers[new] = batch.numbers
        self._subjects[new] = batch.subject_numbers
        self._embeddings[new] = batch.embeddings
        self._reach = max(self._reach, float(_norms(batch.embeddings).max()))
        self._rows.update(rows)
        self._count = end

    def remove(self, numbers: Iterable[int]) -> None:
        """See SearchIndex."""
        gone = list(numbers)
        if len(set(gone)) < len(gone) or any(n not in self._rows for n in gone):
            raise ValueError("Only templates that are there can be removed, each once.")
        for number in gone:
            row, last = self._rows.pop(number), self._count - 1
            if row != last:
                self._numbers[row] = self._numbers[last]
                self._subjects[row] = self._subjects[last]
                self._embeddings[row] = self._embeddings[last]
                self._rows[int(self._numbers[row])] = row
            # A removed embedding must not linger in memory.
            self._embeddings[last] = 0
            self._count = last

    def search(self, probes_BD: Embeddings, *, top_k: int) -> list[list[Hit]]:
        """See SearchIndex."""
        found: list[list[Hit]] = [[] for _ in probes_BD]
        open_B = np.arange(len(probes_BD))
        error = self._rounding_error(probes_BD)
        # Some room for further templates of the same subjects; then ever more.
        k = 2 * top_k + 14
        while len(open_B) and k < self._count and error is not None:
            rows_BK, squared_BK = self._nearest(probes_BD[open_B], k)
            similarities_BK = self._similarities(probes_BD[open_B], rows_BK)
            # No template beyond FAISS's answer is more similar than this.
            left_out_B = similarity_from_distance(
                np.sqrt(np.maximum(squared_BK[:, -1].astype(np.float64) - error, 0)), self._d_max
            )
            answers = self._best(rows_BK, similarities_BK, top_k)
            unsettled = []
            for i, hits, left_out in zip(open_B.tolist(), answers, left_out_B, strict=True):
                if len(hits) == top_k and left_out < hits[-1].similarity:
                    found[i] = hits
                else:
                    unsettled.append(i)
            open_B = np.array(unsettled, dtype=np.int64)
            k *= 4
        all_1N = np.arange(self._count)[None]
        for i in open_B.tolist():
            (found[i],) = self._best(all_1N, self._scan(probes_BD[i]), top_k)
        return found

    def templates(self) -> TemplateBatch:
        """See SearchIndex."""
        held = slice(self._count)
        return TemplateBatch(
            numbers=self._numbers[held].copy(),
            subject_numbers=self._subjects[held].copy(),
            embeddings=self._embeddings[held].copy(),
        )

    def _grow(self, needed: int) -> None:
        capacity = len(self._numbers)
        if needed <= capacity:
            return
        capacity = max(needed, 2 * capacity)
        # All three are made before one is taken: no memory left must change nothing.
        numbers = np.zeros(capacity, dtype=np.int64)
        subjects = np.zeros(capacity, dtype=np.int64)
        embeddings = np.zeros((capacity, self._size), dtype=np.float32)
        held = slice(self._count)
        numbers[held] = self._numbers[held]
        subjects[held] = self._subjects[held]
        embeddings[held] = self._embeddings[held]
        self._numbers, self._subjects, self._embeddings = numbers, subjects, embeddings

    def _nearest(self, probes_BD: Embeddings, k: int) -> tuple[Numbers, Embeddings]:
        """Rows (B, K) and squared distances (B, K) of the nearest templates, by FAISS."""
        # OpenMP keeps this setting a thread; many searches at once share the cores as they are.
        faiss.omp_set_num_threads(1)
        squared_BK, nearest_BK = faiss.knn(probes_BD, self._embeddings[: self._count], k)
        return nearest_BK, squared_BK

    def _rounding_error(self, probes_BD: Embeddings) -> float | None:
        """Bound on the error of FAISS's squared distances; None where they may overflow.

        A float32 dot product of length D is off by at most about D u |x||y|, u = 2^-24 (Higham,
        Accuracy and Stability of Numerical Algorithms, 3.1), so |x|² + |y|² - 2xy is by
        D u (|x| + |y|)²; twice that here, and the smallest normal number for what underflows.
        """
        largest = (self._reach + float(_norms(probes_BD).max(initial=0.0))) ** 2
        if 4 * largest > float(_FLOAT32.max):
            return None
        relative = (self._size + 8) * float(_FLOAT32.eps)
        return relative * largest + self._size * float(_FLOAT32.tiny)

    def _similarities(self, probes_BD: Embeddings, rows_BK: Numbers) -> Float:
        """Similarities (B, K) of each probe to its own rows, by contract.similarity's formula."""
        # In parts: the differences of all would take B K D float64 numbers.
        step = max(1, _PART_NUMBERS // (rows_BK.shape[1] * self._size))
        distances_BK = np.empty(rows_BK.shape)
        for i in range(0, len(rows_BK), step):
            part = slice(i, i + step)
            probes_B1D = probes_BD[part, None].astype(np.float64)
            gaps_BKD = self._embeddings[rows_BK[part]] - probes_B1D
            distances_BK[part] = np.sqrt(np.square(gaps_BKD).sum(axis=-1))
        return similarity_from_distance(distances_BK, self._d_max)

    def _scan(self, probe_D: Embeddings) -> Float:
        """Similarities (1, N) of one probe to all rows, without FAISS: for ties and extremes."""
        step = max(1, _PART_NUMBERS // self._size)
        held = self._embeddings[: self._count]
        parts = [
            pairwise_similarity(probe_D[None], held[i : i + step], self._d_max)
            for i in range(0, self._count, step)
        ]
        return np.concatenate(parts, axis=1) if parts else np.zeros((1, 0))

    def _best(self, rows_BK: Numbers, similarities_BK: Float, top_k: int) -> list[list[Hit]]:
        """The best subjects among some rows of each probe, in the order of SearchIndex.search."""
        subjects_BK, numbers_BK = self._subjects[rows_BK], self._numbers[rows_BK]
        order_BK = np.lexsort((numbers_BK, subjects_BK, -similarities_BK), axis=-1)
        found = []
        for subjects_K, numbers_K, similarities_K, order_K in zip(
            subjects_BK, numbers_BK, similarities_BK, order_BK, strict=True
        ):
            best: dict[int, Hit] = {}
            for i in order_K.tolist():
                subject = int(subjects_K[i])
                if subject in best:
                    continue
                best[subject] = Hit(
                    subject_number=subject,
                    template_number=int(numbers_K[i]),
                    similarity=float(similarities_K[i]),
                )
                if len(best) == top_k:
                    break
            found.append(list(best.values()))
        return found


def _norms(embeddings_ND: Embeddings) -> npt.NDArray[np.float64]:
    squared_N: npt.NDArray[np.float64] = np.square(embeddings_ND, dtype=np.float64).sum(axis=1)
    return np.sqrt(squared_N)
