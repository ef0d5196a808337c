"""Hardest positive and hardest negative of each anchor, on one distance matrix.

Shapes: B batch, D embedding size, A anchors kept (those with a positive and a negative).
"""

from typing import NamedTuple

import torch
from torch import Tensor


class HardestPairs(NamedTuple):
    """Distances of each kept anchor to its hardest positive and negative, float (A,)."""

    positive_A: Tensor
    negative_A: Tensor


def pairwise_distances(embeddings_BD: Tensor) -> Tensor:
    """Euclidean distances (B, B), float32 or wider; differentiable, zero where two are equal.

    Differences are formed one by one: the faster |x|^2 + |y|^2 - 2xy loses the small distances
    that the hardest positives live on.
    """
    wide = embeddings_BD if embeddings_BD.dtype == torch.float64 else embeddings_BD.float()
    return torch.cdist(wide, wide, compute_mode="donot_use_mm_for_euclid_dist")


def hardest_pairs(distances_BB: Tensor, labels_B: Tensor) -> HardestPairs:
    """Longest distance to another sample of the class, shortest to one of another class.

    An anchor without a positive or without a negative is left out; with none left both tensors
    are empty and still differentiable.
    """
    same_BB = labels_B[:, None] == labels_B[None, :]
    itself_BB = torch.eye(len(labels_B), dtype=torch.bool, device=labels_B.device)
    positive_BB = same_BB & ~itself_BB
    kept_B = positive_BB.any(dim=1) & (~same_BB).any(dim=1)
    hardest_positive_B = distances_BB.masked_fill(~positive_BB, -torch.inf).amax(dim=1)
    hardest_negative_B = distances_BB.masked_fill(same_BB, torch.inf).amin(dim=1)
    return HardestPairs(hardest_positive_B[kept_B], hardest_negative_B[kept_B])
