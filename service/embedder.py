"""Crops to embeddings: the seam, and TorchScript behind it.

Shapes: B batch, D embedding size.
"""

import logging
from collections.abc import Callable
from typing import Final, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from contract.bundle import Bundle
from contract.errors import OneGlanceError
from contract.precision import bf16_is_fast
from contract.torchscript import load_torchscript, torchscript_deprecation_silenced
from service.cuda_lane import CudaLane, CudaStream
from service.options import EmbedderRuntime
from service.parity import Embed, largest_shift
from service.parity import Embeddings as Embeddings
from service.parity import Pixels as Pixels
from service.piece_size import fastest_piece

# Largest shift of a similarity that bfloat16 may cause: a tenth of what one photo differs from
# the next of the same person.
BF16_TOLERANCE: Final = 0.005

Precision = Literal["float32", "bfloat16"]

log = logging.getLogger(__name__)


class Embedder(Protocol):
    """Turns aligned crops into embeddings of one contract. Safe to call from threads."""

    @property
    def runtime(self) -> EmbedderRuntime:
        """What computes."""
        ...

    @property
    def device(self) -> str:
        """Where it computes: cpu or cuda."""
        ...

    @property
    def precision(self) -> Precision:
        """What it computes in."""
        ...

    def embed(self, crops_BHW3: Pixels) -> Embeddings:
        """float32 (B, D) of uint8 (B, H, W, 3) RGB crops; B may be 0."""
        ...


class TorchScriptEmbedder:
    """The bundle's TorchScript model, frozen, on CUDA or the CPU.

    A batch is computed whole on CUDA, on the CPU in pieces (service/piece_size.py).
    precision: `auto` computes in bfloat16 where the processor has matrix units for it and the
        embeddings stay within BF16_TOLERANCE of float32; float32 otherwise.
    Raises BundleFileError (not a model) or OneGlanceError (no such device).
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
    ) -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        elif device == "cuda" and not torch.cuda.is_available():
            raise OneGlanceError("There is no CUDA device that torch can use: take cpu or auto.")
        self._device = device
        self._size = bundle.manifest.embedding.size
        model = load_torchscript(bundle, device)
        self._precision: Precision = "float32"
        self._model = _frozen(model)
        if precision == "bfloat16" or (precision == "auto" and bf16_is_fast(device)):
            candidate = _frozen(load_torchscript(bundle, device).to(torch.bfloat16))
            exact, fast = _on(device, self._model), _on(device, candidate)
            shift = largest_shift(exact, fast, bundle.manifest)
            log.info("bfloat16 shifts similarities by at most %.4f", shift)
            if precision == "bfloat16" or shift <= BF16_TOLERANCE:
                self._model, self._precision = candidate, "bfloat16"
        self._lane = CudaLane(CudaStream()) if device == "cuda" else None
        if device == "cpu":
            self._crops_at_once = fastest_piece(_on(device, self._model), bundle.manifest)

    @property
    def runtime(self) -> EmbedderRuntime:
        """torchscript."""
        return "torchscript"

    @property
    def device(self) -> str:
        """cpu or cuda."""
        return self._device

    @property
    def precision(self) -> Precision:
        """float32 or bfloat16."""
        return self._precision

    @torch.inference_mode()
    def embed(self, crops_BHW3: Pixels) -> Embeddings:
        """float32 (B, D) of uint8 (B, H, W, 3) RGB crops; B may be 0."""
        if len(crops_BHW3) == 0:
            return np.zeros((0, self._size), dtype=np.float32)
        if self._lane is not None:
            return self._lane.embed(self._model, crops_BHW3)
        crops = torch.from_numpy(np.ascontiguousarray(crops_BHW3))
        pieces = [self._model(piece).float() for piece in crops.split(self._crops_at_once)]
        embeddings: Embeddings = torch.cat(pieces).numpy()
        return embeddings


def exact_embed(bundle: Bundle) -> Embed:
    """The bundle's own model in float32 on the CPU: what others are compared with."""
    return _on("cpu", _frozen(load_torchscript(bundle, "cpu")))


def _frozen(model: torch.jit.ScriptModule) -> Callable[[Tensor], Tensor]:
    """Weights become constants, which folds the normalisation layers into the convolutions.

    channels_last: on one thread a ResNet embeds a crop 1.3 times as fast, SFace's network as fast.
    """
    model.to(memory_format=torch.channels_last)
    with torchscript_deprecation_silenced():
        frozen: Callable[[Tensor], Tensor] = torch.jit.freeze(model)
    return frozen


def _on(device: str, model: Callable[[Tensor], Tensor]) -> Embed:
    """The model, from numbers in memory to numbers in memory."""

    @torch.inference_mode()
    def embed(crops_BHW3: Pixels) -> Embeddings:
        embeddings: Embeddings = (
            model(torch.from_numpy(crops_BHW3).to(device)).float().cpu().numpy()
        )
        return embeddings

    return embed
