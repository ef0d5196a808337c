"""A bundle made on the spot, for what needs the service and no trained model.

Its embedding is the picture in 8 x 8 grey blocks, mean removed, of length 1: alike in pixels is
alike in the embedding.
"""

import io
from pathlib import Path

import torch

from contract.alignment import CROP_SIDE_PX
from contract.bundle import sha256_of, write_manifest
from contract.calibration.records import Calibration
from contract.fitting import Fit
from contract.manifest import (
    DefaultThreshold,
    EmbeddingSpec,
    InputSpec,
    Manifest,
    ModelFile,
    Origin,
    TrainingData,
)
from contract.torchscript import torchscript_deprecation_silenced

THRESHOLD = 0.7
WHOLE_SIDE_PX = 40


class Blocks(torch.nn.Module):
    """uint8 (B, H, W, 3) to float32 (B, 64)."""

    drift: torch.Tensor

    def __init__(self, drift: float) -> None:
        super().__init__()
        self.register_buffer("drift", torch.tensor(drift))

    def forward(self, crops_BHW3: torch.Tensor) -> torch.Tensor:
        planes = crops_BHW3.permute(0, 3, 1, 2).float()
        grey = torch.nn.functional.adaptive_avg_pool2d(planes, (8, 8)).mean(dim=1).flatten(1)
        unit = torch.nn.functional.normalize(grey - grey.mean(dim=1, keepdim=True), dim=1)
        return (unit.to(self.drift.dtype) + self.drift) - self.drift


def write_tiny_bundle(
    folder: Path,
    *,
    threshold: float | None = THRESHOLD,
    drift: float = 0.0,
    fit: Fit | None = None,
    calibration: Calibration | None = None,
    name: str = "tiny",
) -> None:
    """Write the bundle into the existing `folder`.

    drift: added to the embedding and taken away again, which costs bfloat16 the digits that float32
    keeps. fit: the bundle takes whole images, as squares of WHOLE_SIDE_PX, in place of faces.
    """
    data = _scripted_model(drift)
    (folder / "model.ts").write_bytes(data)
    manifest = _manifest(data, threshold, fit)
    write_manifest(folder, manifest.replaced(calibration=calibration, name=name))


def _scripted_model(drift: float) -> bytes:
    buffer = io.BytesIO()
    with torchscript_deprecation_silenced():
        torch.jit.save(torch.jit.script(Blocks(drift)), buffer)
    return buffer.getvalue()


def _manifest(model: bytes, threshold: float | None, fit: Fit | None) -> Manifest:
    side = CROP_SIDE_PX if fit is None else WHOLE_SIDE_PX
    return Manifest(
        format_version=3,
        name="tiny",
        version="1.2.3",
        description="blocks of grey",
        license="none",
        model=ModelFile(file="model.ts", format="torchscript", weights_dtype="float32"),
        files={"model.ts": sha256_of(model)},
        embedding=EmbeddingSpec(size=64, space="l2", scale=1.0, d_max=2.0),
        input=InputSpec(
            width=side,
            height=side,
            color_order="RGB",
            alignment="five_point_112" if fit is None else "none",
            fit=fit,
        ),
        origin=Origin(loss="none", starting_points=[]),
        limits=["anything but tests"],
        training_data=[TrainingData(name="nothing", terms="none", identities=1, images=1)],
        metrics=[],
        default_threshold=None
        if threshold is None
        else DefaultThreshold(
            similarity=threshold, fpir=0.01, gallery_subjects=100, searches=500, data="textures"
        ),
        calibration=None,
    )
