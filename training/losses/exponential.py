"""Exponential triplet loss (Urtans, Nikitenko, Vecins, ICCDA 2020).

    L = -C_pos * log(1 - [emb_p - c_n]+ / (1 - c_n)) - C_neg * log(1 - [0.5 - emb_n]+ / 0.5)

emb_p, emb_n: distances to the mined positive and negative, divided by d_max, in [0, 1].
c_n = overlap / K: the radius that one of K classes may fill. 0.5 is half of d_max: negatives need
only be half the space apart, which spreads the classes through all of it.

Where we differ from the paper: it adds an epsilon of 1e-20 inside the log, which is nothing in
float32, so its gradient overflows near 1. We clamp the share that the log sees below 1 instead.

Shape: A anchors.
"""

from typing import Literal

import torch
from torch import Tensor

# Largest share inside log(1 - share): keeps loss (at most 13.8) and gradient finite.
MAX_SHARE = 1.0 - 1e-6

Reduction = Literal["inside_log", "outside_log"]


def exponential_triplet_loss(
    positive_A: Tensor,
    negative_A: Tensor,
    *,
    class_radius: float,
    c_pos: float = 1.0,
    c_neg: float = 1.0,
    reduction: Reduction = "inside_log",
) -> Tensor:
    """Loss of the mined pairs, a scalar.

    positive_A, negative_A: distances divided by d_max. class_radius: c_n in [0, 1).
    reduction: `inside_log` takes the mean over anchors and then the log (the authors' code),
        `outside_log` the mean of each anchor's log (their slides).
    No anchors give a differentiable zero. Raises ValueError if class_radius is out of range.
    """
    if not 0 <= class_radius < 1:
        raise ValueError(f"class_radius must be in [0, 1), not {class_radius}: lower the overlap.")
    if len(positive_A) == 0:
        return positive_A.sum() + negative_A.sum()
    too_far_A = (positive_A - class_radius).clamp_min(0) / (1 - class_radius)
    too_near_A = (0.5 - negative_A).clamp_min(0) / 0.5
    return c_pos * _barrier(too_far_A, reduction) + c_neg * _barrier(too_near_A, reduction)


def _barrier(share_A: Tensor, reduction: Reduction) -> Tensor:
    """-log(1 - share), share in [0, 1], reduced to a scalar."""
    if reduction == "inside_log":
        share_A = share_A.mean()
    return -torch.log1p(-share_A.clamp_max(MAX_SHARE)).mean()
