"""Standard triplet loss on squared distances, of mined triplets or of all in the batch.

    L = mean over the kept triplets of [|a - p|^2 - |a - n|^2 + margin]+

`keep` says which triplets count, by their squared distances d_p and d_n: `none` filters nothing,
`hard` keeps those of d_n < d_p + margin (the others cost nothing and only make the mean smaller),
`semi_hard` of these the ones of d_p < d_n. Slides, "Triplet loss": "hard" are the triplets that
violate d_p + margin < d_n.

No triplets give a differentiable zero.

Shapes: T triplets, A anchors, C candidates, S = C + 1.
"""

import torch
from torch import Tensor

from training.losses.config import Keep


def standard_triplet_loss(
    positive_T: Tensor, negative_T: Tensor, *, margin: float, keep: Keep
) -> Tensor:
    """Loss of T triplets, a scalar, by their squared distances d_p and d_n."""
    hinge_T = (positive_T - negative_T + margin).clamp_min(0)
    kept_T = torch.ones_like(hinge_T, dtype=torch.bool)
    if keep != "none":
        kept_T = negative_T < positive_T + margin
    if keep == "semi_hard":
        kept_T = kept_T & (positive_T < negative_T)
    return hinge_T.masked_fill(~kept_T, 0.0).sum() / kept_T.sum().clamp_min(1)


def all_standard_triplets_loss(
    squared_AC: Tensor, positive_AC: Tensor, negative_AC: Tensor, *, margin: float, keep: Keep
) -> Tensor:
    """Loss of every triplet of an anchor, one of its positives and one of its negatives, a scalar.

    squared_AC: squared distances, float64, because the sums below cancel. positive_AC,
    negative_AC: masks. Takes O(A * C) memory and O(A * C * log C) time for the up to A * C * C
    triplets: with the negatives of an anchor sorted, those that count for a positive lie between
    two places, and prefix sums give the sum of their hinges, count * (d_p + margin) - sum of d_n.
    """
    sorted_AC = squared_AC.masked_fill(~negative_AC, torch.inf).sort(dim=1).values
    # The infinities stand at the end, where no place below leads.
    prefix_AS = torch.nn.functional.pad(sorted_AC.cumsum(dim=1), (1, 0))
    limit_AC = squared_AC + margin
    places_AC = sorted_AC.detach()
    last_AC = torch.searchsorted(places_AC, limit_AC.detach())
    first_AC = torch.zeros_like(last_AC)
    if keep == "semi_hard":
        first_AC = torch.searchsorted(places_AC, squared_AC.detach(), right=True)
        last_AC = last_AC.maximum(first_AC)
    count_AC = last_AC - first_AC
    sums_AC = count_AC * limit_AC - (prefix_AS.gather(1, last_AC) - prefix_AS.gather(1, first_AC))
    if keep == "none":
        count_AC = negative_AC.sum(dim=1, keepdim=True).expand_as(positive_AC)
    count = count_AC.masked_fill(~positive_AC, 0).sum()
    return sums_AC.masked_fill(~positive_AC, 0.0).sum() / count.clamp_min(1)
