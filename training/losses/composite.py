"""The weighted sum L_metric + c_centre * L_centre + c_class * L_class + c_distill * L_distill.

Shapes: B batch, D embedding size, K classes, A mined pairs of each kind.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from contract.similarity import BOUNDED_SPACES, Space, max_distance
from training.losses.baselines import BaselineMetric
from training.losses.centre import CentreLoss
from training.losses.classification import class_layer, class_loss
from training.losses.config import LossConfig
from training.losses.distillation import distillation_loss
from training.losses.triplets import TripletMetric
from training.mining.distances import at_least_float32


class LossOutput(NamedTuple):
    """total: scalar to go backward from. parts: unweighted scalars of `metric`, `centre`, `class`
    and `distill`, those that are in use. positive_A, negative_A: Euclidean distances / d_max of the
    mined pairs, without gradient, for histograms; empty where nothing is mined.
    """

    total: Tensor
    parts: dict[str, Tensor]
    positive_A: Tensor
    negative_A: Tensor


class CompositeLoss(nn.Module):
    """The loss of a config, with all that only training needs: class layer, centres, memory.

    Everything that it learns or remembers is a parameter or buffer. It computes in float32 or wider
    whatever autocast says, and sees the batch of all ranks (training/mining/gather.py).
    """

    def __init__(
        self,
        config: LossConfig,
        *,
        embedding_size: int,
        classes: int,
        space: Space,
        scale: float,
        d_max: float,
        batch_size: int,
    ) -> None:
        """space, scale, d_max: of the embeddings. batch_size: of all ranks together.

        Raises ValueError where the overlap or d_max is out of range, or where parts of the config
        exclude each other.
        """
        super().__init__()
        class_radius = config.overlap / classes
        if class_radius >= 1:
            raise ValueError(f"overlap must stay below the {classes} classes: {config.overlap}.")
        _check_d_max(space, scale, d_max)
        self._config = config
        self.metric = _metric(
            config,
            embedding_size=embedding_size,
            classes=classes,
            class_radius=class_radius,
            d_max=d_max,
            batch_size=batch_size,
        )
        self.centre = (
            CentreLoss(
                config.centre,
                embedding_size=embedding_size,
                classes=classes,
                class_radius=class_radius,
                d_max=d_max,
                reduction=config.exponential.reduction,
            )
            if config.c_centre
            else None
        )
        self.class_layer = class_layer(embedding_size, classes) if config.c_class else None

    def start_epoch(self, epoch: int) -> None:
        """Before each epoch, counted from 0; also before the rest of one that is resumed."""
        if self.metric is not None:
            self.metric.start_epoch(epoch)

    def end_epoch(self) -> None:
        """After each whole epoch."""
        if self.centre is not None:
            self.centre.end_epoch()

    def forward(
        self, embeddings_BD: Tensor, labels_B: Tensor, targets_BD: Tensor | None = None
    ) -> LossOutput:
        """Loss of a batch.

        embeddings_BD: in their space, any float. labels_B: int64 in [0, K). targets_BD: the
        teacher's embeddings; without them, or with c_distill 0, nothing is distilled.
        """
        with torch.autocast(embeddings_BD.device.type, enabled=False):
            return self._forward(at_least_float32(embeddings_BD), labels_B, targets_BD)

    def _forward(
        self, embeddings_BD: Tensor, labels_B: Tensor, targets_BD: Tensor | None
    ) -> LossOutput:
        config = self._config
        parts: dict[str, Tensor] = {}
        total = embeddings_BD.new_zeros(())
        positive_A = negative_A = embeddings_BD.new_empty(0)
        if self.metric is not None:
            parts["metric"], positive_A, negative_A = self.metric(embeddings_BD, labels_B)
            total = total + parts["metric"]
        if self.centre is not None:
            parts["centre"] = self.centre(embeddings_BD, labels_B)
            total = total + config.c_centre * parts["centre"]
        if self.class_layer is not None:
            parts["class"] = class_loss(
                self.class_layer, embeddings_BD, labels_B, config.class_scale
            )
            total = total + config.c_class * parts["class"]
        if targets_BD is not None and config.c_distill:
            parts["distill"] = distillation_loss(embeddings_BD, at_least_float32(targets_BD))
            total = total + config.c_distill * parts["distill"]
        return LossOutput(total, parts, positive_A, negative_A)


def _metric(
    config: LossConfig,
    *,
    embedding_size: int,
    classes: int,
    class_radius: float,
    d_max: float,
    batch_size: int,
) -> TripletMetric | BaselineMetric | None:
    if config.metric == "none":
        return None
    if config.metric in ("exponential", "standard"):
        return TripletMetric(
            config,
            embedding_size=embedding_size,
            class_radius=class_radius,
            d_max=d_max,
            batch_size=batch_size,
        )
    return BaselineMetric(config, embedding_size=embedding_size, classes=classes)


def _check_d_max(space: Space, scale: float, d_max: float) -> None:
    if not 0 < d_max < math.inf:
        raise ValueError(f"d_max must be a positive number, not {d_max}.")
    if space in BOUNDED_SPACES and not math.isclose(d_max, max_distance(space, scale)):
        raise ValueError(
            f"d_max of the space {space!r} of scale {scale} is {max_distance(space, scale)}, "
            f"not {d_max}."
        )
