"""SFace's session: weights in blocks made floats, the image the only input, length 1."""

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from benchmarks.lfw_people import DataMissingError
from benchmarks.sface_onnx import OnnxSface, find_sface
from contract.onnx_folding import fold_weights, keep_one_input

SIDE, SIZE, BLOCK = 2, 5, 8  # 12 pixels values: a block of 8 and one of 4


@pytest.fixture
def quantised(tmp_path: Path) -> Path:
    """A linear layer whose weights are int8 in blocks, reshaped; those that they replaced are
    listed as inputs still."""
    rng = np.random.default_rng(0)
    stored = {
        "whole": rng.integers(-128, 128, (SIZE, 12)).astype(np.int8),
        "scale": rng.uniform(0.01, 0.1, (SIZE, 2)).astype(np.float32),
        "zero": rng.integers(-5, 5, (SIZE, 2)).astype(np.int8),
        "shape": np.array([-1, 12]),
        "stale": np.zeros(3, np.float32),
    }
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node(
            "DequantizeLinear", ["whole", "scale", "zero"], ["floats"], axis=1, block_size=BLOCK
        ),
        helper.make_node("Reshape", ["floats", "shape"], ["weight"]),
        helper.make_node("Gemm", ["flat", "weight"], ["out"], transB=1),
    ]
    floats = TensorProto.FLOAT
    inputs = [
        helper.make_tensor_value_info("image", floats, [1, 3, SIDE, SIDE]),
        helper.make_tensor_value_info("replaced", floats, [SIZE, 12]),
    ]
    graph = helper.make_graph(
        nodes, "tiny", inputs, [helper.make_tensor_value_info("out", floats, [1, SIZE])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )  # fmt: skip
    path = tmp_path / "tiny.onnx"
    opset = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


def by_hand(path: Path, crops: np.ndarray) -> np.ndarray:
    """What the graph computes, a number at a time."""
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    out = np.zeros((len(crops), SIZE))
    for image, row in itertools.product(range(len(crops)), range(SIZE)):
        for place, value in enumerate(crops[image].transpose(2, 0, 1).ravel()):
            block = place // BLOCK
            whole = int(stored["whole"][row, place]) - int(stored["zero"][row, block])
            out[image, row] += float(value) * whole * float(stored["scale"][row, block])
    return out / np.sqrt((out**2).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("folded", [False, True])
def test_both_sessions_compute_what_the_file_says(quantised: Path, folded: bool) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    found = OnnxSface(quantised, folded=folded, threads=1).embed(crops)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(quantised, crops), atol=1e-5)


def test_folded_weights_are_those_of_the_reference(quantised: Path) -> None:
    graph = onnx.load(quantised).graph
    fold_weights(graph)
    keep_one_input(graph, free_sides={0: "N"})
    assert [node.op_type for node in graph.node] == ["Flatten", "Gemm"]
    assert [value.name for value in graph.input] == ["image"]
    (weight,) = graph.initializer
    model = onnx.load(quantised)
    reference = ReferenceEvaluator(
        helper.make_model(
            helper.make_graph(
                list(model.graph.node)[1:3], "weights", [],
                [helper.make_tensor_value_info("weight", TensorProto.FLOAT, None)],
                list(model.graph.initializer),
            ),
            opset_imports=model.opset_import, ir_version=10,
        )
    )  # fmt: skip
    np.testing.assert_allclose(numpy_helper.to_array(weight), reference.run(None, {})[0], rtol=1e-6)


def test_a_graph_of_two_images_is_refused(quantised: Path) -> None:
    graph = onnx.load(quantised).graph
    del graph.initializer[0]  # the whole numbers have to be given now
    graph.input.append(helper.make_tensor_value_info("whole", TensorProto.INT8, [SIZE, 12]))
    with pytest.raises(ValueError, match="there are 2"):
        keep_one_input(graph, free_sides={0: "N"})


def test_a_missing_file_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataMissingError, match="make weights"):
        find_sface(tmp_path / "sface.onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DataMissingError, match="make weights"):
        find_sface(None)
