"""Bar: a pack feeds 20,000 images of 112 x 112 a second without augmentation, 2,000 with.

    python -m benchmarks.feed

Random pixels in a temporary folder, batches of 96 by the real sampler, from page cache, on two
cores: the thread of the feed gathers, one thread of torch computes (a second one is faster where
nothing else runs, and much slower where something does: torch's threads wait for each other).
Three rates: uint8 batches as the trainer gets them, the same converted to [-1, 1], and
augmented by the default config. Medians of several rounds; the exit status is not 0 below a bar.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.data.augment import apply, draw
from training.data.augment_config import AugmentConfig
from training.data.feed import Feed
from training.data.pack import Pack, PackIndex, open_pack, write_pack
from training.data.sampler import BatchConfig, Indices, epoch_batches

IMAGES, IDENTITIES, SIDE_PX = 20_000, 2_000, 112
BATCH = BatchConfig(identities=32, images_each=3)
PREFETCHED_BATCHES = 4
TORCH_THREADS = 1  # beside the thread of the feed
ROUNDS = 7
PLAIN_BAR, AUGMENTED_BAR = 20_000, 2_000  # images a second
NOTHING = AugmentConfig(
    flip=False, shift=0, scale=0, turn_degrees=0, light=0, color=0, grey=0, low_resolution=0,
    erase=0,
)  # fmt: skip

Step = Callable[[Tensor], object]


def random_pack(root: Path) -> Pack:
    """IMAGES random images, as many of each identity; 752 MB."""
    shape = (IMAGES, SIDE_PX, SIDE_PX, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    index = PackIndex(
        source="random",
        alignment="five_point_112",
        identities=tuple(str(i) for i in range(IDENTITIES)),
        paths=tuple(str(i) for i in range(IMAGES)),
        labels=tuple(i % IDENTITIES for i in range(IMAGES)),
        splits=("train",) * IMAGES,
        unused=(),
    )
    write_pack(root, index, pixels)
    return open_pack(root)


def rate(pack: Pack, batches: list[Indices], step: Step) -> float:
    """Images a second that the feed delivers while `step` is done to each batch."""
    started = time.perf_counter()
    for images in Feed(pack.images, batches, prefetch=PREFETCHED_BATCHES):
        step(images)
    return sum(len(batch) for batch in batches) / (time.perf_counter() - started)


def converted(images: Tensor) -> Tensor:
    """What a config without any augmentation does."""
    return apply(images, draw(len(images), NOTHING, torch.Generator()), NOTHING)


def augmented(images: Tensor) -> Tensor:
    """As the trainer does it: a plan for each batch from a generator of its own."""
    config = AugmentConfig()
    return apply(images, draw(len(images), config, torch.Generator().manual_seed(0)), config)


def measure(pack: Pack, step: Step, *, share: int) -> float:
    """Median rate over ROUNDS epochs, of which the first 1 / share is taken; one more to warm."""
    rates = []
    for epoch in range(ROUNDS + 1):
        batches = epoch_batches(pack.labels, BATCH, seed=0, epoch=epoch)
        rates.append(rate(pack, batches[: len(batches) // share], step))
    return statistics.median(rates[1:])


def main() -> int:
    """0 if both bars hold."""
    torch.set_num_threads(TORCH_THREADS)
    with tempfile.TemporaryDirectory() as folder:
        pack = random_pack(Path(folder))
        pack.images.sum(dtype=np.int64)  # all of it into the page cache
        load = os.getloadavg()[0]
        plain = measure(pack, len, share=1)
        float_rate = measure(pack, converted, share=1)
        changed = measure(pack, augmented, share=10)
    print(f"{IMAGES} images, batches of {BATCH.size}, load {load:.2f} before")
    print(f"converted to float in [-1, 1]: {float_rate:,.0f} images/s")
    print(
        f"{plain:,.0f} images/s without augmentation (bar: {PLAIN_BAR:,}), "
        f"{changed:,.0f} with (bar: {AUGMENTED_BAR:,})"
    )
    return 0 if plain >= PLAIN_BAR and changed >= AUGMENTED_BAR else 1


if __name__ == "__main__":
    sys.exit(main())
