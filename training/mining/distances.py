"""Distances between embeddings as shares of the largest one, in float32 or wider.

A `NormalisedDistance` knows three kinds. Each is a function of the squared Euclidean distance s of
two `points`, which are the embeddings themselves, or their directions for the cosine:

| kind | points | share in [0, 1] |
|---|---|---|
| euclidean | y | sqrt(s) / d_max |
| squared_euclidean | y | s / d_max^2 |
| cosine | y / length of y | s / 4 = (1 - cos) / 2 |

Matrices of distances are formed in float64, which every device of torch but Apple's MPS has.

In the space `none` embeddings may lie further apart than the d_max assumed; shares then exceed 1.

Shapes: A anchors, C candidates, P pairs, D embedding size (of points one more for the cosine).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from training.losses.config import Distance

# Of |x|^2 + |y|^2: what rounding may leave of a squared distance formed in float64.
ROUNDING = 1e-14


@dataclass(frozen=True, slots=True)
class NormalisedDistance:
    """d_max: largest Euclidean distance in the embedding space; the cosine does not need it."""

    kind: Distance
    d_max: float

    def points(self, x_BD: Tensor) -> Tensor:
        """What squared distances are taken of, float32 or float64.

        Of a vector of length zero the cosine is undefined: here it is at right angles to every
        other one (share 0.5) and equal to other zero vectors (share 0), by a coordinate of its own.
        """
        wide_BD = at_least_float32(x_BD)
        if self.kind != "cosine":
            return wide_BD
        norm_B1 = torch.linalg.vector_norm(wide_BD, dim=1, keepdim=True)
        zero_B1 = norm_B1 == 0
        unit_BD = wide_BD / norm_B1.masked_fill(zero_B1, 1.0)
        return torch.cat([unit_BD, zero_B1.to(unit_BD.dtype)], dim=1)

    def of_squares(self, squared: Tensor) -> Tensor:
        """Shares of squared distances of any shape; where those are zero the gradient is zero."""
        if self.kind == "squared_euclidean":
            return squared / self.d_max**2
        if self.kind == "cosine":
            return squared / 4
        return root(squared) / self.d_max


def at_least_float32(x: Tensor) -> Tensor:
    """float64 as it is, all other floats as float32."""
    return x if x.dtype == torch.float64 else x.float()


def root(squared: Tensor) -> Tensor:
    """Square root with gradient 0 instead of infinity at 0; of less than 0 it is 0."""
    rooted: Tensor = _Root.apply(squared)
    return rooted


def squared_of_pairs(points_CD: Tensor, row_P: Tensor, other_P: Tensor) -> Tensor:
    """|x - y|^2 (P,) of pairs of points given by their rows; exact to rounding.

    From differences: |x|^2 + |y|^2 - 2xy would lose the small distances.
    """
    squared_P: Tensor = _SquaredOfPairs.apply(points_CD, row_P, other_P)
    return squared_P


def squared_of_all(x_AD: Tensor, y_CD: Tensor) -> Tensor:
    """|x - y|^2 of every row of x with every row of y, float64 (A, C).

    From |x|^2 + |y|^2 - 2xy, which takes O(A * C) memory; in float64, so that small distances of
    float32 embeddings survive the cancellation, and so that no autocast or TF32 setting touches it.
    What is left below ROUNDING (1e-7 of the lengths) counts as zero: equal points.
    """
    wide_AD, wide_CD = x_AD.double(), y_CD.double()
    lengths_AC = wide_AD.square().sum(dim=1)[:, None] + wide_CD.square().sum(dim=1)
    squared_AC = lengths_AC - 2 * (wide_AD @ wide_CD.T)
    return squared_AC.masked_fill(squared_AC <= ROUNDING * lengths_AC.detach(), 0.0)


class _Root(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, squared: Tensor) -> Tensor:
        rooted = squared.clamp_min(0).sqrt()
        ctx.save_for_backward(rooted)
        return rooted

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (rooted,) = ctx.saved_tensors
        slope: Tensor = gradient / (2 * rooted)
        return slope.masked_fill(rooted == 0, 0.0)


class _SquaredOfPairs(torch.autograd.Function):
    """By hand, because autograd's own form walks P x D numbers twice as often."""

    @staticmethod
    def forward(ctx: Any, points_CD: Tensor, row_P: Tensor, other_P: Tensor) -> Tensor:
        difference_PD = points_CD.index_select(0, row_P).sub_(points_CD.index_select(0, other_P))
        ctx.save_for_backward(difference_PD, row_P, other_P)
        ctx.candidates = len(points_CD)
        return difference_PD.square().sum(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_P: Tensor) -> tuple[Tensor, None, None]:
        difference_PD, row_P, other_P = ctx.saved_tensors
        towards_PD = difference_PD * (2 * gradient_P)[:, None]
        gradient_CD = towards_PD.new_zeros(ctx.candidates, towards_PD.shape[1])
        gradient_CD.index_add_(0, row_P, towards_PD)
        gradient_CD.index_add_(0, other_P, towards_PD, alpha=-1)
        return gradient_CD, None, None
