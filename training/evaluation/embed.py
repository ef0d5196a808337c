"""Embeddings of many crops. Shapes: N images, D embedding size."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

# The activations of more images do not fit the processor's cache: on one thread SFace's network
# embeds 33 images/s in pieces of 8 and 15 in one of 128.
CPU_IMAGES_AT_ONCE = 8


@torch.inference_mode()
def embed_images(
    model: Callable[[Tensor], Tensor],
    images_NHW3: npt.NDArray[Any],
    *,
    rows: npt.NDArray[np.int64] | None = None,
    batch_size: int = 128,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> npt.NDArray[np.float32]:
    """float32 (N, D) of uint8 (N, H, W, 3) RGB crops, in batches; on the CPU in pieces of them.
    Of anything else (N, ...) that `model` takes in place of crops, just so.

    rows: embed only these images, in this order; read from a pack on disk a batch at a time.
    Raises ValueError without images, since nothing else tells D.
    """
    count = len(images_NHW3) if rows is None else len(rows)
    if not count:
        raise ValueError("There are no images to embed.")
    at_once = CPU_IMAGES_AT_ONCE if torch.device(device).type == "cpu" else batch_size
    out = []
    for start in tqdm(range(0, count, batch_size), "embed", disable=not progress):
        taken = slice(start, start + batch_size)
        # A copy, since a pack on disk may not be written and torch warns of such memory.
        batch = torch.from_numpy(np.array(images_NHW3[taken if rows is None else rows[taken]]))
        pieces = [model(piece.to(device)).float() for piece in batch.split(at_once)]
        out.append(torch.cat(pieces).cpu().numpy())
    return np.concatenate(out)
