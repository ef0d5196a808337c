"""Embeddings of many crops. Shapes: N images, D embedding size."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm


@torch.inference_mode()
def embed_images(
    model: Callable[[Tensor], Tensor],
    images_NHW3: npt.NDArray[np.uint8],
    *,
    rows: npt.NDArray[np.int64] | None = None,
    batch_size: int = 128,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> npt.NDArray[np.float32]:
    """float32 (N, D) of uint8 (N, H, W, 3) RGB crops, in batches.

    rows: embed only these images, in this order; read from a pack on disk a batch at a time.
    Raises ValueError without images, since nothing else tells D.
    """
    count = len(images_NHW3) if rows is None else len(rows)
    if not count:
        raise ValueError("There are no images to embed.")
    out = []
    for start in tqdm(range(0, count, batch_size), "embed", disable=not progress):
        taken = slice(start, start + batch_size)
        # A copy, since a pack on disk may not be written and torch warns of such memory.
        batch = torch.from_numpy(np.array(images_NHW3[taken if rows is None else rows[taken]]))
        out.append(model(batch.to(device)).float().cpu().numpy())
    return np.concatenate(out)
