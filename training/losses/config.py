"""What a loss is made of: all eight rows of the paper's table, and the baselines, by values alone.

| row of the paper | metric | c_class | c_centre |
|---|---|---|---|
| L_std, L_exp | `standard`, `exponential` | 0 | 0 |
| + L_class | | 1 | 0 |
| + L_center | | 0 | 1 |
| + L_center + L_class | | 1 | 1 |
"""

from dataclasses import dataclass, field
from typing import Literal

Metric = Literal[
    "exponential",
    "standard",
    "arcface",
    "cosface",
    "multi_similarity",
    "proxy_anchor",
    "none",
]
Reduction = Literal["inside_log", "outside_log"]
Keep = Literal["none", "hard", "semi_hard"]
CentreForm = Literal["exponential", "hinge"]
Pairs = Literal["hardest", "all"]
Distance = Literal["euclidean", "squared_euclidean", "cosine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialConfig:
    """Exponential triplet loss. c_pos, c_neg: weights of the two terms.

    reduction: mean over anchors `inside_log` (the authors' code) or `outside_log` (their slides).
    """

    c_pos: float = 1.0
    c_neg: float = 1.0
    reduction: Reduction = "inside_log"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardConfig:
    """Standard triplet loss. margin: alpha, a squared distance.

    keep: which triplets count: `none` filters nothing, `hard` keeps those of d_n < d_p + margin,
    `semi_hard` of these those of d_p < d_n.
    """

    margin: float = 0.2
    keep: Keep = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreConfig:
    """Centre loss on running class centres, which get no gradient.

    momentum: share of the old centre that each batch leaves, in [0, 1).
    each_epoch: instead replace the centres by the means of each finished epoch.
    """

    form: CentreForm = "exponential"
    momentum: float = 0.9
    each_epoch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningConfig:
    """pairs: of each anchor its `hardest` positive and negative, or `all` of them.

    memory_batches: how many past batches are mined, too (cross-batch memory); 0 none.
    memory_from_epoch: first epoch, counted from 0, that uses the memory.
    """

    pairs: Pairs = "hardest"
    distance: Distance = "euclidean"
    memory_batches: int = 0
    memory_from_epoch: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """The weighted sum L_metric + c_centre * L_centre + c_class * L_class + c_distill * L_distill.

    metric: the loss on embeddings; the last four are modern baselines.
    overlap: c_o, so that a class may fill the radius c_n = c_o / K (share of d_max).
    class_scale: s, what an embedding is multiplied by before the class layer.
    c_distill: above 0 the pack needs a teacher's targets.
    """

    metric: Metric = "exponential"
    overlap: float = 0.0
    c_centre: float = 0.0
    c_class: float = 1.0
    class_scale: float = 24.0
    c_distill: float = 0.0
    exponential: ExponentialConfig = field(default_factory=ExponentialConfig)
    standard: StandardConfig = field(default_factory=StandardConfig)
    centre: CentreConfig = field(default_factory=CentreConfig)
    mining: MiningConfig = field(default_factory=MiningConfig)

    def __post_init__(self) -> None:
        weights = (self.overlap, self.c_centre, self.c_class, self.c_distill)
        if min(*weights, self.exponential.c_pos, self.exponential.c_neg) < 0:
            raise ValueError("The coefficients of the loss must not be negative.")
        if not self.class_scale > 0:
            raise ValueError(f"class_scale must be positive, not {self.class_scale}.")
        if not 0 <= self.centre.momentum < 1:
            raise ValueError(f"centre.momentum must be in [0, 1), not {self.centre.momentum}.")
        if self.mining.memory_batches < 0:
            raise ValueError("mining.memory_batches must not be negative.")
        if self.metric == "none" and not max(self.c_centre, self.c_class, self.c_distill) > 0:
            raise ValueError("Without a metric, c_centre, c_class or c_distill must be above 0.")
