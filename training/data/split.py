"""Splits by identity: what is held out was never trained on, not even by another photo."""

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


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
