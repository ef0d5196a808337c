"""Optimizer, learning rate and the running average of the weights."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.config import OptimizerConfig


def make_optimizer(config: OptimizerConfig, module: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a config over all parameters of `module`.

    Weights decay (decoupled from the gradient in AdamW and RAdam); biases and the gains of
    normalisation layers do not.
    """
    groups = _decayed_apart(module, config.weight_decay)
    if config.name == "sgd":
        return torch.optim.SGD(
            groups, lr=config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0
        )
    if config.name == "radam":
        return torch.optim.RAdam(groups, lr=config.learning_rate, decoupled_weight_decay=True)
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def learning_rate(
    config: OptimizerConfig, *, step: int, steps_per_epoch: int, epochs: int
) -> float:
    """Rate of step `step`, counted from 0: linear warm-up, then half a cosine to zero."""
    warmup = config.warmup_epochs * steps_per_epoch
    if step < warmup:
        return config.learning_rate * min(1.0, (step + 1) / warmup)
    share = (step - warmup) / max(1.0, epochs * steps_per_epoch - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def averaged(config: OptimizerConfig, net: nn.Module) -> AveragedModel | None:
    """The running average of `net`'s weights and statistics, or None where none is kept."""
    if not config.ema_decay:
        return None
    return AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=True)


def _decayed_apart(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    decayed = [p for p in module.parameters() if p.ndim > 1]
    plain = [p for p in module.parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
