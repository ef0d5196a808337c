"""The triplet losses on mined pairs: exponential or standard, hardest or all, with memory or not.

Shapes: B batch (the anchors), C candidates (the batch, then the memory), D embedding size, A mined
pairs of each kind.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.losses.config import LossConfig
from training.losses.exponential import exponential_triplet_loss
from training.losses.standard import all_standard_triplets_loss, standard_triplet_loss
from training.mining.distances import (
    NormalisedDistance,
    at_least_float32,
    root,
    squared_of_all,
    squared_of_pairs,
)
from training.mining.hardest import hardest_pairs, pair_masks
from training.mining.memory import EmbeddingMemory


class MetricOutput(NamedTuple):
    """loss: scalar. positive_A, negative_A: Euclidean distances / d_max of the mined pairs, without
    gradient; empty where nothing is mined.
    """

    loss: Tensor
    positive_A: Tensor
    negative_A: Tensor


class TripletMetric(nn.Module):
    """Mines the batch, and past batches where the config says so, and takes the loss of the pairs.

    With `pairs = "all"` the standard loss sees all triplets, the exponential loss, whose two terms
    do not meet, all pairs of an anchor and a positive and all of an anchor and a negative. An
    anchor without a positive or without a negative is left out everywhere.
    """

    def __init__(
        self,
        config: LossConfig,
        *,
        embedding_size: int,
        class_radius: float,
        d_max: float,
        batch_size: int,
    ) -> None:
        super().__init__()
        mining = config.mining
        if config.metric == "standard" and mining.distance == "cosine":
            raise ValueError(
                "The standard triplet loss is defined on squared Euclidean distances: set "
                "mining.distance to euclidean, or metric to exponential."
            )
        self._config, self._class_radius, self._d_max = config, class_radius, d_max
        self._distance = NormalisedDistance(mining.distance, d_max)
        self._recalls = False
        places = mining.memory_batches * batch_size
        self.memory = EmbeddingMemory(places, embedding_size) if places else None

    def start_epoch(self, epoch: int) -> None:
        """The memory fills from the start and is mined from epoch `memory_from_epoch`."""
        self._recalls = epoch >= self._config.mining.memory_from_epoch

    def forward(self, embeddings_BD: Tensor, labels_B: Tensor) -> MetricOutput:
        """Embeddings in their space, any float; labels int64. Fills the memory while training."""
        candidates_CD, labels_C = at_least_float32(embeddings_BD), labels_B
        if self.memory is not None and self._recalls:
            past_MD, past_M = self.memory.read()
            candidates_CD = torch.cat([candidates_CD, past_MD.to(candidates_CD.dtype)])
            labels_C = torch.cat([labels_B, past_M])
        mined = self._all if self._config.mining.pairs == "all" else self._hardest
        output = mined(candidates_CD, labels_C, len(labels_B))
        if self.memory is not None and self.training:
            self.memory.write(embeddings_BD, labels_B)
        return output

    def _hardest(self, candidates_CD: Tensor, labels_C: Tensor, anchors: int) -> MetricOutput:
        points_CD = self._distance.points(candidates_CD)
        anchor_A, positive_A, negative_A = hardest_pairs(points_CD, labels_C, anchors)
        # Both kinds of pairs at once: positives first, then negatives.
        row_P = torch.cat([anchor_A, anchor_A])
        other_P = torch.cat([positive_A, negative_A])
        squared_P = squared_of_pairs(points_CD, row_P, other_P)
        share_P = self._distance.of_squares(squared_P)
        if self._config.metric == "standard":
            standard = self._config.standard
            loss = standard_triplet_loss(
                *squared_P.view(2, -1), margin=standard.margin, keep=standard.keep
            )
        else:
            loss = self._exponential(*share_P.view(2, -1))
        shown_P = share_P.detach()
        if self._distance.kind != "euclidean":
            apart_P = squared_of_pairs(candidates_CD.detach(), row_P, other_P)
            shown_P = root(apart_P) / self._d_max
        return MetricOutput(loss, *shown_P.view(2, -1))

    def _all(self, candidates_CD: Tensor, labels_C: Tensor, anchors: int) -> MetricOutput:
        row_B = torch.arange(anchors, device=labels_C.device)
        positive_BC, negative_BC = pair_masks(labels_C, row_B)
        kept_B1 = (positive_BC.any(dim=1) & negative_BC.any(dim=1))[:, None]
        positive_BC, negative_BC = positive_BC & kept_B1, negative_BC & kept_B1
        points_CD = self._distance.points(candidates_CD)
        squared_BC = squared_of_all(points_CD[:anchors], points_CD)
        if self._config.metric == "standard":
            standard = self._config.standard
            loss = all_standard_triplets_loss(
                squared_BC, positive_BC, negative_BC, margin=standard.margin, keep=standard.keep
            )
        else:
            share_BC = self._distance.of_squares(squared_BC)
            loss = self._exponential(share_BC[positive_BC], share_BC[negative_BC])
        with torch.no_grad():
            share_BC = root(squared_of_all(candidates_CD[:anchors], candidates_CD)) / self._d_max
        loss = loss.to(candidates_CD.dtype)
        return MetricOutput(loss, share_BC[positive_BC], share_BC[negative_BC])

    def _exponential(self, positive_A: Tensor, negative_A: Tensor) -> Tensor:
        """Of distances as shares of d_max."""
        exponential = self._config.exponential
        return exponential_triplet_loss(
            positive_A,
            negative_A,
            class_radius=self._class_radius,
            c_pos=exponential.c_pos,
            c_neg=exponential.c_neg,
            reduction=exponential.reduction,
        )
