"""Pretrained normalisation layers keep the statistics that they came with, if they are told to."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from training.config import OptimizerConfig
from training.models.config import ModelConfig
from training.models.embedding_net import EmbeddingNet
from training.optim import averaged
from training.ranks import Ranks, with_shared_statistics

pytestmark = pytest.mark.usefixtures("one_thread")
KEPT = ("running_mean", "running_var", "num_batches_tracked")
RESNET = ModelConfig(
    pretrained="imagenet", stem="imagenet", side_px=64, pool="average", embedding_size=4,
    keep_statistics=True, dropout=0.0,
)  # fmt: skip
MOBILENET = replace(RESNET, backbone="mobilenet_v2", stem="small")
DLIB = replace(RESNET, backbone="dlib_resnet", stem="small", pretrained="dlib", side_px=112)
SFACE = ModelConfig(backbone="sface", pretrained="sface", keep_statistics=True, dropout=0.0)
VGGFACE2 = replace(
    RESNET, backbone="inception_resnet_v1", stem="small", pretrained="vggface2",
    embedding_size=512, side_px=160,
)  # fmt: skip
FRESH_HEAD = {
    "resnet18": RESNET, "mobilenet_v2": MOBILENET, "dlib": DLIB,
    "vggface2": replace(VGGFACE2, embedding_size=16),
}  # fmt: skip
OWN_HEAD = {"sface": SFACE, "vggface2": VGGFACE2}


def made(config: ModelConfig) -> EmbeddingNet:
    """With statistics that are no batch's, as those of others' data."""
    torch.manual_seed(0)
    net = EmbeddingNet(config, load_weights=False)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net


def pixels(config: ModelConfig) -> Tensor:
    return torch.rand(3, 3, config.side_px, config.side_px) * 2 - 1


def statistics(part: nn.Module) -> dict[str, Tensor]:
    found = {n: b.clone() for n, b in part.named_buffers() if n.rpartition(".")[2] in KEPT}
    assert found
    return found


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    assert left.keys() == right.keys()
    return all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("config", FRESH_HEAD.values(), ids=list(FRESH_HEAD))
@torch.no_grad()
def test_a_fresh_head_learns_statistics_and_the_backbone_keeps_its_own(config: ModelConfig) -> None:
    net = made(config).train()
    before = statistics(net.backbone), statistics(net.head)
    net.embed(pixels(config))
    assert same(statistics(net.backbone), before[0])
    after = statistics(net.head)
    assert not any(torch.equal(value, after[name]) for name, value in before[1].items())


@pytest.mark.parametrize("config", OWN_HEAD.values(), ids=list(OWN_HEAD))
@torch.no_grad()
def test_a_pretrained_head_keeps_its_own_too(config: ModelConfig) -> None:
    net = made(config).train()
    before, seen = statistics(net), pixels(config)
    trained = net.embed(seen)
    assert same(statistics(net), before)
    assert torch.allclose(net.eval().embed(seen), trained, atol=1e-5)


@torch.no_grad()
def test_statistics_of_the_batch_are_taken_unless_told_otherwise() -> None:
    net = made(replace(MOBILENET, keep_statistics=False)).train()
    before = statistics(net)
    net.embed(pixels(MOBILENET))
    after = statistics(net)
    assert not any(torch.equal(value, after[name]) for name, value in before.items())


@torch.no_grad()
def test_training_computes_what_evaluation_does_up_to_a_fresh_head() -> None:
    net, seen = made(DLIB).train(), pixels(DLIB)
    trained = net.backbone(seen)
    assert torch.equal(net.eval().backbone(seen), trained)
    assert trained.std() > 0.01


def test_gains_shifts_and_weights_learn_all_the_same() -> None:
    net = made(MOBILENET).train()
    net.embed(pixels(MOBILENET)).sum(dim=0)[0].backward()
    gradients = {name: p.grad for name, p in net.backbone.named_parameters()}
    assert any(name.endswith("18.1.bias") for name in gradients)
    for name, gradient in gradients.items():
        assert gradient is not None, name
        assert gradient.abs().max() > 0, name


def modes(net: nn.Module) -> tuple[set[bool], set[bool]]:
    """Whether the normalisation layers, and whether all other modules, are in training mode."""
    norms = {m.training for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    others = {
        m.training for m in net.modules() if not isinstance(m, nn.modules.batchnorm._BatchNorm)
    }
    return norms, others


def test_every_way_into_training_mode_leaves_them_as_they_are() -> None:
    net = made(SFACE)
    assert modes(net) == ({False}, {True})  # as it is made
    for _ in range(2):
        assert modes(net.train()) == ({False}, {True})
        assert modes(net.eval()) == ({False}, {False})
    around = nn.ModuleList([net]).train()
    assert modes(around) == ({False}, {True})
    net.requires_grad_(False).train(True)
    assert modes(net) == ({False}, {True})
    assert modes(made(replace(SFACE, keep_statistics=False)).train()) == ({True}, {True})


@torch.no_grad()
def test_the_running_average_keeps_them_too() -> None:
    net = made(MOBILENET)
    average = averaged(OptimizerConfig(ema_decay=0.5), net.train())
    assert average is not None
    copy = average.train().module
    assert isinstance(copy, EmbeddingNet)
    assert copy is not net
    before = statistics(net.backbone)
    net.embed(pixels(MOBILENET))
    for parameter in net.parameters():
        parameter.add_(1.0)
    average.update_parameters(net)
    copy.embed(pixels(MOBILENET))
    assert same(statistics(copy.backbone), before)
    assert not same(statistics(copy.head), statistics(net.head))


@torch.no_grad()
def test_statistics_that_ranks_share_are_kept_too() -> None:
    net = with_shared_statistics(made(SFACE), Ranks(0, 2, "cpu"))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    before = statistics(net.train())
    net.embed(pixels(SFACE))  # would ask the other rank for its part
    assert same(statistics(net), before)
