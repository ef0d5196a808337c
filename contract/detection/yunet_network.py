"""YuNet's network by onnxruntime, and what its numbers say of faces.

What OpenCV's FaceDetectorYN gives, in half of its time on one thread (docs/detection.md). Rows are
left, top, width, height, five landmarks, score, in pixels of the image.

Shapes: F faces, P places of a grid.
"""

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from contract.onnx_folding import fold_weights, keep_one_input

Pixels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]

# A place of each grid stands for so many pixels of the image; the last one sets how it is padded.
STRIDES: Final = (8, 16, 32)
PARTS: Final = ("cls", "obj", "bbox", "kps")


class YunetNetwork:
    """data: of the file. Safe to call from threads, which it computes on: it has none of its own.

    least_score: of a face. overlap: from which two boxes are one face. most: boxes that are looked
    at, those of the best scores.
    """

    def __init__(self, data: bytes, *, least_score: float, overlap: float, most: int) -> None:
        model = onnx.load_from_string(data)
        fold_weights(model.graph)
        keep_one_input(model.graph, free_sides={2: "height", 3: "width"})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        # Photos are of all sizes: nothing is kept for each of them.
        options.enable_mem_pattern = False
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._wanted = [f"{part}_{stride}" for stride in STRIDES for part in PARTS]
        self._least_score, self._overlap, self._most = least_score, overlap, most

    def faces(self, image_HW3: Pixels) -> Rows:
        """float32 (F, 15) of an RGB image, best score first."""
        padded = _padded(image_HW3)
        found: list[Any] = self._session.run(self._wanted, {self._input: padded})
        columns = padded.shape[3]
        rows_F15 = np.concatenate(
            [
                self._of_grid(found[i * len(PARTS) : (i + 1) * len(PARTS)], stride, columns)
                for i, stride in enumerate(STRIDES)
            ]
        )
        # As OpenCV does it: boxes of whole pixels.
        kept = cv2.dnn.NMSBoxes(
            rows_F15[:, :4].astype(np.int32).tolist(),
            rows_F15[:, 14].tolist(),
            self._least_score,
            self._overlap,
            top_k=self._most,
        )
        return rows_F15[np.asarray(kept, dtype=np.int64).ravel()]

    def _of_grid(self, parts: list[Any], stride: int, width_px: int) -> Rows:
        """Rows of the places that are sure enough."""
        classes_P, objects_P, boxes_P4, points_P10 = (part[0] for part in parts)
        score_P = np.sqrt(np.clip(classes_P, 0, 1) * np.clip(objects_P, 0, 1))[:, 0]
        sure = np.flatnonzero(score_P >= self._least_score)
        place_F2 = np.stack([sure % (width_px // stride), sure // (width_px // stride)], axis=1)
        middle_F2 = (place_F2 + boxes_P4[sure, :2]) * stride
        size_F2 = np.exp(boxes_P4[sure, 2:]) * stride
        points_F52 = (points_P10[sure].reshape(-1, 5, 2) + place_F2[:, None]) * stride
        return np.concatenate(
            [middle_F2 - size_F2 / 2, size_F2, points_F52.reshape(-1, 10), score_P[sure, None]],
            axis=1,
            dtype=np.float32,
        )


def _padded(image_HW3: Pixels) -> npt.NDArray[np.float32]:
    """float32 (1, 3, h, w) BGR, black to the right and below up to whole places of each grid."""
    height, width = image_HW3.shape[:2]
    sides = (-(-side // STRIDES[-1]) * STRIDES[-1] for side in (height, width))
    padded = np.zeros((1, 3, *sides), dtype=np.float32)
    padded[0, :, :height, :width] = image_HW3[:, :, ::-1].transpose(2, 0, 1)
    return padded
