"""A bundle's model by another runtime than torch, made from its pinned TorchScript at each start.

Shapes: B batch, D embedding size.
"""

import logging
from typing import Final

import numpy as np

from contract.bundle import Bundle
from contract.errors import BundleError
from service.embedder import Embeddings, Pixels, Precision, exact_embed
from service.graph_sessions import GraphRuntime, missing_package, open_session
from service.parity import largest_shift
from service.piece_size import fastest_piece

# As exports are held to (training/export/parity.py); float32 on both sides stays far below.
GRAPH_TOLERANCE: Final = 0.002

log = logging.getLogger(__name__)


class GraphEmbedder:
    """In float32 on the CPU, in pieces (service/piece_size.py).

    The graph lies in memory alone: a file of it would be one more that has to be pinned.
    threads: that call it at a time. Raises OneGlanceError (the runtime is not installed, or the
    model has what no graph can say) or BundleError (it computes something else than TorchScript).
    """

    def __init__(self, bundle: Bundle, runtime: GraphRuntime, *, threads: int) -> None:
        try:
            from contract.graphs.onnx_graph import onnx_graph
        except ImportError as error:
            raise missing_package(runtime, error) from error
        self._runtime = runtime
        self._size = bundle.manifest.embedding.size
        self._session = open_session(runtime, onnx_graph(bundle), threads=threads)
        self._crops_at_once = fastest_piece(self._session, bundle.manifest)
        shift = largest_shift(exact_embed(bundle), self.embed, bundle.manifest)
        name = f"{bundle.manifest.name}@{bundle.manifest.version}"
        if not shift <= GRAPH_TOLERANCE:
            raise BundleError(
                f"{runtime} moves similarities of {name} by up to {shift:.4f}, at most "
                f"{GRAPH_TOLERANCE} is allowed: serve it with embedder_runtime torchscript."
            )
        log.info("%s by %s: similarities move by at most %.6f", name, runtime, shift)

    @property
    def runtime(self) -> GraphRuntime:
        """onnxruntime or openvino."""
        return self._runtime

    @property
    def device(self) -> str:
        """cpu."""
        return "cpu"

    @property
    def precision(self) -> Precision:
        """float32."""
        return "float32"

    def embed(self, crops_BHW3: Pixels) -> Embeddings:
        """float32 (B, D) of uint8 (B, H, W, 3) RGB crops; B may be 0."""
        if len(crops_BHW3) == 0:
            return np.zeros((0, self._size), dtype=np.float32)
        crops = np.ascontiguousarray(crops_BHW3)
        pieces = range(0, len(crops), self._crops_at_once)
        return np.concatenate([self._session(crops[i : i + self._crops_at_once]) for i in pieces])
