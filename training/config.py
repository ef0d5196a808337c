"""Everything that a training run depends on besides the data, checked when it is made."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from contract.manifest import wrong_fields
from training.data.augment_config import AugmentConfig
from training.data.sampler import BatchConfig
from training.data.split import SplitConfig
from training.losses.config import LossConfig
from training.models.config import ModelConfig

Optimizer = Literal["adamw", "radam", "sgd"]
Precision = Literal["bf16_where_fast", "float32", "float64"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """A linear warm-up, then a cosine to zero; norms of gradients are clipped.

    momentum: of SGD (Nesterov). clip_norm: 0 does not clip.
    ema_decay: above 0, validation and export use the running average of the weights, of which
        each step leaves this share.
    """

    name: Optimizer = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    momentum: float = 0.9
    warmup_epochs: float = 1.0
    clip_norm: float = 5.0
    ema_decay: float = 0.0

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, not {self.learning_rate}.")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1), not {self.ema_decay}.")
        if min(self.weight_decay, self.momentum, self.warmup_epochs, self.clip_norm) < 0:
            raise ValueError("The values of the optimizer must not be negative.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One run.

    precision: `bf16_where_fast` computes in bfloat16 where the device has units for it and in
        float32 elsewhere; `float64` is for proofs.
    patience_epochs: stop after so many epochs without a better validation; 0 never does.
    """

    name: str
    epochs: int
    seed: int = 0
    precision: Precision = "bf16_where_fast"
    patience_epochs: int = 0
    split: SplitConfig = field(default_factory=SplitConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, not {self.epochs}.")
        if self.patience_epochs < 0:
            raise ValueError("patience_epochs must not be negative.")
        if self.model.frozen_blocks and not self.augment.only_flips:
            raise ValueError(
                "model.frozen_blocks sees each image once, before training: set all of augment "
                "but flip to 0 (or false)."
            )
        if self.augment.channel_orders and self.loss.c_distill:
            raise ValueError(
                "augment.channel_orders makes identities that no teacher has seen: set "
                "loss.c_distill=0, or leave it out."
            )


def config_from_dict(values: dict[str, Any]) -> TrainConfig:
    """The config that `dataclasses.asdict` made `values` from.

    Raises ValueError if it is of another version.
    """
    config = _checked(values)
    if asdict(config) != values:
        raise ValueError("The config is of another version of OneGlance: train again.")
    return config


def with_settings(config: TrainConfig, settings: Sequence[str]) -> TrainConfig:
    """`config` with some values replaced, each setting as in `loss.overlap=40`.

    Raises ValueError that names an unknown field (and those that there are) or a wrong value.
    """
    values: dict[str, Any] = asdict(config)
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set {setting}: write it as field=value, as in epochs=5.")
        *parents, field_name = path.strip().split(".")
        owner = values
        for parent in parents:
            owner = _part(owner, parent, path)
        if field_name not in owner or isinstance(owner[field_name], dict):
            raise ValueError(f"--set {setting}: {path!r} is no field. {_known(owner)}")
        owner[field_name] = text.strip()
    return _checked(values)


def _part(owner: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    part = owner.get(name)
    if not isinstance(part, dict):
        raise ValueError(f"--set {path}: there is no part {name!r}. {_known(owner)}")
    return part


def _known(owner: dict[str, Any]) -> str:
    names = (f"{name}.…" if isinstance(v, dict) else name for name, v in owner.items())
    return f"There are {', '.join(names)}."


def _checked(values: dict[str, Any]) -> TrainConfig:
    try:
        return TypeAdapter(TrainConfig).validate_python(values)
    except ValidationError as error:
        raise ValueError(f"The config is not valid: {wrong_fields(error)}.") from error
