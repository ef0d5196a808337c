"""What training draws from: the images, and other identities made of them.

Characters of a drawing are told apart by their colours. A picture whose colour channels have
changed places shows, as far as a network can tell, somebody else; so each identity can stand for
six, one for each order of the channels. Where there are few identities that is how a network
learns to tell apart those that it has never seen (label augmentation, as Lee et al., ICML 2020,
do it by rotations).

Shapes: N images, M samples, B batch, H x W pixels.
"""

from itertools import permutations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Indices = npt.NDArray[np.int64]

# RGB itself comes first.
ORDERS = tuple(permutations(range(3)))


class Samples:
    """Sample m is image m % N in channel order m // N.

    labels_N: of the images, any whole numbers. orders: whether there are samples in all six orders,
        or in RGB only.
    """

    def __init__(self, labels_N: Indices, *, orders: bool) -> None:
        identities, classes_N = np.unique(labels_N, return_inverse=True)
        self._images = len(labels_N)
        count = len(ORDERS) if orders else 1
        self.classes = len(identities) * count
        """Classes that training tells apart."""
        self.labels_M: Indices = np.concatenate(
            [classes_N + order * len(identities) for order in range(count)]
        )
        """Class of each sample, int64 (M,) in [0, classes)."""

    def rows(self, samples_B: Indices) -> Indices:
        """The image of each sample, in [0, N)."""
        return samples_B % self._images

    def reordered(self, images_BHW3: Tensor, samples_B: Indices) -> Tensor:
        """uint8 images in RGB, in the channel orders of their samples."""
        order_B = samples_B // self._images
        if not order_B.any():
            return images_BHW3
        channels_B3 = torch.tensor(ORDERS)[torch.from_numpy(order_B)]
        return images_BHW3.gather(3, channels_B3[:, None, None, :].expand(images_BHW3.shape))
