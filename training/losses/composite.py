"""The composite loss: L = L_exp + C_class * L_class, and C_distill * L_distill with a teacher.

Shapes: B batch, D embedding size, K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.losses.distillation import distillation_loss
from training.losses.exponential import Reduction, exponential_triplet_loss
from training.mining.hardest import hardest_pairs, pairwise_distances


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """Coefficients of the method (paper.md gives the symbols).

    overlap: c_o, so that c_n = c_o / K. c_class: weight of the class loss.
    class_scale: s, what the embedding is multiplied by before the class layer. c_distill: weight
    of the distillation loss; above 0 the pack needs a teacher's targets.
    """

    c_pos: float = 1.0
    c_neg: float = 1.0
    c_class: float = 1.0
    c_distill: float = 0.0
    overlap: float = 0.0
    class_scale: float = 24.0
    reduction: Reduction = "inside_log"

    def __post_init__(self) -> None:
        if min(self.c_pos, self.c_neg, self.c_class, self.c_distill, self.overlap) < 0:
            raise ValueError("The coefficients of the loss must not be negative.")
        if not self.class_scale > 0:
            raise ValueError(f"class_scale must be positive, not {self.class_scale}.")


class CompositeLoss(nn.Module):
    """The weighted sum, with the class layer that only training needs.

    Where we differ from the research code: its class loss is averaged over the classes too, which
    makes it K times smaller; ours is the usual cross entropy.
    """

    def __init__(
        self, config: LossConfig, *, embedding_size: int, classes: int, d_max: float
    ) -> None:
        super().__init__()
        self._config = config
        self._d_max = d_max
        self._class_radius = config.overlap / classes
        if self._class_radius >= 1:
            raise ValueError(f"overlap must stay below the {classes} classes: {config.overlap}.")
        self.class_layer = nn.Linear(embedding_size, classes)
        nn.init.xavier_uniform_(self.class_layer.weight)
        nn.init.zeros_(self.class_layer.bias)

    def forward(
        self, embeddings_BD: Tensor, labels_B: Tensor, targets_BD: Tensor | None
    ) -> dict[str, Tensor]:
        """The parts `triplet`, `class`, `distill`, and their weighted sum `total`, each a scalar.

        embeddings_BD: in the embedding space, float32. labels_B: int64 in [0, K). targets_BD: the
        teacher's embeddings, or None without a teacher.
        """
        config = self._config
        pairs = hardest_pairs(pairwise_distances(embeddings_BD), labels_B)
        triplet = exponential_triplet_loss(
            pairs.positive_A / self._d_max,
            pairs.negative_A / self._d_max,
            class_radius=self._class_radius,
            c_pos=config.c_pos,
            c_neg=config.c_neg,
            reduction=config.reduction,
        )
        logits_BK = self.class_layer(config.class_scale * embeddings_BD)
        class_loss = torch.nn.functional.cross_entropy(logits_BK, labels_B)
        parts = {"triplet": triplet, "class": class_loss}
        total = triplet + config.c_class * class_loss
        if targets_BD is not None:
            parts["distill"] = distillation_loss(embeddings_BD, targets_BD)
            total = total + config.c_distill * parts["distill"]
        return {"total": total, **parts}
