"""A frozen teacher: a face network as an ONNX file, run through onnxruntime (extra `distill`).

Needed at training time only; nothing of it is in the bundle. Tried with SFace (OpenCV zoo,
Apache-2.0), which takes RGB 0..255 at 112 x 112 with the five-point alignment.

Shapes: B batch, D embedding size.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from training.distill.targets import TeacherError


class OnnxTeacher:
    """Embeddings of length 1 by an ONNX network of one image input (N, 3, H, W)."""

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        try:
            model = onnx.load(path)
            self._session = _session(_one_input(model), threads)
        except Exception as error:  # onnx and onnxruntime raise classes of their own, many
            raise TeacherError(f"{path} is not an ONNX network that can be run: {error}") from error
        self._input = self._session.get_inputs()[0].name

    def embed(self, crops_BHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """float32 (B, D) on the unit sphere, of uint8 (B, H, W, 3) RGB crops."""
        pixels = np.ascontiguousarray(crops_BHW3.transpose(0, 3, 1, 2), dtype=np.float32)
        (raw,) = self._session.run(None, {self._input: pixels})
        unit: npt.NDArray[np.float32] = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        return unit


def _one_input(model: Any) -> bytes:
    """The graph with its image as the only input, and a batch of any size.

    Quantised exports still list the weights that they replaced as inputs.
    """
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    stored = {weight.name for weight in graph.initializer}
    images = [value for value in graph.input if value.name in used - stored]
    if len(images) != 1:
        raise TeacherError(f"one image input is needed, there are {len(images)}")
    del graph.input[:]
    graph.input.extend(images)
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    del graph.value_info[:]
    data: bytes = model.SerializeToString()
    return data


def _session(model: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
