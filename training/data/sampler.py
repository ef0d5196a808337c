"""P x K batches: P identities, K images of each.

The plan of an epoch follows from the seed and the epoch alone, so a resumed run sees the same
batches. Processes that train together draw the same global batch and take a block of it each.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """identities: P. images_each: K, at least 2, so that each anchor has a positive.

    weight_power: identities are drawn with probability n ** weight_power for n images; 1 shows
    every image equally often, 0 every identity.
    """

    identities: int = 32
    images_each: int = 3
    weight_power: float = 0.7

    def __post_init__(self) -> None:
        if self.identities < 2 or self.images_each < 2:
            raise ValueError("A batch needs at least 2 identities with 2 images each.")

    @property
    def size(self) -> int:
        """Images in a batch."""
        return self.identities * self.images_each


def epoch_batches(
    labels_N: Indices, config: BatchConfig, *, seed: int, epoch: int
) -> list[Indices]:
    """Batches of indices into `labels_N`, each int64 (P * K,) ordered by identity.

    Identities of fewer than K images repeat them (augmentation tells the copies apart).
    Raises ValueError with fewer identities than a batch asks for.
    """
    identities, counts = np.unique(labels_N, return_counts=True)
    if len(identities) < config.identities:
        raise ValueError(
            f"A batch asks for {config.identities} identities, the data has {len(identities)}."
        )
    rng = np.random.default_rng([seed, epoch])
    by_identity = np.split(np.argsort(labels_N, kind="stable"), np.cumsum(counts)[:-1])
    weights = counts**config.weight_power
    weights /= weights.sum()
    batches = []
    for _ in range(max(1, len(labels_N) // config.size)):
        chosen = rng.choice(len(identities), config.identities, replace=False, p=weights)
        picks = [_pick(by_identity[i], config.images_each, rng) for i in chosen]
        batches.append(np.concatenate(picks))
    return batches


def rank_rows(batch: Indices, rank: int, world: int) -> Indices:
    """The rows of a global batch that process `rank` of `world` embeds: one block, in order.

    Raises ValueError unless every process gets as many.
    """
    if len(batch) % world:
        raise ValueError(
            f"A batch of {len(batch)} images cannot be shared by {world} processes: choose "
            "batch.identities x batch.images_each as a multiple of it."
        )
    size = len(batch) // world
    return batch[rank * size : (rank + 1) * size]


def _pick(images: Indices, wanted: int, rng: np.random.Generator) -> Indices:
    repeats = -(-wanted // len(images))
    return np.concatenate([rng.permutation(images) for _ in range(repeats)])[:wanted]
