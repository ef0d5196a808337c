"""dlib's published face network: a file in its format, made up, against its layers one by one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor, nn

from training.models.config import ModelConfig
from training.models.dlib_file import load_dlib
from training.models.dlib_resnet import FaceChip, dlib_feature_map, dlib_resnet
from training.models.embedding_net import EmbeddingNet
from training.models.weight_files import DLIB, PretrainedError

pytestmark = pytest.mark.usefixtures("one_thread")

Floats = npt.NDArray[np.float32]
CONFIG = ModelConfig(
    backbone="dlib_resnet", pretrained="dlib", keep_statistics=True, dropout=0.0, embedding_size=8
)
# Channels of each block, and whether it halves its sides; the file has one more than we take.
BLOCKS = (
    *[(32, False)] * 3, (64, True), *[(64, False)] * 3, (128, True), *[(128, False)] * 2,
    (256, True), *[(256, False)] * 2, (256, True),
)  # fmt: skip
EMBEDDING_SIZE = 128
# Rates as dlib keeps them: whole mantissa and exponent of two.
ONE, TENTH = (1, 0), (0xCCCCCD, -27)


# --- a writer of dlib's format ---


@dataclass(frozen=True)
class Layer:
    """A convolution with its biases, and the `affine` after it."""

    weights_OIKK: Floats
    biases_O: Floats
    gains_O: Floats
    shifts_O: Floats
    stride: int
    padding: int


def random_layer(
    rng: np.random.Generator, before: int, after: int, kernel: int, stride: int, padding: int
) -> Layer:
    """As small as dlib's: the gains make up for weights that do not fit to anything."""
    small = rng.uniform(0.02, 0.5)
    usual = (2 / (before * kernel**2)) ** 0.5
    return Layer(
        rng.normal(0, small * usual, (after, before, kernel, kernel)).astype(np.float32),
        rng.normal(0, 0.3 * small, after).astype(np.float32),
        (rng.uniform(0.3, 0.9, after) / small).astype(np.float32),
        rng.normal(0, 0.3, after).astype(np.float32),
        stride,
        padding,
    )


def random_layers() -> list[Layer]:
    """All 29 convolutions, in order."""
    rng = np.random.default_rng(3)
    layers, before = [random_layer(rng, 3, 32, 7, 2, 0)], 32
    for after, down in BLOCKS:
        layers.append(random_layer(rng, before, after, 3, *((2, 0) if down else (1, 1))))
        layers.append(random_layer(rng, after, after, 3, 1, 1))
        before = after
    return layers


