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
    batch_size: int = 128,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> npt.NDArray[np.float32]:
    """float32 (N, D) of uint8 (N, H, W, 3) RGB crops, in batches."""
    out = []
    for start in tqdm(range(0, len(images_NHW3), batch_size), "embed", disable=not progress):
        # A copy, since a pack on disk may not be written and torch warns of such memory.
        batch = torch.from_numpy(np.array(images_NHW3[start : start + batch_size]))
        out.append(model(batch.to(device)).float().cpu().numpy())
    return np.concatenate(out)
