"""A network and what is known of it, written as a bundle whose parity was checked."""

import copy
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError
from torch import nn

from contract.bundle import Bundle, load_bundle, sha256_of, write_manifest
from contract.errors import ManifestError
from contract.manifest import (
    FORMAT_VERSION,
    EmbeddingSpec,
    InputSpec,
    Manifest,
    ModelFile,
    Origin,
    TrainingData,
    wrong_fields,
)
from contract.torchscript import torchscript_deprecation_silenced
from training.export.card import Card, Learned, WeightsDtype
from training.export.parity import check_parity

MODEL_NAME = "model.ts"


@dataclass(frozen=True, slots=True)
class Exported:
    """A written bundle, and what parity found: similarity lost, for each device."""

    bundle: Bundle
    parity: dict[str, float]

    def summary(self) -> str:
        """One line for people."""
        manifest = self.bundle.manifest
        moved = ", ".join(f"{lost:.5f} on {device}" for device, lost in self.parity.items())
        return (
            f"{self.bundle.root}: {manifest.name} {manifest.version}, parity held (an embedding "
            f"moves by at most {moved} of d_max {manifest.embedding.d_max:g})"
        )


def write_bundle(
    net: nn.Module,
    out: Path,
    card: Card,
    *,
    embedding: EmbeddingSpec,
    pixels: InputSpec,
    origin: Origin,
    learned: Learned | None,
    crops_NHW3: npt.NDArray[np.uint8],
    weights: WeightsDtype,
) -> Exported:
    """Write `net`, in evaluation mode, as a bundle into folder `out`.

    net: uint8 (B, H, W, 3) RGB of `pixels` to (B, D) of `embedding`, scriptable.
    crops_NHW3: what parity is checked on. weights: how they are stored; float16 takes half the
    room and computes in float32 all the same. learned: None where that is not known.
    The bundle has no metrics and no threshold yet.
    Raises ManifestError (a card that no manifest can state) or ParityError (the exported model
    differs); `out` is left as it was then.
    """
    data = _scripted(net, weights)
    manifest = _manifest(data, card, embedding, pixels, origin, learned, weights)
    with tempfile.TemporaryDirectory() as trial:
        parity = check_parity(net, _write(Path(trial), data, manifest), crops_NHW3)
    return Exported(_write(out, data, manifest), parity)


def _scripted(net: nn.Module, weights: WeightsDtype) -> bytes:
    buffer = io.BytesIO()
    # A copy, so that halving it leaves the trained network alone.
    stored = copy.deepcopy(net).cpu().to(memory_format=torch.contiguous_format)
    stored = stored.half() if weights == "float16" else stored.float()
    with torchscript_deprecation_silenced():
        torch.jit.save(torch.jit.script(stored), buffer)
    return buffer.getvalue()


def _write(root: Path, data: bytes, manifest: Manifest) -> Bundle:
    root.mkdir(parents=True, exist_ok=True)
    (root / MODEL_NAME).write_bytes(data)
    write_manifest(root, manifest)
    return load_bundle(root)


def _manifest(
    data: bytes,
    card: Card,
    embedding: EmbeddingSpec,
    pixels: InputSpec,
    origin: Origin,
    learned: Learned | None,
    weights: WeightsDtype,
) -> Manifest:
    try:
        return Manifest(
            format_version=FORMAT_VERSION,
            name=card.name,
            version=card.version,
            description=card.description,
            license=card.license,
            model=ModelFile(file=MODEL_NAME, format="torchscript", weights_dtype=weights),
            files={MODEL_NAME: sha256_of(data)},
            embedding=embedding,
            input=pixels,
            origin=origin,
            limits=list(card.limits),
            training_data=[]
            if learned is None
            else [
                TrainingData(
                    name=learned.name,
                    terms=card.terms,
                    identities=learned.identities,
                    images=learned.images,
                    remark=card.remark,
                )
            ],
            metrics=[],
            default_threshold=None,
            calibration=None,
        )
    except ValidationError as error:
        raise ManifestError(f"The bundle cannot be described: {wrong_fields(error)}.") from error