def whole(value: int) -> bytes:
    """Count of the bytes that follow and the sign in one byte, then the least significant first."""
    length = max(1, (abs(value).bit_length() + 7) // 8)
    first = length | (0x80 if value < 0 else 0)
    return bytes([first]) + abs(value).to_bytes(length, "little")


def wholes(*values: int) -> bytes:
    return b"".join(map(whole, values))


def text(word: str) -> bytes:
    return whole(len(word)) + word.encode()


def tensor(values: Floats, *sizes: int) -> bytes:
    return wholes(2, *sizes) + values.astype("<f4").tobytes()


def empty_tensors(count: int) -> bytes:
    """What every layer keeps for its gradients and outputs."""
    return wholes(*(2, 0, 0, 0, 0) * count)


def beginning() -> bytes:
    """The loss with its margins, a truth value for each layer, and the input with its means."""
    margins = wholes(0xA3D70A, -28, 0x99999A, -24)
    flags = wholes(*[2, 2, 1, 2] * 60)
    return (
        wholes(1, 1) + text("loss_metric_2") + wholes(3) + margins + flags
        + text("input_rgb_image_sized") + wholes(0xF59062, -17, 0xEA0083, -17, 0xD09893, -17)
        + wholes(150, 150)
    )  # fmt: skip


def written(layer: Layer) -> bytes:
    """A convolution with its sizes and rates, its `affine`, and the `relu` that comes next."""
    after, before, kernel, _ = layer.weights_OIKK.shape
    values = np.concatenate([layer.weights_OIKK.ravel(), layer.biases_O])
    parts = [
        text("con_4"), tensor(values, len(values), 1, 1, 1),
        wholes(after, kernel, kernel, layer.stride, layer.stride, layer.padding, layer.padding),
        wholes(1, after, before, kernel, kernel, 1, 1, after, 1, 1),
        wholes(*ONE, *ONE, *ONE, *TENTH), text("110"), empty_tensors(3),
        text("affine_"),
        tensor(np.concatenate([layer.gains_O, layer.shifts_O]), 2 * after, 1, 1, 1),
        wholes(1, 1, after, 1, 1, 1, 1, after, 1, 1, 0), text("110"), empty_tensors(3),
        text("relu_"), text("110"), empty_tensors(3),
    ]  # fmt: skip
    return b"".join(parts)


def ending() -> bytes:
    """The average and the linear layer that we leave out."""
    rng = np.random.default_rng(4)
    weights = rng.normal(0, 1, (256, EMBEDDING_SIZE)).astype(np.float32)
    return (
        text("avg_pool_2") + wholes(0, 0, 1, 1, 0, 0) + text("110") + empty_tensors(3)
        + text("fc_2") + wholes(EMBEDDING_SIZE, 256) + tensor(weights, 256, EMBEDDING_SIZE, 1, 1)
        + wholes(1, 256, EMBEDDING_SIZE, 1, 1, 1, 0, 0, 0, 0) + text("110") + empty_tensors(3)
    )  # fmt: skip


@pytest.fixture(scope="module")
def layers() -> list[Layer]:
    return random_layers()


@pytest.fixture(scope="module")
def file(layers: list[Layer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dlib") / "network.dat"
    path.write_bytes(beginning() + b"".join(map(written, layers)) + ending())
    return path


# --- the same network in dlib's own terms ---


def convolved(x: Tensor, layer: Layer) -> Tensor:
    """Convolution with biases, gains, shifts."""
    weights, biases, gains, shifts = (
        torch.from_numpy(values).double()
        for values in (layer.weights_OIKK, layer.biases_O, layer.gains_O, layer.shifts_O)
    )
    x = F.conv2d(x, weights, biases, layer.stride, layer.padding)
    return x * gains[:, None, None] + shifts[:, None, None]


def added(left: Tensor, right: Tensor) -> Tensor:
    """dlib's add_prev: what one of the two lacks in channels, rows or columns is zero."""
    sizes = [max(pair) for pair in zip(left.shape, right.shape, strict=True)]
    total = torch.zeros(sizes, dtype=torch.float64)
    for part in (left, right):
        _, channels, rows, columns = part.shape
        total[:, :channels, :rows, :columns] += part
    return total


@torch.no_grad()
def run_as_dlib(pixels_B3HW: Tensor, layers: list[Layer]) -> Tensor:
    """What dlib has before its last block and its average, of what the first layer is fed."""
    left = iter(layers)
    x = F.max_pool2d(F.relu(convolved(pixels_B3HW.double(), next(left))), 3, 2)
    for _, down in BLOCKS[:-1]:
        changed = convolved(F.relu(convolved(x, next(left))), next(left))
        x = F.relu(added(F.avg_pool2d(x, 2) if down else x, changed))
    assert len(list(left)) == 2
    return x


def crops(count: int, side: int) -> Tensor:
    """uint8 (count, side, side, 3) of coloured squares of 4 pixels."""
    rng = np.random.default_rng(0)
    squares = rng.integers(0, 256, (count, -(-side // 4), -(-side // 4), 3), dtype=np.uint8)
    return torch.from_numpy(squares.repeat(4, 1).repeat(4, 2)[:, :side, :side].copy())


def check_close(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert expected.std() > 0.1
    assert (expected[0] - expected[1]).abs().max() > 0.1  # told apart
    assert (found - expected).norm() < 1e-5 * expected.norm()


# --- where the weights lie ---


@pytest.fixture(params=["wheel", "cache"])
def published(request: pytest.FixtureRequest, wheels: Path, tmp_path: Path, file: Path) -> None:
    """The file where we look for it."""
    place = wheels / DLIB.package / DLIB.inside
    if request.param == "cache":
        place.write_bytes(b"is not looked at")
        place = tmp_path / "torch" / "hub" / "checkpoints" / place.name
        place.parent.mkdir(parents=True)
    place.symlink_to(file)


@pytest.mark.usefixtures("published")
@torch.no_grad()
def test_a_crop_at_the_template_passes_dlibs_layers(layers: list[Layer]) -> None:
    torch.manual_seed(0)
    net = EmbeddingNet(CONFIG).double().eval()
    images = crops(2, 112)
    seen: list[Tensor] = []
    net.backbone.register_forward_hook(lambda _module, _input, output: seen.append(output))
    assert net(images).shape == (2, 8)
    chip = FaceChip()(images.permute(0, 3, 1, 2).double())
    mean = torch.tensor([122.782, 117.001, 104.298], dtype=torch.float64)
    expected = run_as_dlib((chip - mean[:, None, None]) / 256, layers)
    check_close(seen[0], expected)
    assert seen[0].shape == (2, 256, 3, 3)


@pytest.mark.parametrize("side", [55, 64, 100])
@torch.no_grad()
def test_sides_that_do_not_divide_are_filled_with_zeros(
    side: int, file: Path, layers: list[Layer]
) -> None:
    backbone = dlib_resnet(at_template=False)
    load_dlib(backbone, file)
    pixels = crops(2, side).permute(0, 3, 1, 2) / 127.5 - 1
    found = backbone.double().eval()(pixels.double())
    check_close(found, run_as_dlib(pixels, layers))
    assert found.shape[1:3] == dlib_feature_map(side, at_template=False)


def test_weights_are_as_large_as_those_that_networks_begin_with(
    file: Path, layers: list[Layer]
) -> None:
    backbone = dlib_resnet(at_template=True)
    load_dlib(backbone, file)
    convolutions = [m for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 27
    for convolution, layer in zip(convolutions, layers[:27], strict=True):
        inputs = convolution.weight[0].numel()
        assert convolution.weight.std().item() == pytest.approx((2 / inputs) ** 0.5, rel=1e-4)
        assert layer.weights_OIKK.std() < 0.6 * (2 / inputs) ** 0.5


# --- what dlib's network looks at ---


def resampled(square_SS3: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """A square at centres of a grid of `side` cells, each the mix of its four nearest pixels."""
    size = len(square_SS3)
    at = np.clip((np.arange(side) + 0.5) * size / side - 0.5, 0, size - 1)
    low = np.minimum(at.astype(int), size - 2)
    share = at - low
    rows = square_SS3[low] * (1 - share)[:, None, None] + square_SS3[low + 1] * share[:, None, None]
    return rows[:, low] * (1 - share)[:, None] + rows[:, low + 1] * share[:, None]


def test_the_chip_is_a_square_of_101_pixels_of_the_crop_enlarged() -> None:
    crop = np.random.default_rng(0).uniform(-1, 1, (112, 112, 3))
    lines = np.minimum(np.arange(20, 121), 111)  # below the crop its last row goes on
    expected = resampled(crop[lines][:, 6:107], 131)
    (chip,) = FaceChip()(torch.from_numpy(crop.transpose(2, 0, 1)[None]))
    assert chip.shape == (3, 131, 131)
    np.testing.assert_allclose(chip.numpy().transpose(1, 2, 0), expected, atol=1e-9)


# --- files that are something else ---


def cut(layers: list[Layer]) -> Iterator[bytes]:
    """Five layers and the beginning of a sixth."""
    yield beginning()
    yield from map(written, layers[:5])
    yield written(layers[5])[:2000]


def wider(_: list[Layer]) -> Iterator[bytes]:
    """dlib's format, but twice the filters."""
    yield beginning()
    yield written(random_layer(np.random.default_rng(0), 3, 64, 7, 2, 0))


def affine_of_another(layers: list[Layer]) -> Iterator[bytes]:
    """The first convolution, and the gains and shifts of one with 64 filters."""
    yield written(layers[0]).partition(text("affine_"))[0]
    yield tensor(np.ones(128, np.float32), 128, 1, 1, 1)


def sentence(_: list[Layer]) -> Iterator[bytes]:
    yield b"<html>Not found</html>\n"


def nothing(_: list[Layer]) -> Iterator[bytes]:
    yield b""


Contents = Callable[[list[Layer]], Iterator[bytes]]
OTHERS: dict[str, tuple[Contents, str]] = {
    "cut": (cut, "it has 10 of 54 tensors"),
    "wider": (wider, "9472 weights and 128 gains and shifts instead of 4736 and 64"),
    "affine": (affine_of_another, "4736 weights and 128 gains and shifts instead of 4736 and 64"),
    "sentence": (sentence, "it has 0 of 54 tensors"),
    "nothing": (nothing, "it has 0 of 54 tensors"),
}


@pytest.mark.parametrize(("contents", "words"), OTHERS.values(), ids=list(OTHERS))
def test_another_file_is_refused_by_name(
    contents: Contents, words: str, layers: list[Layer], tmp_path: Path
) -> None:
    path = tmp_path / "other.dat"
    path.write_bytes(b"".join(contents(layers)))
    with pytest.raises(PretrainedError, match=r"other\.dat is not dlib's face network: ") as caught:
        load_dlib(dlib_resnet(at_template=True), path)
    assert words in str(caught.value)


@pytest.mark.usefixtures("wheels")
def test_without_a_file_both_ways_to_get_it_are_named(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError) as caught:
        EmbeddingNet(CONFIG)
    words = str(caught.value)
    name = "dlib_face_recognition_resnet_model_v1.dat"
    assert words.startswith(f"There is no {name}: ")
    assert "pip install --no-deps face_recognition_models==0.3.0" in words
    assert f"put the file here: {tmp_path / 'torch/hub/checkpoints' / name}." in words
    EmbeddingNet(CONFIG, load_weights=False)  # whoever has a state of their own needs no file
