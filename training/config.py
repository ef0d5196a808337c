"""Everything that a training run depends on besides the data, checked when it is made."""

from dataclasses import dataclass, field
from typing import Any

from contract.similarity import Space, max_distance
from training.data.augment import AugmentConfig
from training.data.sampler import BatchConfig
from training.losses.composite import LossConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """embedding_size: D. side_px: of the square crop. scale: c_s, radius of the space.

    width: channels of the first stage (64 in ResNet-18). stem_stride: 2 keeps detail, 4 is four
    times cheaper.
    """

    embedding_size: int = 128
    side_px: int = 112
    width: int = 64
    stem_stride: int = 2
    space: Space = "l2"
    scale: float = 1.0
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.embedding_size < 2:
            raise ValueError(f"embedding_size must be at least 2, not {self.embedding_size}.")
        if self.stem_stride not in (2, 4):
            raise ValueError(f"stem_stride must be 2 or 4, not {self.stem_stride}.")
        if self.space != "l2":
            raise ValueError(f"The space {self.space!r} cannot be trained yet: use 'l2'.")

    @property
    def d_max(self) -> float:
        """Largest distance in the space."""
        return max_distance(self.space, self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """AdamW with a linear warm-up and a cosine to zero; norms of gradients are clipped."""

    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_epochs: float = 1.0
    clip_norm: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One run.

    bf16: compute in bfloat16 where the device has units for it, float32 elsewhere.
    holdout_share: share of the identities kept out of training for validation.
    min_images: identities of fewer images are held out too: they have no pair to learn from, and
        make good strangers for validation.
    """

    name: str
    epochs: int
    seed: int = 0
    holdout_share: float = 0.05
    min_images: int = 2
    bf16: bool = True
    model: ModelConfig = field(default_factory=ModelConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, not {self.epochs}.")
        if not 0 < self.holdout_share < 1:
            raise ValueError(f"holdout_share must be in (0, 1), not {self.holdout_share}.")


def config_from_dict(values: dict[str, Any]) -> TrainConfig:
    """The config that `dataclasses.asdict` made `values` from."""
    parts = {
        "model": ModelConfig,
        "batch": BatchConfig,
        "augment": AugmentConfig,
        "loss": LossConfig,
        "optimizer": OptimizerConfig,
    }
    made = {name: parts[name](**values[name]) for name in parts}
    return TrainConfig(**{**values, **made})
