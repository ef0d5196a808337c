"""Which RaBitQ the gallery should use: recall and time by bits and by how many it is asked for.

    python -m benchmarks.rabitq_table

Share of the probes whose best row, by brute force in float32, is among the first k that FAISS's
RaBitQ finds, for photos of enrolled persons and for strangers, and the median milliseconds of a
search on one thread, without scoring the k rows again. Vectors as in benchmarks/face_like.py.
"""

import argparse
import statistics
import sys
import time
from typing import Any, Final

import faiss
import numpy as np

from benchmarks.face_like import FaceLike
from benchmarks.search import best_rows
from index.records import Embeddings

BITS: Final = (1, 2, 3)
COUNTS: Final = (16, 64, 128, 256, 512)


def built(population: FaceLike, rows: int, bits: int) -> tuple[Any, float]:
    """RaBitQ of that many bits behind a rotation, and the seconds that it took."""
    size = population.size
    rotation = faiss.RandomRotationMatrix(size, size)
    rotation.init(0)
    scan = faiss.IndexRaBitQFastScan(size, faiss.METRIC_L2, 32, bits)
    index: Any = faiss.IndexPreTransform(rotation, scan)
    index.train(next(population.templates(rows)))
    seconds = 0.0
    for chunk in population.templates(rows):
        start = time.perf_counter()
        index.add(chunk)
        seconds += time.perf_counter() - start
    return index, seconds


def median_ms(index: Any, probes_BD: Embeddings, count: int) -> float:
    """Milliseconds of this core for one probe."""
    times = []
    for i in range(min(50, len(probes_BD))):
        start = time.thread_time()
        index.search(probes_BD[i : i + 1], count)
        times.append(1000 * (time.thread_time() - start))
    return statistics.median(times)


def main(arguments: list[str] | None = None) -> int:
    """Always 0: it informs a choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--size", type=int, default=128, metavar="D")
    parser.add_argument("--probes", type=int, default=500)
    args = parser.parse_args(arguments)
    faiss.omp_set_num_threads(1)
    population = FaceLike(size=args.size)
    groups = {
        "mated": population.probes(args.probes, among=args.rows)[0],
        "strangers": FaceLike(size=args.size, seed=1).probes(args.probes, among=args.rows)[0],
    }
    best = {name: best_rows(population, args.rows, probes) for name, probes in groups.items()}
    print(f"D = {args.size}, N = {args.rows}\nbits    k   mated  strangers     ms", flush=True)
    for bits in BITS:
        index, seconds = built(population, args.rows, bits)
        for count in COUNTS:
            shares = [
                np.mean((index.search(probes, count)[1] == best[name][:, None]).any(axis=1))
                for name, probes in groups.items()
            ]
            ms = median_ms(index, groups["mated"], count)
            print(f"{bits:4} {count:4}  {shares[0]:.4f}     {shares[1]:.4f} {ms:6.2f}", flush=True)
        print(f"{bits:4} bits: built in {seconds:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
