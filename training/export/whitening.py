"""Whitening: what varies most among the images trained on counts no more than what varies little.

Embeddings of few identities lie in few directions, most of which tell poses and backgrounds apart.
Dividing each direction by its deviation lets the others speak, which is what identities that were
never trained on are told apart by. The covariance is Ledoit and Wolf's (Journal of Multivariate
Analysis, 2004), whose shrinkage follows from the data; no held-out image has a part in it.

Shapes: B batch, N images, C numbers of an embedding before, D after.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.evaluation.embed import embed_images
from training.models.embedding_net import EmbeddingNet
from training.spaces import to_space

# Of four views each, a minute on one thread.
WHITENING_IMAGES = 2_000


class Whitened(nn.Module):
    """A network whose embeddings are whitened: uint8 (B, H, W, 3) RGB to (B, D) in its space."""

    mean_C: Tensor

    def __init__(self, net: EmbeddingNet, mean_C: Tensor, weight_DC: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean_C", mean_C)
        self.linear = nn.Linear(weight_DC.shape[1], weight_DC.shape[0], bias=False)
        self.linear.weight.data = weight_DC
        self.space: str = net.space
        self.scale = net.scale

    def forward(self, images_BHW3: Tensor) -> Tensor:
        """Embeddings of the network, without their mean, times the weights, in the space."""
        raw_BD = self.linear(self.net(images_BHW3) - self.mean_C)
        return to_space(raw_BD, self.space, self.scale, True)


def whitened(
    net: EmbeddingNet,
    images_NHW3: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    *,
    size: int,
) -> Whitened:
    """`net` with embeddings of `size` numbers, whitened by up to WHITENING_IMAGES of `rows`.

    Kept are the directions in which these vary most. Raises ValueError for a space other than the
    sphere, for which lengths mean something, or more numbers than there are.
    """
    if net.space != "l2":
        raise ValueError(f"Only embeddings in the space l2 can be whitened, not in {net.space}.")
    seen = rows[:: max(1, len(rows) // WHITENING_IMAGES)][:WHITENING_IMAGES]
    embeddings_NC = embed_images(net, images_NHW3, rows=seen).astype(np.float64)
    if not 2 <= size <= embeddings_NC.shape[1]:
        raise ValueError(
            f"--whiten must be in 2..{embeddings_NC.shape[1]}, the numbers of an embedding, not "
            f"{size}."
        )
    mean_C, weight_DC = whitening(embeddings_NC, size=size)
    return Whitened(net, torch.from_numpy(mean_C).float(), torch.from_numpy(weight_DC).float())


def whitening(
    embeddings_NC: npt.NDArray[np.float64], *, size: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean (C,) and weights (D, C) that give the embeddings the unit covariance, nearly."""
    from sklearn.covariance import ledoit_wolf

    mean_C = embeddings_NC.mean(axis=0)
    covariance_CC, _ = ledoit_wolf(embeddings_NC)
    variance_C, directions_CC = np.linalg.eigh(covariance_CC)
    kept = np.argsort(variance_C)[::-1][:size]
    return mean_C, (directions_CC[:, kept] / np.sqrt(variance_C[kept])).T
