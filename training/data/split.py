"""Splits: what training sees, and what validation keeps for itself.

Shapes: N images.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.data.pack import Pack

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """by: `identity` holds whole identities out (zero-shot), `sample` images of every identity.

    holdout_share: share of the identities, or of the images of each, kept out of training.
    min_images: by identity, those of fewer images are held out too: they have no pair to learn
        from, and make good strangers for validation.
    """

    by: Literal["identity", "sample"] = "identity"
    holdout_share: float = 0.05
    min_images: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.holdout_share < 1:
            raise ValueError(f"holdout_share must be in (0, 1), not {self.holdout_share}.")
        if self.min_images < 2:
            raise ValueError(f"min_images must be at least 2, not {self.min_images}.")


def split_by_identity(
    labels_N: Indices, *, holdout_share: float, min_images: int, seed: int
) -> tuple[Indices, Indices]:
    """Indices of the training images and of the held-out images, both sorted.

    Held out are identities of fewer than `min_images` images, and `holdout_share` of the others,
    drawn with `seed`: the same labels and seed give the same split.
    Raises ValueError unless two identities of `min_images` images are there, one for each side.
    """
    identities, counts = np.unique(labels_N, return_counts=True)
    usable = identities[counts >= min_images]
    if len(usable) < 2:
        raise ValueError(f"A split needs two identities of at least {min_images} images.")
    held_out = min(max(1, round(holdout_share * len(usable))), len(usable) - 1)
    trained = np.random.default_rng(seed).permutation(usable)[held_out:]
    is_held_out = ~np.isin(labels_N, trained)
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def split_by_sample(
    labels_N: Indices, *, holdout_share: float, seed: int
) -> tuple[Indices, Indices]:
    """Indices of the training images and of the held-out images, both sorted.

    Of each identity `holdout_share` of its images is held out, rounded up or down by chance so that
    the share holds over many small identities, too; one image at least stays in training.
    Raises ValueError unless an identity has two images.
    """
    _, counts = np.unique(labels_N, return_counts=True)
    if not len(counts) or counts.max() < 2:
        raise ValueError("A split by sample needs an identity of at least two images.")
    rng = np.random.default_rng(seed)
    wanted = np.floor(holdout_share * counts + rng.random(len(counts))).astype(np.int64)
    wanted = np.minimum(wanted, counts - 1)
    if not wanted.any():  # something has to be there to validate on
        wanted[counts.argmax()] = 1
    is_held_out = np.zeros(len(labels_N), dtype=np.bool_)
    by_identity = np.split(np.argsort(labels_N, kind="stable"), np.cumsum(counts)[:-1])
    for images, count in zip(by_identity, wanted, strict=True):
        is_held_out[rng.permutation(images)[:count]] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def split_pack(pack: Pack, config: SplitConfig, seed: int) -> tuple[Indices, Indices]:
    """Indices into `pack` of the training images and of the held-out images, both sorted.

    Images of the pack's own test split are in neither, whoever they show: they are for evaluation.
    The others are split as `config` says.
    Raises ValueError where there is too little to split.
    """
    usable = np.flatnonzero(np.asarray(pack.index.splits) == "train")
    if not len(usable):
        raise ValueError(f"{pack.root} has test images only: there is nothing to train on.")
    labels = pack.labels[usable]
    if config.by == "sample":
        train, held_out = split_by_sample(labels, holdout_share=config.holdout_share, seed=seed)
    else:
        train, held_out = split_by_identity(
            labels, holdout_share=config.holdout_share, min_images=config.min_images, seed=seed
        )
    return usable[train], usable[held_out]
