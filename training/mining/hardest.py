"""Hardest positive and hardest negative of each anchor, as tensor operations.

Candidates are the anchors themselves, in order, and any further embeddings after them (those of a
cross-batch memory). Candidates of an anchor x are ordered by |y|^2 - 2xy, which is |x - y|^2 but
for a constant: one matrix product, O(A * C) memory, no gradient. The distances that the loss sees
are formed anew for the chosen pairs alone, which is exact and goes backward in O(A * D).

What is chosen is what the order in float64 says, to its rounding: where two candidates are nearer
to each other than the rounding of float32, their anchor is mined again in float64.

Shapes: A anchors, R anchors under consideration, C >= A candidates, D size of their points, T
anchors that have a positive and a negative.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from training.mining.distances import at_least_float32

# Multiplications from which a second look costs less than ordering everything in float64.
LARGE_PRODUCT = 4_000_000


class HardestPairs(NamedTuple):
    """Of each kept anchor: its row, and the rows of its pairs among the candidates, int64 (T,)."""

    anchor_T: Tensor
    positive_T: Tensor
    negative_T: Tensor


@torch.no_grad()
def hardest_pairs(points_CD: Tensor, labels_C: Tensor, anchors: int) -> HardestPairs:
    """Farthest candidate of the same class and nearest of another class, for the first `anchors`.

    points_CD: any float, compared by Euclidean distance. An anchor is no positive of itself; one
    without a positive or without a negative is left out. Of equally hard ones any is taken.
    """
    row_A = torch.arange(anchors, device=labels_C.device)
    if anchors == 0:
        return HardestPairs(row_A, row_A, row_A)
    points_CD = at_least_float32(points_CD)
    if not _float32_pays(points_CD, anchors):
        points_CD = points_CD.double()
    choice = _choose(points_CD, labels_C, row_A)
    if points_CD.dtype == torch.float32:
        # Not "lead <= rounding": a lead that overflowed to NaN has to count as unsure, too.
        unsure_A = ~(choice.lead() > _rounding(points_CD))
        unsure_R = (unsure_A & choice.kept()).nonzero()[:, 0]
        if len(unsure_R):
            again = _choose(points_CD.double(), labels_C, unsure_R)
            choice.far.place_R[unsure_R] = again.far.place_R
            choice.near.place_R[unsure_R] = again.near.place_R
    anchor_T = choice.kept().nonzero()[:, 0]
    return HardestPairs(anchor_T, choice.far.place_R[anchor_T], choice.near.place_R[anchor_T])


def pair_masks(labels_C: Tensor, row_R: Tensor) -> tuple[Tensor, Tensor]:
    """Which candidates are positives and which negatives of the anchors in `row_R`: bool (R, C)."""
    negative_RC = labels_C[row_R][:, None] != labels_C
    positive_RC = ~negative_RC
    positive_RC.scatter_(1, row_R[:, None], False)
    return positive_RC, negative_RC


class _Largest(NamedTuple):
    """Of each row of scores: the place of the largest, and whether that one is not blocked.

    score_RC: -infinity where blocked.
    """

    score_RC: Tensor
    place_R: Tensor
    real_R: Tensor

    @classmethod
    def of(cls, score_RC: Tensor, blocked_RC: Tensor) -> "_Largest":
        place_R = score_RC.argmax(dim=1)
        return cls(score_RC, place_R, ~blocked_RC.gather(1, place_R[:, None])[:, 0])

    def lead(self) -> Tensor:
        """By how much the largest beats the runner-up. To be called once: changes the scores."""
        place_R1 = self.place_R[:, None]
        best_R = self.score_RC.gather(1, place_R1)[:, 0]
        return best_R - self.score_RC.scatter_(1, place_R1, -torch.inf).amax(dim=1)


class _Choice(NamedTuple):
    """The farthest positive and the nearest negative of each anchor."""

    far: _Largest
    near: _Largest

    def kept(self) -> Tensor:
        return self.far.real_R & self.near.real_R

    def lead(self) -> Tensor:
        return self.far.lead().minimum(self.near.lead())


def _choose(points_CD: Tensor, labels_C: Tensor, row_R: Tensor) -> _Choice:
    order_RC = torch.addmm(points_CD.square().sum(dim=1), points_CD[row_R], points_CD.T, alpha=-2)
    positive_RC, negative_RC = pair_masks(labels_C, row_R)
    # Masks and orders are as large as anything here: they are changed in place.
    no_positive_RC, no_negative_RC = positive_RC.logical_not_(), negative_RC.logical_not_()
    far_RC = order_RC.masked_fill(no_positive_RC, -torch.inf)
    near_RC = order_RC.neg_().masked_fill_(no_negative_RC, -torch.inf)
    return _Choice(_Largest.of(far_RC, no_positive_RC), _Largest.of(near_RC, no_negative_RC))


def _rounding(points_CD: Tensor) -> Tensor:
    """Upper bound of what rounding may change a difference of two orders by.

    A product of D terms is off by at most D * eps / 2 * |x| * |y|, a square by D * eps / 2 * |y|^2:
    with L the largest |y|^2 an order by 1.5 * D * eps * L, and a difference by twice that.
    """
    size = points_CD.shape[1]
    return 3 * (size + 2) * torch.finfo(points_CD.dtype).eps * points_CD.square().sum(dim=1).amax()


def _float32_pays(points_CD: Tensor, anchors: int) -> bool:
    """Whether to order in float32 first, and in float64 only what is too close to call.

    Not where the product is small, nor where autocast or TF32 may compute it in fewer digits.
    """
    kind = points_CD.device.type
    if kind != "cpu" or points_CD.dtype != torch.float32 or torch.is_autocast_enabled(kind):
        return False
    large = anchors * points_CD.numel() >= LARGE_PRODUCT
    return large and torch.get_float32_matmul_precision() == "highest"
