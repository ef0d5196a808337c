"""A bundle's model as an ONNX file, for other programs.

Shapes: N images, B batch, D embedding size.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from contract.bundle import Bundle
from contract.similarity import largest_shift
from contract.torchscript import load_torchscript
from training.data.pack import Pack
from training.data.pixels import refuse_other_pixels
from training.evaluation.embed import embed_images
from training.export.parity import PARITY_TOLERANCE, ParityError, parity_crops

# One crop and many have to give the same: the file takes a batch of any size.
BATCHES = (1, 7)


def write_onnx(bundle: Bundle, pack: Pack, out: Path) -> float:
    """Write the file, which maps `crops`, uint8 (B, H, W, 3) RGB, to `embeddings`, float32 (B, D).

    Pixels and embedding space are inside, weights are float32. Gives the largest difference of
    similarity that onnxruntime showed on images of the pack. Raises PackError (images of another
    kind), ParityError or UnsupportedOperatorError; `out` is left as it was then.
    """
    from contract.graphs.onnx_graph import onnx_graph

    refuse_other_pixels(pack, bundle.manifest.input, f"{bundle.root}")
    graph = onnx_graph(bundle)
    lost = _lost(bundle, _by_onnxruntime(graph), parity_crops(pack))
    if not lost <= PARITY_TOLERANCE:
        raise ParityError(
            f"The ONNX file moves an embedding by {lost:.5f} of d_max, at most {PARITY_TOLERANCE} "
            "is allowed: use the bundle itself."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    whole = out.with_name(f".{out.name}.tmp")
    whole.write_bytes(graph)
    whole.replace(out)
    return lost


Embed = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def _by_onnxruntime(graph: bytes) -> Embed:
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def embed(crops_BHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = session.run(["embeddings"], {"crops": crops_BHW3})[0]
        return found

    return embed


def _lost(bundle: Bundle, embed: Embed, crops_NHW3: npt.NDArray[np.uint8]) -> float:
    exact_ND = embed_images(load_torchscript(bundle), crops_NHW3, progress=False)
    lost = []
    for size in BATCHES:
        pieces = [crops_NHW3[i : i + size] for i in range(0, len(crops_NHW3), size)]
        found_ND = np.concatenate([embed(np.array(piece)) for piece in pieces])
        lost.append(largest_shift(exact_ND, found_ND, bundle.manifest.embedding.d_max))
    return float(np.max(lost))  # NaN where one is
