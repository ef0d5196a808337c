"""Embedding networks: every backbone, head and space."""

import math
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from contract.torchscript import torchscript_deprecation_silenced
from training.models.backbones import feature_map, make_backbone
from training.models.config import Initialisation, ModelConfig
from training.models.embedding_net import EmbeddingNet
from training.models.head import Maxout, initialise

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = ModelConfig(width=4, side_px=32, embedding_size=8, dropout=0.0)
VGGFACE2 = ModelConfig(
    backbone="inception_resnet_v1", pretrained="vggface2", embedding_size=512, pool="average"
)
SFACE = ModelConfig(backbone="sface", pretrained="sface")
DLIB = ModelConfig(backbone="dlib_resnet", pretrained="dlib", keep_statistics=True)


def crops(count: int, side: int, seed: int = 0) -> Tensor:
    """uint8 (count, side, side, 3) of coloured squares of 4 pixels."""
    rng = np.random.default_rng(seed)
    squares = rng.integers(0, 256, (count, -(-side // 4), -(-side // 4), 3), dtype=np.uint8)
    return torch.from_numpy(squares.repeat(4, 1).repeat(4, 2)[:, :side, :side].copy())


def made(config: ModelConfig, seed: int = 0, *, load_weights: bool = True) -> EmbeddingNet:
    torch.manual_seed(seed)
    return EmbeddingNet(config, load_weights=load_weights).eval()


@torch.no_grad()
def spread(net: EmbeddingNet, side: int) -> None:
    """The statistics of some crops in every normalisation, so that no layer fades out."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1.0
        module.train(not isinstance(module, nn.Dropout))
    net(crops(16, side, seed=1))
    net.eval()


def slow_jit() -> AbstractContextManager[None]:
    """TorchScript without its optimiser, which takes its time over the first calls."""
    context: AbstractContextManager[None] = torch.jit.optimized_execution(False)
    return context


# --- the same network as ever ---


@pytest.mark.parametrize(
    ("config", "row"),
    [(replace(SMALL, dropout=0.1),
      [0.3859, -0.1296, -0.0824, 0.5472, 0.6718, 0.0097, 0.2756, 0.0264]),
     (replace(SMALL, side_px=33, stem_stride=4, scale=2.0),
      [0.2556, -1.1976, -0.5630, 0.4695, 0.5161, 1.0514, 0.5439, -0.5435])],
)  # fmt: skip
@torch.no_grad()
def test_a_seed_gives_the_network_that_it_has_always_given(
    config: ModelConfig, row: list[float]
) -> None:
    """Values of the network that the first bundle was trained with, from seed 7."""
    net, side = made(config, seed=7), config.side_px
    assert torch.rand(1).item() == pytest.approx(0.5642, abs=1e-4)  # as many numbers were drawn
    images = torch.arange(side * side * 3).remainder(251).to(torch.uint8).reshape(1, side, side, 3)
    assert net(images)[0].tolist() == pytest.approx(row, abs=3e-4)
    total = sum(p.double().abs().sum().item() for p in net.parameters())
    assert total == pytest.approx(3893.3633573490893, rel=1e-9)


def test_the_first_bundle_has_as_many_parameters() -> None:
    net = made(ModelConfig(width=32, stem_stride=4, dropout=0.0))
    assert sum(p.numel() for p in net.parameters()) == 3_320_096


# --- backbones ---

FORMS = [
    (replace(SMALL, stem_stride=stride, side_px=side), side)
    for stride in (1, 2, 4)
    for side in (8, 31, 32, 33, 112)
]
FORMS += [
    (replace(SMALL, backbone=name, stem=stem, side_px=side), side)
    for name in ("resnet18", "resnet34", "resnet50")
    for stem in ("imagenet", "small")
    for side in (33, 112)
]
FORMS += [
    (ModelConfig(backbone=name, side_px=side), side)
    for name, sides in (
        ("densenet161", (29, 32, 61, 112)), ("inception_resnet_v1", (75, 112, 160)),
        ("mobilenet_v2", (8, 32, 33, 112)), ("sface", (8, 31, 33, 112)),
        ("dlib_resnet", (55, 58, 59, 62, 63, 100, 112, 150)), ("airbench", (16, 17, 28, 112)),
    )
    for side in sides
]  # fmt: skip
FORMS += [
    (ModelConfig(backbone="airbench", side_px=side, stem_stride=stride, width=8), side)
    for stride, sides in ((1, (9, 31, 32)), (4, (32, 33, 112)))
    for side in sides
]
FORMS += [(VGGFACE2, 112), (replace(VGGFACE2, side_px=160), 160), (SFACE, 112), (DLIB, 112)]


@pytest.mark.parametrize(
    ("config", "side"), FORMS, ids=lambda c: f"{c.backbone}-{c.stem}" if hasattr(c, "stem") else c
)
def test_the_feature_map_is_as_large_as_it_is_said_to_be(config: ModelConfig, side: int) -> None:
    with torch.device("meta"):
        backbone = make_backbone(config).eval()
        found = backbone(torch.zeros(1, 3, side, side)).shape
    channels, last = feature_map(config)
    assert found == (1, channels, last, last)


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet34", "resnet50", "densenet161", "mobilenet_v2"]
)
def test_a_whole_backbone_has_the_parameters_of_torchvisions(name: str) -> None:
    stem = {"stem": "imagenet"} if name.startswith("resnet") else {}
    with torch.device("meta"):
        ours = make_backbone(ModelConfig(backbone=name, **stem))  # type: ignore[arg-type]
        whole = getattr(torchvision.models, name)(weights=None)
    theirs = [
        (key, value.shape)
        for key, value in whole.state_dict().items()
        if not key.startswith(("fc.", "classifier."))
    ]
    assert [(key, value.shape) for key, value in ours.state_dict().items()] == theirs


SCRIPTED = {
    "plain": SMALL,
    "tanh": replace(SMALL, activation="tanh", space="unit_bounce", scale=0.5),
    "maxout": replace(SMALL, maxout=3, space="unit_range", stem_stride=1),
    "average": replace(SMALL, pool="average", space="bounce_limit", scale=2.5,
                       stem="imagenet"),
    "resnet34": replace(SMALL, backbone="resnet34", activation="tanh", maxout=2, space="none",
                        unbounded_d_max=4.0),
    "resnet50": replace(SMALL, backbone="resnet50", activation="tanh", maxout=2, stem_stride=4),
    "densenet161": ModelConfig(backbone="densenet161", side_px=32, activation="tanh", maxout=2),
    "inception_resnet_v1": ModelConfig(backbone="inception_resnet_v1", side_px=75, maxout=2,
                                       activation="tanh", pool="average", embedding_size=512),
    "mobilenet_v2": ModelConfig(backbone="mobilenet_v2", side_px=32, activation="tanh", maxout=2),
    "sface": ModelConfig(backbone="sface", side_px=32, activation="tanh", maxout=2),
    "dlib_resnet": ModelConfig(backbone="dlib_resnet", side_px=64, activation="tanh", maxout=2),
    "airbench": ModelConfig(backbone="airbench", side_px=32, width=8, stem_stride=1, maxout=2),
    "dlib's chip": replace(DLIB, maxout=2, pool="average", activation="tanh", dropout=0.0),
}  # fmt: skip


@pytest.mark.parametrize("config", SCRIPTED.values(), ids=list(SCRIPTED))
@torch.no_grad()
def test_the_scripted_network_is_the_eager_one_at_any_batch_size(config: ModelConfig) -> None:
    net = made(config, load_weights=False)
    images = crops(3, config.side_px)
    spread(net, config.side_px)
    eager = net(images)
    assert eager.shape == (3, config.embedding_size)
    assert eager.dtype == torch.float32
    assert (eager[0] - eager[1]).norm() > 0.01  # told apart, so that equality says something
    with torchscript_deprecation_silenced(), slow_jit():
        scripted = torch.jit.script(net)
        assert torch.allclose(scripted(images), eager, atol=1e-6)
        assert torch.allclose(scripted(images[:1]), eager[:1], atol=1e-4)
        assert scripted(images[:0]).shape == (0, config.embedding_size)


# --- spaces ---


def in_space(raw: list[float], space: str, scale: float) -> list[float]:
    """paper.md, in plain floats."""
    norm = math.sqrt(sum(x * x for x in raw))
    bounces = int(norm / scale)
    rest = norm - bounces * scale
    lengths = {
        "l2": scale,
        "unit_range": min(norm, scale),
        "unit_bounce": rest if bounces % 2 == 0 else scale - rest,
        "bounce_limit": [rest, scale - rest, 0.0][min(bounces, 2)],
        "none": norm,
    }
    return [x / norm * lengths[space] for x in raw]


@pytest.mark.parametrize("activation", ["none", "tanh"])
@pytest.mark.parametrize("space", ["l2", "unit_range", "unit_bounce", "bounce_limit", "none"])
@torch.no_grad()
def test_the_space_is_inside_the_network(space: Any, activation: Any) -> None:
    config = replace(SMALL, space="none", unbounded_d_max=9.0)
    raw_net, images = made(config).double(), crops(6, 32)
    spread(raw_net, 32)
    # Lengths of about 2.8 with a scale of 2: most vectors are outside the ball, some far.
    raw_net.head[-1].weight.mul_(torch.linspace(0.2, 2.0, 8))
    raw_BD = raw_net(images)
    bounds = {"unbounded_d_max": 9.0 if space == "none" else 0.0}
    net = made(replace(SMALL, space=space, scale=2.0, activation=activation, **bounds)).double()
    net.load_state_dict(raw_net.state_dict())
    found = net(images)
    assert found.dtype == torch.float64
    for raw, embedding in zip(raw_BD.tolist(), found.tolist(), strict=True):
        shown = [math.tanh(x) for x in raw] if activation == "tanh" else raw
        assert embedding == pytest.approx(in_space(shown, space, 2.0), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("space", ["l2", "unit_range", "unit_bounce", "bounce_limit"])
@torch.no_grad()
def test_no_embedding_leaves_its_ball_whatever_the_picture(space: Any) -> None:
    net = made(replace(SMALL, space=space, scale=1.5))
    images = torch.cat([crops(4, 32), torch.zeros(1, 32, 32, 3), torch.full((1, 32, 32, 3), 255)])
    norms = net(images.to(torch.uint8)).norm(dim=1)
    assert torch.isfinite(norms).all()
    assert norms.max() <= 1.5 + 1e-5
    if space == "l2":
        assert torch.allclose(norms, torch.full_like(norms, 1.5), atol=1e-5)


@torch.no_grad()
def test_a_network_that_answers_nothing_stays_at_zero() -> None:
    """The zero vector has no direction: it is no crop's fault, and no NaN."""
    net = made(SMALL)
    net.head[-1].weight.zero_()
    assert torch.equal(net(crops(2, 32)), torch.zeros(2, 8))


# --- number formats ---


@torch.no_grad()
def test_pixels_of_bytes_and_pixels_of_training_are_the_same() -> None:
    net, images = made(SMALL), crops(3, 32)
    pixels = torch.tensor(images.numpy().transpose(0, 3, 1, 2) / 127.5 - 1, dtype=torch.float32)
    assert torch.allclose(net(images), net.embed(pixels), atol=1e-6)
    layout = pixels.to(memory_format=torch.channels_last)
    expected = net.embed(pixels)
    found = net.to(memory_format=torch.channels_last).embed(layout)
    assert torch.allclose(found, expected, atol=1e-6)


@torch.no_grad()
def test_every_number_format_makes_nearly_the_same_embeddings() -> None:
    config = replace(SMALL, width=16, embedding_size=64)
    net, images = made(config), crops(4, 32)
    spread(net, 32)
    exact = made(config).double()
    exact.load_state_dict(net.state_dict())
    embeddings = exact(images)
    assert embeddings.dtype == torch.float64
    assert torch.allclose(net(images).double(), embeddings, atol=1e-5)
    # Training casts its pixels to float32, whatever the weights are.
    pixels = images.permute(0, 3, 1, 2).float() / 127.5 - 1
    assert torch.allclose(exact.embed(pixels), embeddings, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        raw = net.head(net.backbone(pixels))
        found = net(images)
    assert raw.dtype == torch.bfloat16
    assert found.dtype == torch.float32
    assert torch.allclose(found.norm(dim=1), torch.ones(4), atol=1e-6)
    assert (found - embeddings).norm(dim=1).max() < 0.1
    stored = made(config)
    stored.load_state_dict(net.state_dict())
    served = stored.to(torch.bfloat16)(images)
    assert served.dtype == torch.float32
    assert (served - embeddings).norm(dim=1).max() < 0.1


def test_gradients_reach_every_weight() -> None:
    net = made(replace(SMALL, maxout=2, activation="tanh", space="unit_bounce")).train()
    target = torch.randn(4, 8)
    net.embed(torch.rand(4, 3, 32, 32) * 2 - 1).sub(target).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # The last normalisation undoes what the one before adds to all alike.
        assert parameter.grad.abs().max() > 0, name


# --- the head ---


def test_maxout_takes_the_largest_piece_of_each_number() -> None:
    torch.manual_seed(0)
    linear, pieces = nn.Linear(5, 3 * 4), Maxout(3)
    inputs = torch.randn(2, 5)
    found = pieces(linear(inputs))
    weights, biases = linear.weight.tolist(), linear.bias.tolist()
    for b in range(2):
        for d in range(4):
            values = [
                sum(w * x for w, x in zip(weights[m * 4 + d], inputs[b].tolist(), strict=True))
                + biases[m * 4 + d]
                for m in range(3)
            ]
            assert found[b, d].item() == pytest.approx(max(values), rel=1e-5, abs=1e-6)


def test_every_piece_of_maxout_is_drawn_as_a_layer_of_its_own() -> None:
    net = made(replace(SMALL, maxout=4, embedding_size=128, side_px=8, width=16))
    linear = next(m for m in net.head if isinstance(m, nn.Linear))
    assert linear.weight.shape == (4 * 128, 128)
    assert torch.equal(linear.bias, torch.zeros(4 * 128))
    # By fan-out 4 * 128 the bound would be 0.097.
    for piece in linear.weight.detach().chunk(4):
        assert piece.abs().max().item() == pytest.approx(math.sqrt(6 / 256), rel=0.01)


# N inputs, D outputs: deviation, and largest value or None where there is no bound.
DRAWN: dict[Initialisation, tuple[float, float | None]] = {
    "xavier_uniform": (math.sqrt(2 / (800 + 200)), math.sqrt(6 / (800 + 200))),
    "xavier_normal": (math.sqrt(2 / (800 + 200)), None),
    "uniform": (1 / math.sqrt(3 * 800), 1 / math.sqrt(800)),
    "normal": (1 / math.sqrt(800), None),
}


@pytest.mark.parametrize("init", DRAWN)
def test_weights_are_drawn_from_the_distribution_by_their_name(init: Initialisation) -> None:
    torch.manual_seed(1)
    weights = torch.empty(200, 800)
    initialise(weights, init)
    deviation, bound = DRAWN[init]
    assert weights.mean().abs() < 4 * deviation / 400
    assert weights.std().item() == pytest.approx(deviation, rel=0.01)
    # Fourth moment over squared variance: 1.8 of a uniform, 3 of a normal distribution.
    kurtosis = (weights.double().pow(4).mean() / weights.double().var() ** 2).item()
    assert kurtosis == pytest.approx(3.0 if bound is None else 1.8, rel=0.02)
    if bound is not None:
        assert bound * 0.999 < weights.abs().max().item() <= bound


def test_the_head_is_drawn_as_the_config_says_and_the_backbone_is_not() -> None:
    uniform, normal = (made(replace(SMALL, init=init), seed=3) for init in ("uniform", "normal"))
    assert torch.equal(uniform.backbone[0].weight, normal.backbone[0].weight)
    linear = [next(m for m in net.head if isinstance(m, nn.Linear)) for net in (uniform, normal)]
    assert linear[0].weight.abs().max() <= 128**-0.5 < linear[1].weight.abs().max()


def test_dropout_and_pooling_are_where_the_config_puts_them() -> None:
    places, average = made(replace(SMALL, dropout=0.5)), made(replace(SMALL, pool="average"))
    assert [type(m).__name__ for m in places.head] == [
        "BatchNorm2d", "Dropout", "Flatten", "Linear", "BatchNorm1d",
    ]  # fmt: skip
    assert places.head[1].p == 0.5
    assert places.head[3].in_features == 8 * 4 * 2 * 2
    assert [type(m).__name__ for m in average.head] == [
        "BatchNorm2d", "AdaptiveAvgPool2d", "Dropout", "Flatten", "Linear", "BatchNorm1d",
    ]  # fmt: skip
    assert average.head[4].in_features == 8 * 4
