"""CompreFace's JSON of faces."""

from typing import Any

from contract.detection.base import DetectedFace
from service.collections import ServedCollection
from service.compreface.requests import Options
from service.recognizer import Timing

Answer = dict[str, Any]


def face_answer(face: DetectedFace, options: Options, timing: Timing) -> Answer:
    """One face of a photo: where it is, and what was asked besides. Pixels of the upright image."""
    left, top, right, bottom = (round(value) for value in face.box)
    answer: Answer = {
        "box": {
            "probability": face.score,
            "x_max": right,
            "y_max": bottom,
            "x_min": left,
            "y_min": top,
        }
    }
    if "landmarks" in options.plugins:
        answer["landmarks"] = [[round(float(x)), round(float(y))] for x, y in face.landmarks]
    if options.status:
        stages = timing.rounded_ms()
        answer["execution_time"] = {
            "detector": stages.get("detect", 0.0),
            "calculator": stages.get("embed", 0.0),
        }
    return answer


def versions(served: ServedCollection, options: Options) -> Answer:
    """What looked at the photo, where `status` asks for it; else nothing."""
    if not options.status:
        return {}
    return {
        "plugins_versions": {
            "detector": served.bundle.recognizer.detector.name,
            "calculator": served.bundle.id,
        }
    }
