"""Embedding networks: every backbone, head and space, and weights that others trained.

No download: files of pretrained weights are made up, and lie where the publishers' own loaders
look for them.
"""

import math
import re
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import facenet_pytorch.models.utils.download
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
from training.models.pretrained import PretrainedError

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = ModelConfig(width=4, side_px=32, embedding_size=8, dropout=0.0)
VGGFACE2 = ModelConfig(
    backbone="inception_resnet_v1", pretrained="vggface2", embedding_size=512, pool="average"
)


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
    for name, sides in (("densenet161", (29, 32, 61, 112)), ("inception_resnet_v1", (75, 112, 160)))
    for side in sides
]
FORMS += [(VGGFACE2, 112), (replace(VGGFACE2, side_px=160), 160)]


@pytest.mark.parametrize(
    ("config", "side"), FORMS, ids=lambda c: f"{c.backbone}-{c.stem}" if hasattr(c, "stem") else c
)
def test_the_feature_map_is_as_large_as_it_is_said_to_be(config: ModelConfig, side: int) -> None:
    with torch.device("meta"):
        backbone = make_backbone(config).eval()
        found = backbone(torch.zeros(1, 3, side, side)).shape
    channels, last = feature_map(config)
    assert found == (1, channels, last, last)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "densenet161"])
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


# --- configs that mean nothing ---

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown backbone": ({"backbone": "vgg16"}, "backbone must be one of resnet18"),
    "unknown init": ({"init": "zeros"}, "init must be one of"),
    "width of densenet161": ({"backbone": "densenet161", "width": 32}, "Leave width at 64"),
    "width of inception": (
        {"backbone": "inception_resnet_v1", "width": 32}, "Leave width at 64, inception_resnet_v1"),
    "no width": ({"width": 0}, "width must be at least 1"),
    "stem of densenet161": (
        {"backbone": "densenet161", "stem": "imagenet"}, "Leave stem at 'small', densenet161"),
    "stride of the imagenet stem": (
        {"stem": "imagenet", "stem_stride": 4}, "the stem 'imagenet' always has a stride of 4"),
    "stride of 3": ({"stem_stride": 3}, "stem_stride must be 1, 2 or 4"),
    "vggface2 for resnet18": (
        {"pretrained": "vggface2"}, "no weights 'vggface2' for resnet18: pretrained must be none or"
        " imagenet"),
    "imagenet for inception": (
        {"backbone": "inception_resnet_v1", "pretrained": "imagenet"}, "none or vggface2"),
    "pretrained of another width": (
        {"pretrained": "imagenet", "width": 32}, "the weights of imagenet have 64 channels"),
    "small crops for densenet161": (
        {"backbone": "densenet161", "side_px": 28}, "side_px of densenet161 must be in 29..1024"),
    "small crops for inception": (
        {"backbone": "inception_resnet_v1", "side_px": 74}, "must be in 75..1024, not 74"),
    "tiny crops": ({"side_px": 7}, "side_px of resnet18 must be in 8..1024"),
    "large crops": ({"side_px": 1025}, "not 1025"),
    "crops larger than vggface2's": ({"own": True, "side_px": 161}, "side_px must be at most 160"),
    "places in vggface2's head": ({"own": True, "pool": "places"}, "pool must be average"),
    "maxout in vggface2's head": ({"own": True, "maxout": 2}, "Leave maxout at 1, the head of"),
    "init of vggface2's head": ({"own": True, "init": "normal"}, "Leave init at 'xavier_uniform'"),
    "one number": ({"embedding_size": 1}, "embedding_size must be in 2..4096, not 1"),
    "too many numbers": ({"embedding_size": 4097}, "not 4097"),
    "no piece": ({"maxout": 0}, "maxout must be at least 1"),
    "all dropped": ({"dropout": 1.0}, "dropout must be in"),
    "no radius": ({"scale": 0.0}, "scale must be positive"),
    "unbounded l2": ({"unbounded_d_max": 2.0}, "0 for every other"),
    "none without a distance": ({"space": "none"}, "unbounded_d_max"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "words"), REFUSED.values(), ids=list(REFUSED))
def test_a_config_that_makes_no_sense_is_refused_in_words(
    values: dict[str, Any], words: str
) -> None:
    start = VGGFACE2 if "own" in values else ModelConfig()
    changes = {name: value for name, value in values.items() if name != "own"}
    with pytest.raises(ValueError, match=re.escape(words)):
        replace(start, **changes)


def test_another_size_takes_a_new_head_on_the_pretrained_backbone() -> None:
    config = replace(VGGFACE2, embedding_size=64, pool="places", maxout=2, init="normal")
    assert not config.has_own_head
    assert VGGFACE2.has_own_head


# --- weights of ImageNet ---


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch's hub, and no network."""

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    monkeypatch.setattr(facenet_pytorch.models.utils.download, "urlopen", refuse)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def random_state(whole: nn.Module) -> dict[str, Tensor]:
    """A state in which every tensor differs from a fresh network's."""
    generator = torch.Generator().manual_seed(5)
    state = whole.state_dict()
    for name, value in state.items():
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator)
            is_weight = name.endswith("weight") and value.ndim > 1
            state[name] = (noise - 0.5) / value[0].numel() ** 0.5 if is_weight else noise + 0.5
    return state


