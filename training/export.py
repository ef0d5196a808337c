"""From a run to a bundle: TorchScript, weights as float16, parity checked, manifest written."""

import copy
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import ValidationError

from contract.bundle import Bundle, load_bundle, sha256_of, write_manifest
from contract.errors import ManifestError
from contract.manifest import (
    EmbeddingSpec,
    InputSpec,
    Manifest,
    ModelFile,
    TrainingData,
    wrong_fields,
)
from contract.similarity import similarity_from_distance
from contract.torchscript import load_torchscript, torchscript_deprecation_silenced
from training.checkpoint import load_checkpoint
from training.config import TrainConfig, config_from_dict
from training.data.pack import Pack
from training.evaluation.embed import embed_images
from training.models.embedding_net import EmbeddingNet
from training.trainer import build_model

MODEL_NAME = "model.ts"
WeightsDtype = Literal["float16", "float32"]
# float16 keeps 11 bits of each weight; what that may move a similarity.
PARITY_TOLERANCE = 0.002


class ParityError(RuntimeError):
    """The exported model does not compute what the trained one did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a bundle says of itself beyond what the run knows."""

    name: str
    version: str
    description: str
    license: str
    terms: str
    remark: str


def export_bundle(
    run: Path, pack: Pack, out: Path, card: Card, *, weights: WeightsDtype = "float16"
) -> Bundle:
    """Export the last checkpoint of `run`, trained on `pack`, into folder `out`.

    weights: how they are stored; float16 takes half the room and computes in float32 all the same.
    The bundle has no metrics and no threshold yet: `evaluate` measures and writes them.
    Raises CheckpointError (no run), ManifestError (a card that no manifest can state) or
    ParityError (export differs from the trained model; `out` is left as it was).
    """
    state = load_checkpoint(run)
    config = config_from_dict(state["config"])
    net = build_model(config)
    net.load_state_dict(state["net"])
    net.eval()
    data = _scripted(net, weights)
    try:
        manifest = _manifest(config, pack, state["trained_paths"], data, card, weights)
    except ValidationError as error:
        raise ManifestError(f"The bundle cannot be described: {wrong_fields(error)}.") from error
    with tempfile.TemporaryDirectory() as trial:
        check_parity(net, _write(Path(trial), data, manifest), pack)
    return _write(out, data, manifest)


def check_parity(net: EmbeddingNet, bundle: Bundle, pack: Pack, images: int = 256) -> float:
    """Largest distance between eager and exported embeddings of a crop, as a similarity lost.

    Raises ParityError above PARITY_TOLERANCE.
    """
    crops = pack.images[:: max(1, len(pack.images) // images)][:images]
    eager = embed_images(net, crops, progress=False)
    exported = embed_images(load_torchscript(bundle), crops, progress=False)
    moved = np.linalg.norm(eager - exported, axis=1)
    lost = float(np.max(1.0 - similarity_from_distance(moved, bundle.manifest.embedding.d_max)))
    if not lost <= PARITY_TOLERANCE:
        raise ParityError(
            f"The exported model moves an embedding by {lost:.5f} of d_max, at most "
            f"{PARITY_TOLERANCE} is allowed: export with --weights float32."
        )
    return lost


def _write(root: Path, data: bytes, manifest: Manifest) -> Bundle:
    root.mkdir(parents=True, exist_ok=True)
    (root / MODEL_NAME).write_bytes(data)
    write_manifest(root, manifest)
    return load_bundle(root)


def _scripted(net: EmbeddingNet, weights: WeightsDtype) -> bytes:
    buffer = io.BytesIO()
    # A copy, so that halving it leaves the trained network alone.
    stored = copy.deepcopy(net).to(memory_format=torch.contiguous_format)
    if weights == "float16":
        stored = stored.half()
    with torchscript_deprecation_silenced():
        torch.jit.save(torch.jit.script(stored), buffer)
    return buffer.getvalue()


def _manifest(
    config: TrainConfig,
    pack: Pack,
    trained_paths: list[str],
    data: bytes,
    card: Card,
    weights: WeightsDtype,
) -> Manifest:
    trained = set(trained_paths)
    labels = {
        label
        for path, label in zip(pack.index.paths, pack.index.labels, strict=True)
        if path in trained
    }
    m = config.model
    return Manifest(
        format_version=1,
        name=card.name,
        version=card.version,
        description=card.description,
        license=card.license,
        model=ModelFile(file=MODEL_NAME, format="torchscript", weights_dtype=weights),
        files={MODEL_NAME: sha256_of(data)},
        embedding=EmbeddingSpec(size=m.embedding_size, space=m.space, scale=m.scale, d_max=m.d_max),
        input=InputSpec(
            width=m.side_px, height=m.side_px, color_order="RGB", alignment="five_point_112"
        ),
        training_data=[
            TrainingData(
                name=pack.index.source,
                terms=card.terms,
                identities=len(labels),
                images=len(trained),
                remark=card.remark,
            )
        ],
        metrics=[],
        default_threshold=None,
        calibration=None,
    )
