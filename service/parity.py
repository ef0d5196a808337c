"""How far a faster way to compute moves embeddings from the bundle's own model in float32.

Shapes: B batch, D embedding size.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from contract import similarity
from contract.manifest import Manifest

Pixels = npt.NDArray[np.uint8]
Embeddings = npt.NDArray[np.float32]
Embed = Callable[[Pixels], Embeddings]


def largest_shift(exact: Embed, fast: Embed, manifest: Manifest) -> float:
    """The largest difference of similarity over pictures made up here; NaN for NaN.

    `fast` gets one crop and then the others: a batch of any size has to give the same.
    """
    crops = probe_crops(manifest.input.height, manifest.input.width)
    found_BD = np.concatenate([fast(crops[:1]), fast(crops[1:])])
    return similarity.largest_shift(exact(crops), found_BD, manifest.embedding.d_max)


def probe_crops(height: int, width: int, count: int = 16) -> Pixels:
    """Smooth random pictures, the same each time: light and edges, though no faces."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (count, 3, 7, 7)))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    return smooth.clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).numpy()
