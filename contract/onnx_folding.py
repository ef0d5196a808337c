"""Weights that an ONNX file keeps as whole numbers in blocks, made float32 once, before it is run.

Some files of the OpenCV zoo give a block size where the standard allows none, so that onnxruntime
refuses them as they are. Needs the package onnx.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from onnx import helper, numpy_helper


def fold_weights(graph: Any) -> None:
    """Makes an initializer of each weight that the graph computes from stored numbers alone."""
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    left = []
    for node in graph.node:
        inputs = [stored.get(name) for name in node.input]
        fold = FOLDED.get(node.op_type)
        if fold is None or any(value is None for value in inputs):
            left.append(node)
            continue
        options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        stored[node.output[0]] = fold(*inputs, **options)
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
    values: npt.NDArray[np.float32] = (moved * scale.take(block, axis)).astype(np.float32)
    return values


def _reshaped(value: npt.NDArray[Any], shape: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    return value.reshape(tuple(shape))


FOLDED: Final[dict[str, Callable[..., npt.NDArray[Any]]]] = {
    "DequantizeLinear": _floats,
    "Reshape": _reshaped,
}


def keep_one_input(graph: Any, free_sides: dict[int, str]) -> None:
    """The image as the only input; what no node takes goes.

    free_sides: names of the dimensions of images and outputs that may have any size. Quantised
    exports still list the weights that they replaced as inputs. Raises ValueError where there is
    not one input left.
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
    for dimension, name in free_sides.items():
        graph.input[0].type.tensor_type.shape.dim[dimension].dim_param = name
    # What the file says of sizes further on is of its own image.
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
