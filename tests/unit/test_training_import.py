"""A network that others trained becomes a bundle that computes what its publisher's code does.

The weights are made up; they lie where facenet-pytorch's own loader looks for them.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import facenet_pytorch.models.utils.download
import numpy as np
import numpy.typing as npt
import pytest
import torch
import torchvision
from facenet_pytorch import InceptionResnetV1
from torch import Tensor, nn

import training.export.parity
import training.export.writer
from contract.bundle import Bundle, load_bundle
from contract.errors import ManifestError
from contract.manifest import InputSpec
from contract.torchscript import load_torchscript
from training.cli import main
from training.data.pack import Alignment, Pack, PackError, PackIndex, open_pack, write_pack
from training.export.card import WeightsDtype
from training.export.imported import (
    SOURCES,
    Source,
    averaged_features,
    import_bundle,
    made_up_crops,
)
from training.models.config import ModelConfig
from training.models.embedding_net import EmbeddingNet

pytestmark = pytest.mark.usefixtures("one_thread")
Pixels = npt.NDArray[np.uint8]
NAME = "inception-resnet-v1-vggface2"
FILE = "20180402-114759-vggface2.pt"


def refuse(*_: object, **__: object) -> None:
    raise URLError("no network in tests")


@torch.no_grad()
def made_up_network() -> InceptionResnetV1:
    """Fresh weights, with the statistics of some crops so that no layer fades out."""
    torch.manual_seed(11)
    whole = InceptionResnetV1(classify=True, num_classes=8631)
    for module in whole.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1.0
            module.weight.uniform_(0.5, 1.5)
            module.bias.uniform_(-0.2, 0.2)
    whole.train()
    whole(torch.from_numpy(textures(8, 96)).permute(0, 3, 1, 2).float() / 128 - 1)
    return whole


def textures(count: int, side: int) -> Pixels:
    """Smooth coloured waves and a little noise."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:side, 0:side] / side
    images = []
    for _ in range(count):
        slopes, color = rng.uniform(-25, 25, 2), rng.uniform(30, 120, 3)
        wave = np.sin(slopes[0] * x + slopes[1] * y)[:, :, None] * color + 128
        images.append(wave + rng.normal(0, 5, (side, side, 3)))
    return np.clip(np.stack(images), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A TORCH_HOME with the made-up file, and no network."""
    home = tmp_path_factory.mktemp("torch")
    (home / "checkpoints").mkdir()
    torch.save(made_up_network().state_dict(), home / "checkpoints" / FILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        patch.setattr(facenet_pytorch.models.utils.download, "urlopen", refuse)
        yield home


@pytest.fixture(scope="module")
def bundle(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """By the documented command, with its default of float16."""
    out = tmp_path_factory.mktemp("bundles") / "vggface2"
    with pytest.MonkeyPatch.context() as patch:
        # Made-up weights move more by their rounding than trained ones.
        patch.setattr(training.export.parity, "PARITY_TOLERANCE", 0.02)
        assert main(["import", NAME, "--out", str(out)]) == 0
    return load_bundle(out)


def enlarged(images: Pixels, side: int) -> npt.NDArray[np.float64]:
    """Bilinear, pixels as areas: each new centre between the two old centres beside it."""
    old = images.shape[1]
    weights = np.zeros((side, old))
    for row in range(side):
        at = min(max((row + 0.5) * old / side - 0.5, 0.0), old - 1.0)
        low = min(math.floor(at), old - 2)
        weights[row, low] += 1 - (at - low)
        weights[row, low + 1] += at - low
    return np.einsum("yh,nhwc,xw->nyxc", weights, images.astype(np.float64), weights, optimize=True)


@torch.no_grad()
def test_the_bundle_computes_what_facenet_pytorch_does(home: Path, bundle: Bundle) -> None:
    """The oracle is its own network and forward, with weights rounded to float16 and back."""
    crops = textures(3, 112)
    oracle = InceptionResnetV1(pretrained="vggface2").eval().half().float()
    pixels = torch.from_numpy((enlarged(crops, 160) - 127.5) / 128).permute(0, 3, 1, 2).float()
    expected: Tensor = oracle(pixels)
    with torch.jit.optimized_execution(False):  # which takes its time over the first calls
        found = load_torchscript(bundle)(torch.from_numpy(crops))
    assert found.shape == (3, 512)
    assert (expected[:1] - expected[1:]).norm(dim=1).min() > 0.05
    assert (found - expected).norm(dim=1).max() < 1e-4


def test_the_manifest_says_what_the_weights_are(bundle: Bundle) -> None:
    m = bundle.manifest
    assert (m.name, m.version) == (NAME, "1.0.0")
    assert m.embedding.model_dump() == {"size": 512, "space": "l2", "scale": 1.0, "d_max": 2.0}
    assert (m.input.width, m.input.height, m.input.alignment) == (112, 112, "five_point_112")
    assert m.model.weights_dtype == "float16"
    assert "esearch use only" in m.license
    assert "MIT" in m.license
    (data,) = m.training_data
    assert data.name.startswith("VGGFace2")
    assert "research use only" in data.terms
    assert (data.identities, data.images) == (8631, 3_141_890)
    assert "not stated" in data.remark
    assert m.origin is not None
    assert m.origin.loss == "softmax cross entropy (facenet-pytorch's authors)"
    assert m.origin.starting_points == []
    assert m.limits == list(SOURCES[NAME].card.limits)
    assert (m.metrics, m.default_threshold, m.calibration) == ([], None, None)


class Flat(nn.Module):
    """A network of another publisher."""

    def forward(self, images_BHW3: Tensor) -> Tensor:
        grey = images_BHW3.permute(0, 3, 1, 2).float().mean(dim=1, keepdim=True)
        shown = nn.functional.adaptive_avg_pool2d(grey, (16, 32)).flatten(1)
        return nn.functional.normalize(shown, dim=1)


def test_a_further_source_is_one_more_entry(tmp_path: Path) -> None:
    source: Source = replace(SOURCES[NAME], load=Flat)
    exported = import_bundle(source, tmp_path / "flat", source.card)
    assert exported.parity == {"cpu": pytest.approx(0.0, abs=1e-6)}
    crops = torch.from_numpy(textures(3, 112))
    assert torch.allclose(load_torchscript(exported.bundle)(crops), Flat()(crops), atol=1e-6)


def test_what_a_source_does_not_say_of_its_data_is_not_made_up(tmp_path: Path) -> None:
    source = replace(SOURCES[NAME], load=Flat, learned=None)
    assert import_bundle(source, tmp_path / "flat", source.card).bundle.manifest.training_data == []
    assert SOURCES["sface"].learned is None


def packed(root: Path, side: int, alignment: Alignment = "five_point_112") -> Pack:
    index = PackIndex(
        source="waves",
        alignment=alignment,
        identities=("one",),
        paths=tuple(f"one/{i}.png" for i in range(300)),
        labels=(0,) * 300,
        splits=("train",) * 300,
        unused=(),
    )
    write_pack(root, index, textures(300, side))
    return open_pack(root)


def test_parity_is_checked_on_the_crops_of_a_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Pixels] = []

    def noted(net: nn.Module, bundle: Bundle, crops: Pixels) -> dict[str, float]:
        seen.append(crops)
        return {"cpu": 0.0}

    monkeypatch.setattr(training.export.writer, "check_parity", noted)
    pack = packed(tmp_path / "pack", 112)
    source = replace(SOURCES[NAME], load=Flat)
    import_bundle(source, tmp_path / "out", source.card, pack=pack)
    assert np.array_equal(seen[0], pack.images[:256])
    with pytest.raises(PackError, match=r"64x64, alignment none; .* takes 112x112"):
        import_bundle(
            source, tmp_path / "out", source.card, pack=packed(tmp_path / "small", 64, "none")
        )


@torch.no_grad()
def test_averaged_features_are_torchvisions_without_a_head() -> None:
    config = ModelConfig(backbone="mobilenet_v2", embedding_size=1280, pool="average")
    torch.manual_seed(2)
    net = averaged_features(config).eval()
    oracle = torchvision.models.mobilenet_v2(weights=None).eval()
    names = {f"features.{name}": name for name in oracle.features.state_dict()}
    state = net.backbone.state_dict()
    oracle.features.load_state_dict({names[name]: value for name, value in state.items()})
    crops = torch.from_numpy(textures(2, 64))
    pixels = crops.permute(0, 3, 1, 2).float() / 127.5 - 1
    expected = nn.functional.normalize(oracle.features(pixels).mean(dim=(2, 3)), dim=1)
    assert torch.allclose(net(crops), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "weights", "stored"),
    [(torch.float32, "float16", torch.float16), (torch.float64, "float32", torch.float32)],
)
def test_exporting_leaves_the_network_of_the_source_alone(
    tmp_path: Path, dtype: torch.dtype, weights: WeightsDtype, stored: torch.dtype
) -> None:
    """Rounded weights are those of a copy; parity compares with the whole ones."""
    torch.manual_seed(4)
    net = EmbeddingNet(ModelConfig(width=4, embedding_size=512)).to(dtype).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    source = replace(SOURCES[NAME], load=lambda: net)
    exported = import_bundle(source, tmp_path / "out", source.card, weights=weights)
    assert exported.parity["cpu"] > 0
    for name, value in net.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])
    written = torch.jit.load(io.BytesIO(exported.bundle.read_model()))
    assert {parameter.dtype for parameter in written.parameters()} == {stored}


def test_the_card_can_be_given_and_parity_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOURCES, NAME, replace(SOURCES[NAME], load=Flat))
    out = tmp_path / "flat"
    words = ["import", NAME, "--out", str(out), "--name", "mine", "--terms", "asked and granted"]
    assert main([*words, "--remark", "", "--weights", "float32"]) == 0
    assert f"{out}: mine 1.0.0, parity held (an embedding moves by at most 0.0000" in (
        capsys.readouterr().out
    )
    manifest = load_bundle(out).manifest
    (data,) = manifest.training_data
    assert (data.terms, data.remark) == ("asked and granted", "")
    assert manifest.model.weights_dtype == "float32"
    assert manifest.license == SOURCES[NAME].card.license
    assert manifest.limits == list(SOURCES[NAME].card.limits)
    assert main([*words, "--limit", "cats", "--limit", "dogs"]) == 0
    assert load_bundle(out).manifest.limits == ["cats", "dogs"]


def test_a_card_that_no_manifest_can_state_writes_nothing(tmp_path: Path) -> None:
    source = replace(SOURCES[NAME], load=Flat)
    with pytest.raises(ManifestError, match="version: "):
        import_bundle(source, tmp_path / "out", replace(source.card, version="one"))
    assert not (tmp_path / "out").exists()


def test_parity_is_checked_on_coarse_and_fine_pictures() -> None:
    spec = InputSpec(width=60, height=40, color_order="RGB", alignment="none")
    crops = made_up_crops(spec, each=2)
    assert crops.shape == (8, 40, 60, 3)
    assert crops.dtype == np.uint8
    for row, side in ((0, 1), (2, 4), (4, 16), (6, 56)):
        image = crops[row].astype(int)
        assert (image[:side, :side] == image[0, 0]).all()
        assert len({tuple(pixel) for pixel in image[::side, ::side].reshape(-1, 3)}) > 1
    assert np.array_equal(crops, made_up_crops(spec, each=2))


def test_a_source_that_there_is_not_is_answered_by_those_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "arcface", "--out", str(tmp_path / "out")]) == 1
    assert f"no source 'arcface': take {NAME}" in capsys.readouterr().err


def test_without_a_network_the_command_ends_with_one_line_of_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(facenet_pytorch.models.utils.download, "urlopen", refuse)
    assert main(["import", NAME, "--out", str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("oneglance-train: Pretrained weights cannot be downloaded")
    assert f"put it here as {tmp_path / 'checkpoints' / FILE}" in line
    assert not (tmp_path / "out").exists()
