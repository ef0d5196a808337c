"""Bars of mining: speed against loops over pairs in the same run, and memory in O(B^2).

A step is hardest mining, the exponential loss and its backward pass: one core, D = 128.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.plain_mining import loop_over_lists, loop_over_tensors
from training.losses.config import LossConfig, MiningConfig, Pairs
from training.losses.triplets import TripletMetric

SIZE = 128
D_MAX = 2.0
# Times faster than the loop of tensor operations, at each batch size.
BARS = {90: 100.0, 510: 500.0}
# Peak memory may grow by so much as B doubles: 4 in O(B^2), 8 in O(B^3).
MEMORY_BAR = 4.4
MEMORY_SIZES: dict[Pairs, tuple[int, int, int]] = {
    "hardest": (1000, 2000, 4000),
    "all": (500, 1000, 2000),
}

Step = Callable[[Tensor, Tensor], Tensor]


def metric(pairs: Pairs) -> TripletMetric:
    """Exponential on the hardest pairs, standard on all triplets."""
    config = LossConfig(
        metric="exponential" if pairs == "hardest" else "standard", mining=MiningConfig(pairs=pairs)
    )
    return TripletMetric(config, embedding_size=SIZE, class_radius=0.0, d_max=D_MAX, batch_size=0)


def batch(size: int) -> tuple[Tensor, Tensor]:
    """Random unit vectors, three to a class."""
    rows_BD = torch.randn(size, SIZE, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(rows_BD, dim=1).requires_grad_(), torch.arange(size) // 3


def median_ms(step: Step, size: int, repeats: int) -> tuple[float, float, Tensor]:
    """Milliseconds of this core in a step, forward and backward; its loss; the gradient.

    Of the core and not of the clock, so that other processes do not count.
    """
    embeddings_BD, labels_B = batch(size)
    times = []
    for _ in range(repeats):
        embeddings_BD.grad = None
        start = time.thread_time()
        loss = step(embeddings_BD, labels_B)
        loss.backward()
        times.append(time.thread_time() - start)
    assert embeddings_BD.grad is not None
    return 1000 * statistics.median(times), float(loss.detach()), embeddings_BD.grad


def ratio_at(size: int) -> float:
    """How many times faster than the loop of tensor operations a step is."""
    hardest = metric("hardest")

    def ours(embeddings_BD: Tensor, labels_B: Tensor) -> Tensor:
        return hardest(embeddings_BD, labels_B).loss

    def tensors(embeddings_BD: Tensor, labels_B: Tensor) -> Tensor:
        return loop_over_tensors(embeddings_BD, labels_B, D_MAX)

    def lists(embeddings_BD: Tensor, labels_B: Tensor) -> Tensor:
        return loop_over_lists(embeddings_BD, labels_B, D_MAX)

    median_ms(ours, size, 20)  # warm
    before, loss, gradient = median_ms(ours, size, 50)
    of_tensors, expected, expected_gradient = median_ms(tensors, size, 3)
    of_lists, _, _ = median_ms(lists, size, 3)
    after, _, _ = median_ms(ours, size, 50)
    if abs(loss - expected) > 1e-5 or not torch.allclose(gradient, expected_gradient, atol=1e-6):
        raise SystemExit(f"B={size}: loss {loss}, the loop's {expected}, or their gradients differ")
    mine = statistics.mean([before, after])
    print(
        f"B={size}: {mine:.2f} ms a step; a loop of tensor operations {of_tensors:.0f} ms, "
        f"{of_tensors / mine:.0f} times as long; one distance matrix and a loop over lists "
        f"{of_lists:.1f} ms, {of_lists / mine:.0f} times as long"
    )
    return of_tensors / mine


def peak_bytes(pairs: Pairs, size: int) -> int:
    """`measure_peak` in a process of its own, whose allocator has seen no other batch."""
    command = [sys.executable, "-m", "benchmarks.mining", "--pairs", pairs, "--size", str(size)]
    # Each tensor in a mapping of its own, which leaves the process together with it.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return int(run.stdout)


def measure_peak(pairs: Pairs, size: int) -> int:
    """What a step adds to the memory of a process that has run a small one, at its peak. Linux."""
    step = metric(pairs)

    def run(rows: int) -> None:
        embeddings_BD, labels_B = batch(rows)
        step(embeddings_BD, labels_B).loss.backward()

    run(30)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from now on
    before = status_bytes("VmRSS")
    run(size)
    return status_bytes("VmHWM") - before


def status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def growth_of(pairs: Pairs) -> float:
    """The largest factor by which the peak grows as B doubles."""
    sizes = MEMORY_SIZES[pairs]
    peaks = [peak_bytes(pairs, size) for size in sizes]
    factors = [after / before for before, after in pairwise(peaks)]
    shown = ", ".join(f"{p / 2**20:.0f} MiB at {s}" for p, s in zip(peaks, sizes, strict=True))
    print(f"peak memory, {pairs} pairs: {shown}; times {', '.join(f'{f:.2f}' for f in factors)}")
    return max(factors)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", choices=("hardest", "all"), help="measure one peak")
    parser.add_argument("--size", type=int, default=0, help="B of that peak")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.pairs:
        print(measure_peak(args.pairs, args.size))
        return 0
    ratios = {size: ratio_at(size) for size in BARS}
    growth = max(growth_of(pairs) for pairs in MEMORY_SIZES)
    holds = all(ratios[size] >= bar for size, bar in BARS.items()) and growth <= MEMORY_BAR
    speeds = ", ".join(f"{ratios[s]:.0f} at B={s} (bar {bar:.0f})" for s, bar in BARS.items())
    print(
        f"mining {'holds' if holds else 'misses its bars'}: times faster than the loop {speeds}; "
        f"memory times {growth:.2f} as B doubles (bar {MEMORY_BAR})"
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
