"""Exponential triplet loss (Urtans, Nikitenko, Vecins, ICCDA 2020).

    L = -C_pos * log(1 - [emb_p - c_n]+ / (1 - c_n)) - C_neg * log(1 - [0.5 - emb_n]+ / 0.5)

emb_p, emb_n: distances to the mined positive and negative, divided by d_max, in [0, 1].
c_n = overlap / K: the radius that one of K classes may fill. 0.5 is half of d_max: negatives need
only be half the space apart, which spreads the classes through all of it.

Where we differ from the paper: it adds an epsilon of 1e-20 inside the log, which is nothing in
float32, so its gradient overflows near 1. We clamp the share that the log sees below 1 instead.

Shapes: P pairs of an anchor and a positive, N pairs of an anchor and a negative.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from training.losses.config import Reduction
from training.mining.distances import at_least_float32

# Largest share inside log(1 - share): keeps loss (at most 13.8) and gradient (at most 1e6) finite.
MAX_SHARE = 1.0 - 1e-6


def exponential_triplet_loss(
    positive_P: Tensor,
    negative_N: Tensor,
    *,
    class_radius: float,
    c_pos: float = 1.0,
    c_neg: float = 1.0,
    reduction: Reduction = "inside_log",
) -> Tensor:
    """Loss of the mined pairs, a scalar, float32 or wider.

    positive_P, negative_N: distances divided by d_max. class_radius: c_n in [0, 1).
    reduction: `inside_log` takes the mean over pairs and then the log (the authors' code),
        `outside_log` the mean of each pair's log (their slides).
    No pairs give a differentiable zero. Raises ValueError if class_radius is out of range.
    """
    if not 0 <= class_radius < 1:
        raise ValueError(f"class_radius must be in [0, 1), not {class_radius}: lower the overlap.")
    too_far = barrier(positive_P, edge=class_radius, end=1.0, reduction=reduction)
    too_near = barrier(negative_N, edge=0.5, end=0.0, reduction=reduction)
    return c_pos * too_far + c_neg * too_near


def barrier(distance_A: Tensor, *, edge: float, end: float, reduction: Reduction) -> Tensor:
    """-log(1 - share), share = [(distance - edge) / (end - edge)]+, float32 or wider, a scalar.

    So distances cost nothing before the edge, and without bound towards the end; `end` may lie on
    either side of `edge`. No distances give a differentiable zero.
    """
    if len(distance_A) == 0:
        return distance_A.sum()
    inside = reduction == "inside_log"
    barriers: Tensor = _Barrier.apply(at_least_float32(distance_A), edge, end - edge, inside)
    return barriers if inside else barriers.mean()


class _Barrier(torch.autograd.Function):
    """The log of the mean share, or of each share, with value and slope of at most MAX_SHARE.

    By hand, because a clamp has slope zero beyond its end, and the worst pairs of all would never
    be mended: the slope stays that of MAX_SHARE, 1e6.
    """

    @staticmethod
    def forward(ctx: Any, distance_A: Tensor, edge: float, span: float, inside: bool) -> Tensor:
        share_A = torch.relu((distance_A - edge) / span)
        shares = (share_A.mean() if inside else share_A).clamp_max(MAX_SHARE)
        ctx.save_for_backward(share_A, shares)
        ctx.divisor = span * (len(share_A) if inside else 1)
        return -torch.log1p(-shares)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        share_A, shares = ctx.saved_tensors
        slope = gradient / ((1 - shares) * ctx.divisor)
        return slope * (share_A > 0), None, None, None
