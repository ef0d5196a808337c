"""A bundle's model by onnxruntime and OpenVINO: what the trained network itself computes."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from benchmarks.training_pack import wave_pack
from contract.bundle import Bundle, load_bundle, sha256_of, write_manifest
from contract.graphs.drawing import UnsupportedOperatorError
from contract.graphs.onnx_graph import onnx_graph
from contract.manifest import EmbeddingSpec, InputSpec
from contract.similarity import BOUNDED_SPACES, max_distance
from contract.torchscript import torchscript_deprecation_silenced
from service.graph_sessions import GraphRuntime, open_session
from tests.conftest import BundleMaker
from training.cli import main
from training.models.config import ModelConfig
from training.models.embedding_net import EmbeddingNet
from training.spaces import to_space

pytestmark = pytest.mark.usefixtures("one_thread")

RUNTIMES: tuple[GraphRuntime, ...] = ("onnxruntime", "openvino")
BATCHES = (1, 2, 5)
FORM = ModelConfig(side_px=32, embedding_size=8, dropout=0.0, scale=1.5)
SMALL = replace(FORM, width=4)
# DenseNet-161 is built of the same operators, and takes OpenVINO 14 s.
NETWORKS = {
    "resnet18": SMALL,
    "resnet34, first layers of ImageNet": replace(SMALL, backbone="resnet34", stem="imagenet"),
    "resnet50, average, maxout": replace(SMALL, backbone="resnet50", pool="average", maxout=2),
    "resnet18, tanh, unit_range": replace(SMALL, activation="tanh", space="unit_range"),
    "resnet18, unit_bounce": replace(SMALL, space="unit_bounce", scale=0.5),
    "resnet18, bounce_limit": replace(SMALL, space="bounce_limit", scale=0.9),
    "resnet18, none": replace(SMALL, space="none", unbounded_d_max=50.0),
    "resnet18, norms as constants": replace(SMALL, norm_gradient=False),
    "mobilenet_v2, four views, projection": replace(
        FORM, backbone="mobilenet_v2", views="four", pool="average", projection=True
    ),
    "airbench, six views": replace(
        FORM, backbone="airbench", width=8, stem_stride=1, pool="places", views="six"
    ),
    "sface, mirrored": replace(FORM, backbone="sface", views="mirrored"),
    "dlib_resnet": replace(FORM, backbone="dlib_resnet", side_px=64),
    "dlib_resnet at the template": replace(
        FORM, backbone="dlib_resnet", side_px=112, pretrained="dlib", keep_statistics=True
    ),
    "inception_resnet_v1": replace(FORM, backbone="inception_resnet_v1", side_px=80),
}


@pytest.fixture(scope="module")
def scripted(make_bundle: BundleMaker) -> Callable[..., Bundle]:
    """scripted(net, size=, side=) -> bundle of a network, in evaluation mode."""

    def make(net: nn.Module, *, size: int, side: int) -> Bundle:
        folder = make_bundle(fit="pad")
        buffer = io.BytesIO()
        with torchscript_deprecation_silenced():
            torch.jit.save(torch.jit.script(net), buffer)
        manifest = load_bundle(folder).manifest.replaced(
            files={"model.ts": sha256_of(buffer.getvalue())},
            embedding=EmbeddingSpec(size=size, space="none", scale=1.0, d_max=2.0),
            input=InputSpec(
                width=side, height=side, color_order="RGB", alignment="none", fit="pad"
            ),
        )
        (folder / "model.ts").write_bytes(buffer.getvalue())
        write_manifest(folder, manifest)
        return load_bundle(folder)

    return make


def crops(count: int, side: int) -> npt.NDArray[np.uint8]:
    """Coloured squares of 4 pixels."""
    squares = np.random.default_rng(count).integers(0, 256, (count, side // 4, side // 4, 3))
    return squares.astype(np.uint8).repeat(4, 1).repeat(4, 2)


@torch.no_grad()
def network(config: ModelConfig) -> EmbeddingNet:
    """With statistics and slopes of its own in every layer, so that none is left out unseen."""
    torch.manual_seed(0)
    net = EmbeddingNet(config, load_weights=False)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1.0
            module.train()
            if module.affine:
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
        if isinstance(module, nn.PReLU):
            module.weight.uniform_(0.1, 0.4)
    net(torch.from_numpy(crops(16, config.side_px)))
    return net.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_each_runtime_computes_what_the_network_does(
    name: str, scripted: Callable[..., Bundle]
) -> None:
    net = network(NETWORKS[name])
    side = NETWORKS[name].side_px
    with torch.no_grad():
        expected = {n: net(torch.from_numpy(crops(n, side))).numpy() for n in BATCHES}
    # Not all the same, and not all zero: there is something to be seen.
    assert expected[5].std(axis=0).max() > 0.01
    graph = onnx_graph(scripted(net, size=expected[1].shape[1], side=side))
    for runtime in RUNTIMES:
        embed = open_session(runtime, graph, threads=1)
        for count in BATCHES:
            found = embed(crops(count, side))
            assert (str(found.dtype), found.shape) == ("float32", expected[count].shape)
            np.testing.assert_allclose(found, expected[count], atol=2e-4, err_msg=runtime)


class Placed(nn.Module):
    """The mean colour in steps of 32, in a space."""

    def __init__(self, space: str, scale: float) -> None:
        super().__init__()
        self.space, self.scale = space, scale

    def forward(self, images_BHW3: Tensor) -> Tensor:
        return to_space(images_BHW3.float().mean(dim=(1, 2)) / 32, self.space, self.scale)


def length_in(space: str, norm: float, scale: float) -> float:
    """What the slides say, number by number."""
    if space == "l2":
        return scale if norm else 0.0
    if space == "unit_range":
        return min(norm, scale)
    steps, rest = divmod(norm, scale)
    if space == "bounce_limit" and steps >= 2:
        return 0.0
    return scale - rest if steps % 2 else rest


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("space", sorted(BOUNDED_SPACES))
def test_lengths_are_those_of_the_space(
    space: str, runtime: GraphRuntime, scripted: Callable[..., Bundle]
) -> None:
    bundle = scripted(Placed(space, 1.5), size=3, side=8)
    colours = np.array(
        [[0, 0, 0], [1, 0, 0], [32, 0, 0], [0, 60, 0], [64, 64, 0], [99, 1, 7], [255, 255, 255]],
        dtype=np.uint8,
    )
    found = open_session(runtime, onnx_graph(bundle), threads=1)(
        np.broadcast_to(colours[:, None, None], (len(colours), 8, 8, 3)).copy()
    )
    for colour, row in zip(colours / 32, found, strict=True):
        norm = float(np.linalg.norm(colour))
        unit = colour / norm if norm else colour
        np.testing.assert_allclose(row, unit * length_in(space, norm, 1.5), atol=1e-5)
        assert np.linalg.norm(row) <= max_distance(space, 1.5) / 2 + 1e-5  # type: ignore[arg-type]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_threads_do_not_mix_their_crops(runtime: GraphRuntime, tiny_bundle: Path) -> None:
    embed = open_session(runtime, onnx_graph(load_bundle(tiny_bundle)), threads=2)
    asked = [crops(n, 112) for n in (1, 3, 2, 4, 1, 2, 3, 1)] * 5
    alone = [embed(one) for one in asked]
    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(embed, asked), alone, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_was_given_stays_as_it_was(tiny_bundle: Path) -> None:
    embed = open_session("openvino", onnx_graph(load_bundle(tiny_bundle)), threads=1)
    given = crops(2, 112)
    first = embed(given)
    kept = first.copy()
    embed(255 - given)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(given, crops(2, 112))


class Sorted(nn.Module):
    def forward(self, images_BHW3: Tensor) -> Tensor:
        return images_BHW3.float().mean(dim=(1, 2)).sort(dim=1)[0]


class Powered(nn.Module):
    def forward(self, images_BHW3: Tensor) -> Tensor:
        return torch.linalg.vector_norm(images_BHW3.float().mean(dim=1), ord=1.0, dim=1)


class Foreign(nn.Module):
    def forward(self, images_BHW3: Tensor) -> Tensor:
        return torch.add(images_BHW3.float().mean(dim=(1, 2)), torch.ones(3), alpha=2.0)


@pytest.mark.parametrize(
    ("net", "named"), [(Sorted(), "sort"), (Powered(), "a norm of order 1"), (Foreign(), "times 2")]
)
def test_what_no_graph_can_say_is_named(
    net: nn.Module, named: str, scripted: Callable[..., Bundle]
) -> None:
    with pytest.raises(UnsupportedOperatorError, match=f"{named}.*embedder_runtime torchscript"):
        onnx_graph(scripted(net, size=3, side=8))


def test_a_file_is_written_of_what_holds_and_says_of_which_model(
    make_bundle: BundleMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = load_bundle(make_bundle(fit="pad"))
    pack = wave_pack(tmp_path / "pack", identities=3, images_each=4, side_px=40).root
    out = tmp_path / "new" / "model.onnx"
    assert main(["onnx", str(bundle.root), "--out", str(out), "--pack", str(pack)]) == 0
    assert "parity held" in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == ["model.onnx"]
    model = onnx.load(out)
    assert {p.key: p.value for p in model.metadata_props} == {"torchscript_sha256": bundle.sha256}
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    (found,) = session.run(["embeddings"], {"crops": crops(3, 40)})
    assert found.shape == (3, 64)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_no_file_is_written_of_what_differs(
    make_bundle: BundleMaker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pack = wave_pack(tmp_path / "pack", identities=3, images_each=4, side_px=40).root
    other = onnx_graph(load_bundle(make_bundle(fit="pad")))
    model = onnx.load_from_string(other)
    # As from a converter with a fault: rows and columns change places.
    (turn,) = (node for node in model.graph.node if node.op_type == "Transpose")
    turn.attribute[0].ints[:] = [0, 3, 2, 1]
    monkeypatch.setattr(
        "contract.graphs.onnx_graph.onnx_graph", lambda _: model.SerializeToString()
    )
    out = tmp_path / "model.onnx"
    command = ["onnx", str(make_bundle(fit="pad")), "--out", str(out), "--pack", str(pack)]
    assert main(command) == 1
    assert "moves an embedding by" in capsys.readouterr().err
    assert not out.exists()


QUIET = """
import json, socket, sys
def refused(*_, **__): raise AssertionError("openvino wanted to talk to somebody")
socket.socket.connect = socket.getaddrinfo = refused
from service.openvino_package import import_openvino
import_openvino().Core()
print(json.dumps([m for m, found in sys.modules.items() if "telemetry" in m and found]))
"""


def test_openvino_tells_nobody_that_it_is_used(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", QUIET],
        capture_output=True,
        check=True,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    loaded = json.loads(done.stdout)
    assert "openvino.tools.ovc.telemetry_stub" in loaded
    assert not [name for name in loaded if name.startswith("openvino_telemetry")]
    assert not [*tmp_path.iterdir()]
