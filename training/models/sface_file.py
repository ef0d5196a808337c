"""SFace's published file (ONNX, int8 in blocks) as the weights of our own network.

The file stores each weight as whole numbers in blocks along its last axis, a scale and a zero point
for each block; a DequantizeLinear node (and a Reshape) makes the weight of it. We do the same once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.models.weight_files import PretrainedError

State = dict[str, Tensor]
# Of torch's normalisation layers; the file's own epsilon of the head is 2e-5.
TORCH_EPS, HEAD_EPS = 1e-5, 2e-5
STATISTICS = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_var",
}


@dataclass(frozen=True, slots=True)
class SfaceState:
    """State of `sface_backbone` and of the standard head (training/models/head.py)."""

    backbone: State
    head: State


def read_sface(path: Path) -> SfaceState:
    """Read the file. Raises PretrainedError if it is not SFace's, or if onnx is not installed."""
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise PretrainedError(
            "Reading SFace's file needs the package onnx: install the extra `pretrained`."
        ) from error
    try:
        graph = onnx.load(path).graph
        stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        nodes = {node.output[0]: node for node in graph.node}
        weight = _Weights(stored, nodes)
        parts = [name[: -len("_conv2d")] for name in nodes if name.endswith("_conv2d")]
        return SfaceState(_backbone(weight, parts), _head(weight))
    except Exception as error:  # onnx and protobuf raise classes of their own, many
        raise PretrainedError(f"{path} is not SFace's network: {error!r}") from error


class _Weights:
    """Arrays of the file by name, those in blocks as floats."""

    def __init__(self, stored: dict[str, npt.NDArray[Any]], nodes: dict[str, Any]) -> None:
        self._stored, self._nodes = stored, nodes

    def __call__(self, name: str) -> Tensor:
        value = self._stored[name] if name in self._stored else self._folded(name)
        return torch.from_numpy(np.array(value, dtype=np.float32))

    def _folded(self, name: str) -> npt.NDArray[np.float32]:
        node = self._nodes[f"{name}_dequantized"]
        whole, scales, zeros = (self._stored[i] for i in node.input)
        options = {attribute.name: attribute.i for attribute in node.attribute}
        length, axis, values = options["block_size"], options["axis"], whole.astype(np.float32)
        values = values - _in_full(zeros, length, axis, values.shape[axis])
        values = values * _in_full(scales, length, axis, values.shape[axis])
        shape = self._stored.get(f"{name}_shape")
        return values if shape is None else values.reshape(shape)


def _in_full(
    blocks: npt.NDArray[Any], length: int, axis: int, wanted: int
) -> npt.NDArray[np.float32]:
    """A value for each of `wanted` weights, of one for each block of `length`."""
    return blocks.repeat(length, axis).take(range(wanted), axis).astype(np.float32)


def _backbone(weight: _Weights, parts: list[str]) -> State:
    state: State = {}
    for part in parts:
        state[f"{part}.conv2d.weight"] = weight(f"{part}_conv2d_weight")
        for ours, theirs in STATISTICS.items():
            state[f"{part}.norm.{ours}"] = weight(f"{part}_batchnorm_{theirs}")
        state[f"{part}.relu.weight"] = weight(f"{part}_relu_gamma").flatten()
    return state


def _head(weight: _Weights) -> State:
    """Parts 0, 3 and 4 of the standard head: normalisation, linear layer, normalisation.

    The other epsilon becomes part of the variance, the linear layer's bias of the mean after it.
    """
    state: State = {"3.weight": weight("pre_fc1_weight")}
    for number, part in ((0, "bn1"), (4, "fc1")):
        for ours, theirs in STATISTICS.items():
            state[f"{number}.{ours}"] = weight(f"{part}_{theirs}")
        state[f"{number}.running_var"] += HEAD_EPS - TORCH_EPS
    state["4.running_mean"] -= weight("pre_fc1_bias")
    return state