def pixels_for(images: Tensor, weights: Any) -> Tensor:
    """What torchvision's own preset makes of crops that need no resizing."""
    preset = weights.transforms()
    shares = images.permute(0, 3, 1, 2).double() / 255
    mean, deviation = torch.tensor(preset.mean).double(), torch.tensor(preset.std).double()
    return (shares - mean[:, None, None]) / deviation[:, None, None]


@torch.no_grad()
def test_resnet18_takes_imagenets_weights_stem_and_pixels(cache: Path) -> None:
    whole = torchvision.models.resnet18(weights=None)
    whole.load_state_dict(random_state(whole))
    torch.save(whole.state_dict(), cache / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    config = ModelConfig(pretrained="imagenet", stem="imagenet", side_px=64, pool="average")
    net, images = made(config).double(), crops(3, 64)
    seen: list[Tensor] = []
    net.backbone.register_forward_hook(lambda _module, _input, output: seen.append(output))
    net(images)
    whole.double().eval()
    weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    hidden = whole.maxpool(whole.relu(whole.bn1(whole.conv1(pixels_for(images, weights)))))
    expected = whole.layer4(whole.layer3(whole.layer2(whole.layer1(hidden))))
    assert expected.std() > 0.01
    assert torch.allclose(seen[0], expected, rtol=1e-5, atol=1e-6)


def test_with_the_small_stem_imagenets_stem_is_left_out(cache: Path) -> None:
    whole = torchvision.models.resnet18(weights=None)
    state = random_state(whole)
    torch.save(state, cache / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    config = ModelConfig(pretrained="imagenet", side_px=32)
    net, fresh = made(config), made(replace(config, pretrained="none"))
    ours = net.backbone.state_dict()
    stem = {name for name in ours if name.startswith(("conv1.", "bn1."))}
    assert len(stem) == 6
    for name, value in ours.items():
        expected = fresh.backbone.state_dict()[name] if name in stem else state[name]
        assert torch.equal(value, expected), name
    for name, value in net.head.state_dict().items():
        assert torch.equal(value, fresh.head.state_dict()[name]), name


@torch.no_grad()
def test_densenet161_takes_the_old_names_of_its_published_file(cache: Path) -> None:
    whole = torchvision.models.densenet161(weights=None)
    state = random_state(whole)
    # As published: features.denseblock1.denselayer1.norm.1.weight, without the dot today.
    old = {
        "".join([n.rpartition(k)[0], k, ".", n.rpartition(k)[2]])
        if "denselayer" in n and (k := next(w for w in ("norm", "conv") if f".{w}" in n)) else n: v
        for n, v in state.items() if not n.endswith("num_batches_tracked")
    }  # fmt: skip
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, cache / "hub" / "checkpoints" / "densenet161-8d451a50.pth")
    net = made(ModelConfig(backbone="densenet161", pretrained="imagenet", side_px=32))
    images, weights = crops(1, 32), torchvision.models.DenseNet161_Weights.IMAGENET1K_V1
    whole.load_state_dict(state)
    expected = whole.eval().features(pixels_for(images, weights).float()).clamp_min(0)
    pixels = images.permute(0, 3, 1, 2) / 127.5 - 1
    found = net.backbone(pixels * net.pixel_gain + net.pixel_shift)
    assert expected.std() > 0.01
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4)


# --- weights that cannot be had ---

PUBLISHED: dict[str, tuple[ModelConfig, str]] = {
    "resnet18": (ModelConfig(pretrained="imagenet"), "hub/checkpoints/resnet18-f37072fd.pth"),
    "vggface2": (VGGFACE2, "checkpoints/20180402-114759-vggface2.pt"),
}


@pytest.mark.parametrize(("config", "file"), PUBLISHED.values(), ids=list(PUBLISHED))
def test_without_a_network_the_words_say_which_file_goes_where(
    config: ModelConfig, file: str, cache: Path
) -> None:
    with pytest.raises(PretrainedError, match="no network in tests") as caught:
        EmbeddingNet(config)
    words = str(caught.value)
    assert f"put it here as {cache / file}" in words
    assert "Download https://" in words
    assert words.count(Path(file).name) == 2
    assert "TORCH_HOME" in words
    EmbeddingNet(config, load_weights=False)  # whoever has a state of their own needs no file


@pytest.mark.parametrize("damage", ["no weights", "other weights", "a list"])
@pytest.mark.parametrize("name", ["resnet18", "vggface2"])
def test_a_file_of_other_weights_is_named(name: str, damage: str, cache: Path) -> None:
    config, file = PUBLISHED[name]
    if damage == "no weights":
        (cache / file).write_bytes(b"not found\n")
    else:
        torch.save(
            {"conv1.weight": torch.zeros(3)} if damage == "other weights" else [1], cache / file
        )
    with pytest.raises(PretrainedError, match="remove it") as caught:
        EmbeddingNet(config)
    assert str(cache / file) in str(caught.value)
