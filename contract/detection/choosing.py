"""Which detector it is: by name, or the best one that is installed."""

import logging
from pathlib import Path
from typing import Literal

from contract.detection.base import FaceDetector
from contract.detection.yunet_model import yunet_is_there

DetectorName = Literal["auto", "mtcnn", "yunet"]

log = logging.getLogger(__name__)


def make_detector(
    name: DetectorName = "auto",
    *,
    min_face_px: int = 20,
    max_side_px: int = 1024,
    device: str = "cpu",
    yunet_model_path: Path | None = None,
) -> FaceDetector:
    """The detector of that name; `auto` is YuNet where its packages and file are there, else MTCNN.

    device: of MTCNN; YuNet works on the CPU. The others are those of the detectors.
    Raises ValueError for sizes that exclude every face, OneGlanceError where YuNet cannot be had.
    """
    if name == "auto":
        name = "yunet" if yunet_is_there(yunet_model_path) else "mtcnn"
    # Either is imported where it is used: each brings libraries of its own.
    if name == "yunet":
        from contract.detection.yunet import YunetDetector

        detector: FaceDetector = YunetDetector(
            min_face_px=min_face_px, max_side_px=max_side_px, model_path=yunet_model_path
        )
    else:
        from contract.detection.mtcnn import MtcnnDetector

        detector = MtcnnDetector(min_face_px=min_face_px, max_side_px=max_side_px, device=device)
    log.info("faces are found by %s", detector.name)
    return detector
