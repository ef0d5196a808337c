"""Learning rates, what decays, and each optimizer by name."""

import math

import pytest
import torch
from torch import nn

from training.config import OptimizerConfig
from training.optim import averaged, learning_rate, make_optimizer


def rates(config: OptimizerConfig, steps: int) -> list[float]:
    return [learning_rate(config, step=s, steps_per_epoch=7, epochs=4) for s in range(steps)]


def test_the_learning_rate_rises_in_the_warm_up_and_falls_to_zero() -> None:
    found = rates(OptimizerConfig(learning_rate=1.0, warmup_epochs=1.0), 4 * 7 + 1)
    assert found[:7] == pytest.approx([(n + 1) / 7 for n in range(7)])
    assert found[7:] == pytest.approx([0.5 * (1 + math.cos(math.pi * n / 21)) for n in range(22)])


def test_without_a_warm_up_the_first_step_has_the_whole_rate() -> None:
    assert rates(OptimizerConfig(learning_rate=0.3, warmup_epochs=0.0), 1) == [0.3]


@pytest.mark.parametrize("warmup", [0.01, 0.5, 1.3, 3.99, 4.0, 9.0])
def test_no_warm_up_goes_beyond_the_rate(warmup: float) -> None:
    found = rates(OptimizerConfig(learning_rate=1.0, warmup_epochs=warmup), 30)
    assert all(0 <= rate <= 1 for rate in found)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adamw", torch.optim.AdamW), ("radam", torch.optim.RAdam), ("sgd", torch.optim.SGD)],
)
def test_weights_decay_and_biases_and_norms_do_not(
    name: str, kind: type[torch.optim.Optimizer]
) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = make_optimizer(OptimizerConfig(name=name, weight_decay=0.05), module)
    assert isinstance(optimizer, kind)
    decayed, plain = optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.05, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(module[0].weight), id(module[3].weight)}
    whole = {id(p) for group in (decayed, plain) for p in group["params"]}
    assert whole == {id(p) for p in module.parameters()}


@pytest.mark.parametrize("name", ["adamw", "radam"])
def test_decay_is_apart_from_the_gradient(name: str) -> None:
    """With no gradient a step shrinks a weight by rate * decay, whatever the optimizer's state."""
    module = nn.Linear(2, 2, bias=False)
    before = module.weight.detach().clone()
    config = OptimizerConfig(name=name, learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer(config, module)
    module.weight.grad = torch.zeros_like(module.weight)
    optimizer.step()
    assert torch.allclose(module.weight, before * (1 - 0.1 * 0.5))


def test_sgd_has_nesterov_momentum_unless_it_has_none() -> None:
    module = nn.Linear(2, 2)
    assert make_optimizer(OptimizerConfig(name="sgd"), module).defaults["nesterov"]
    plain = make_optimizer(OptimizerConfig(name="sgd", momentum=0.0), module)
    assert not plain.defaults["nesterov"]


def test_an_average_is_kept_only_where_one_is_asked_for() -> None:
    assert averaged(OptimizerConfig(), nn.Linear(2, 2)) is None
    assert averaged(OptimizerConfig(ema_decay=0.9), nn.Linear(2, 2)) is not None
