"""Whitened embeddings, several views and projections, against plain numpy."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from contract.torchscript import torchscript_deprecation_silenced
from training.export.specs import embedding_spec
from training.export.whitening import whitened, whitening
from training.models.config import ModelConfig
from training.models.embedding_net import EmbeddingNet

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = ModelConfig(width=4, side_px=32, embedding_size=8, dropout=0.0, pool="average")
Floats = npt.NDArray[np.float64]


def crops(count: int) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(4)
    squares = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return squares.repeat(4, 1).repeat(4, 2)


@torch.no_grad()
def made(config: ModelConfig) -> EmbeddingNet:
    """With the statistics of some crops, so that embeddings differ."""
    torch.manual_seed(0)
    net = EmbeddingNet(config)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1.0
    net.embed(torch.from_numpy(crops(16)).permute(0, 3, 1, 2).float() / 127.5 - 1)
    return net.eval()


def rows(length: Floats) -> Floats:
    return length / np.linalg.norm(length, axis=1, keepdims=True)


@torch.no_grad()
def embedded(net: nn.Module, images: npt.NDArray[np.uint8]) -> Floats:
    with torchscript_deprecation_silenced(), torch.jit.optimized_execution(False):
        scripted: Tensor = torch.jit.script(net)(torch.from_numpy(images))
    eager: Tensor = net(torch.from_numpy(images))
    assert (scripted - eager).abs().max() < 1e-5
    return eager.double().numpy()


def test_whitening_makes_directions_vary_alike_and_keeps_the_widest() -> None:
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    deviations = np.array([9.0, 5.0, 2.0, 1.0, 0.5, 0.1])
    samples = (rng.normal(size=(4000, 6)) * deviations) @ turn + 3
    mean, weights = whitening(samples, size=3)
    assert weights.shape == (3, 6)
    assert np.allclose(mean, samples.mean(axis=0))
    white = (samples - mean) @ weights.T
    assert np.allclose(np.cov(white.T), np.eye(3), atol=0.02)
    # Each number is one of the three widest directions, and of none of the others.
    shares = np.abs(weights @ turn.T) * deviations
    assert np.allclose(np.sort(shares, axis=1)[:, -1], 1, atol=0.1)
    assert set(shares.argmax(axis=1)) == {0, 1, 2}


def test_a_whitened_network_is_the_network_without_mean_times_weights() -> None:
    net, images = made(SMALL), crops(40)
    used = np.arange(5, 40)
    white = whitened(net, images, used, size=5).eval()
    plain = embedded(net, images)
    mean, weights = whitening(plain[used], size=5)
    expected = rows((plain - mean) @ weights.T)
    assert np.allclose(embedded(white, images), expected, atol=1e-4)


def test_what_cannot_be_whitened_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2\.\.8"):
        whitened(made(SMALL), crops(4), np.arange(4), size=9)
    other = made(replace(SMALL, space="unit_range"))
    with pytest.raises(ValueError, match="unit_range"):
        whitened(other, crops(4), np.arange(4), size=4)


def middle(images: Floats) -> Floats:
    """The middle 24 of 32 pixels, each new centre between the two old ones beside it."""
    inside = images[:, 4:28, 4:28]
    weights = np.zeros((32, 24))
    for new in range(32):
        at = min(max((new + 0.5) * 24 / 32 - 0.5, 0.0), 23.0)
        low = min(int(at), 22)
        weights[new, low] += 1 - (at - low)
        weights[new, low + 1] += at - low
    return np.einsum("yh,nhwc,xw->nyxc", weights, inside, weights, optimize=True)


@pytest.mark.parametrize(("views", "count"), [("mirrored", 2), ("four", 4), ("six", 6)])
@torch.no_grad()
def test_views_are_averaged_and_come_back_into_the_space(views: str, count: int) -> None:
    images = crops(3)
    pixels = images / 127.5 - 1
    seen = [pixels, pixels[:, :, ::-1]]
    if views == "four":
        seen += [middle(pixels), middle(pixels)[:, :, ::-1]]
    if views == "six":
        places = [(0, 32), (2, 34)]
        wider = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        shifted = [wider[:, low:high, low:high] for low, high in places]
        seen += [*shifted, *(view[:, :, ::-1] for view in shifted)]
    net = made(SMALL)
    each = [
        net.embed(torch.tensor(view.copy()).permute(0, 3, 1, 2).float()).double().numpy()
        for view in seen
    ]
    assert len(each) == count
    expected = rows(np.mean(each, axis=0))
    several = made(replace(SMALL, views=views))  # type: ignore[arg-type]
    assert np.allclose(embedded(several, images), expected, atol=1e-4)


@torch.no_grad()
def test_a_projection_is_for_training_and_the_features_before_it_are_the_embedding() -> None:
    config = replace(SMALL, projection=True)
    net, images = made(config), crops(3)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert net.embed(pixels).shape == (3, 8)
    features = net.head[0](net.backbone(pixels)).double().numpy().mean(axis=(2, 3))
    assert np.allclose(embedded(net, images), rows(features), atol=1e-5)
    assert embedding_spec(config).size == 32 == features.shape[1]
    assert embedding_spec(SMALL).size == 8
    with pytest.raises(ValueError, match="projection needs pool average"):
        replace(SMALL, projection=True, pool="places")
