"""Which embedder it is, by the settings."""

import logging

import torch

from contract.bundle import Bundle
from contract.errors import OneGlanceError
from service.embedder import Embedder, TorchScriptEmbedder
from service.graph_embedder import GraphEmbedder
from service.settings import Settings

log = logging.getLogger(__name__)


def make_embedder(bundle: Bundle, settings: Settings) -> Embedder:
    """What embeds by `bundle`, as the settings say.

    Raises OneGlanceError for a runtime that is not installed or cannot do what is asked besides,
    and what the embedders raise.
    """
    runtime = settings.embedder_runtime
    if runtime == "torchscript":
        return TorchScriptEmbedder(bundle, device=settings.device, precision=settings.precision)
    if settings.device == "cuda":
        raise OneGlanceError(
            f"embedder_runtime {runtime} computes on the CPU: take device cpu or auto with it, or "
            "embedder_runtime torchscript."
        )
    if settings.precision == "bfloat16":
        raise OneGlanceError(
            f"embedder_runtime {runtime} computes in float32: take precision float32 or auto with "
            "it, or embedder_runtime torchscript."
        )
    if settings.device == "auto" and torch.cuda.is_available():
        log.warning(
            "%s is computed on the CPU by embedder_runtime %s, though there is a CUDA device: take "
            "embedder_runtime torchscript to use it, or device cpu where this is meant.",
            bundle.manifest.name,
            runtime,
        )
    return GraphEmbedder(bundle, runtime, threads=settings.worker_threads)
