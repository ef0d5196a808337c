"""Bar: requests share batches where that is no loss, and one who is alone hardly notices.

    python -m benchmarks.batching [--bundle FOLDER]

On the CPU: crops a second of threads that each embed a crop at a time, as the service's workers do,
beside one thread that embeds batches, of what waits or of fixed size. Then what BatchingEmbedder
adds of the core for a caller who is alone, with a model that takes no time. Bars: the workers' way
is at least as fast as the best of one thread with batches, which is why requests share none on the
CPU; BatchingEmbedder adds less than 0.1 ms. The last line is the figure; the exit status is not 0
where a bar does not hold. On CUDA, where it is used, this measures nothing.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.contenders import bundle_at
from contract.errors import OneGlanceError
from service.batching.embedder import BatchingEmbedder
from service.embedder import Embeddings, Pixels, Precision, TorchScriptEmbedder
from service.options import EmbedderRuntime
from service.settings import SHIPPED_BUNDLE

ROUNDS: Final = 5
SECONDS: Final = 1.0
BATCHES: Final = (1, 2, 4, 8)
CALLS: Final = 2_000
ADDED_MS: Final = 0.1

Embed = Callable[[Pixels], Embeddings]


class Instant:
    """An embedder that takes no time."""

    device = "cuda"
    runtime: EmbedderRuntime = "torchscript"
    precision: Precision = "float32"

    def __init__(self) -> None:
        self._answer = np.zeros((1, 128), dtype=np.float32)

    def embed(self, crops_BHW3: Pixels) -> Embeddings:
        """The same each time."""
        return self._answer[: len(crops_BHW3)]


def rate(embed: Embed, crops: Pixels, *, threads: int) -> float:
    """Crops a second of so many threads that embed these again and again."""
    until = time.perf_counter() + SECONDS

    def work(_: int) -> int:
        done = 0
        while time.perf_counter() < until:
            embed(crops)
            done += len(crops)
        return done

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(work, range(threads)))
    return done / (time.perf_counter() - start)


def rates(embedder: TorchScriptEmbedder, *, threads: int) -> tuple[float, dict[str, float]]:
    """Of the workers, and of one thread with batches: medians of rounds that take turns."""
    crops = np.random.default_rng(0).integers(0, 256, (max(BATCHES), 112, 112, 3), dtype=np.uint8)
    batching = BatchingEmbedder(embedder, max_batch_faces=max(BATCHES))
    workers: list[float] = []
    batched: dict[str, list[float]] = {}
    for _ in range(ROUNDS + 1):
        workers.append(rate(embedder.embed, crops[:1], threads=threads))
        shared = rate(batching.embed, crops[:1], threads=threads)
        batched.setdefault("what waits", []).append(shared)
        for size in BATCHES:
            one = rate(embedder.embed, crops[:size], threads=1)
            batched.setdefault(f"batch of {size}", []).append(one)
    medians = {name: statistics.median(found[1:]) for name, found in batched.items()}
    return statistics.median(workers[1:]), medians


def added_ms() -> float:
    """By BatchingEmbedder, for a caller who is alone."""
    crops = np.zeros((1, 112, 112, 3), dtype=np.uint8)
    plain = Instant()
    batching = BatchingEmbedder(plain, max_batch_faces=64)
    return statistics.median(
        (seconds(batching.embed, crops) - seconds(plain.embed, crops)) / CALLS * 1_000
        for _ in range(ROUNDS)
    )


def seconds(embed: Embed, crops: Pixels) -> float:
    """Of the core, for CALLS calls: the machine is shared, and nothing here waits."""
    start = time.thread_time()
    for _ in range(CALLS):
        embed(crops)
    return time.thread_time() - start


def main(arguments: list[str] | None = None) -> int:
    """0 if both bars hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=SHIPPED_BUNDLE, help="default: %(default)s")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    threads = os.cpu_count() or 1
    try:
        embedder = TorchScriptEmbedder(bundle_at(args.bundle), device="cpu")
    except OneGlanceError as error:
        print(f"batching: {error}", file=sys.stderr)
        return 2
    workers, batched = rates(embedder, threads=threads)
    added = added_ms()
    for name, found in batched.items():
        print(f"one thread, {name}: {found:.1f} crops/s")
    gain = workers / max(batched.values())
    print(
        f"{threads} threads with a crop each: {workers:.1f} crops/s, {gain:.2f} times the best of "
        f"one thread with batches (bar: 1); batching adds {added:.4f} ms to one who is alone "
        f"(bar: {ADDED_MS})"
    )
    return 0 if gain >= 1 and added < ADDED_MS else 1


if __name__ == "__main__":
    sys.exit(main())
