"""Embeddings of a pack's images by the network of a run. Shapes: N images, D embedding size."""

import numpy as np
import numpy.typing as npt
import torch

from training.data.maps import open_maps
from training.data.pack import Pack
from training.evaluation.embed import embed_images
from training.models.embedding_net import EmbeddingNet
from training.models.frozen import OfMaps


def embed_rows(
    net: EmbeddingNet, pack: Pack, rows: npt.NDArray[np.int64], *, device: torch.device | str
) -> npt.NDArray[np.float32]:
    """float32 (N, D) of these images, in this order; frozen blocks by their maps beside the pack.

    net: in evaluation mode, on `device`. Raises ValueError without rows.
    """
    if net.frozen_blocks:
        maps = open_maps(pack, net, device=device)
        return embed_images(OfMaps(net), maps, rows=rows, device=device, progress=False)
    return embed_images(net, pack.images, rows=rows, device=device, progress=False)
