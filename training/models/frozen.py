"""Frozen blocks: the first blocks of a pretrained backbone, which a run leaves as they came.

What they make of an image never changes, so training computes it once (training/data/maps.py) and
goes on from there. Statistics of their normalisation layers stay as well.

Shapes: B batch, H x W pixels, C channels, h x w places of the map, D embedding size.
"""

import torch
from torch import Tensor, nn

from training.models.embedding_net import EmbeddingNet


def frozen_blocks(net: EmbeddingNet) -> nn.Sequential:
    """The blocks of `net` that are not trained, in evaluation mode."""
    return net.blocks()[: net.frozen_blocks]


def both_maps(net: EmbeddingNet, images_BHW3: Tensor) -> Tensor:
    """What the frozen blocks make of images and of their mirror images, float (B, 2, C, h, w).

    images_BHW3: uint8 RGB, on the device of `net`.
    """
    blocks = frozen_blocks(net)
    pixels_B3HW = net.pixels(images_BHW3)
    views = [blocks(net.scaled(view)) for view in (pixels_B3HW, pixels_B3HW.flip(3))]
    return torch.stack(views, dim=1)


class OfMaps(nn.Module):
    """A network with frozen blocks that begins at their maps; shares all its weights."""

    def __init__(self, net: EmbeddingNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, maps_B2Chw: Tensor) -> Tensor:
        """Embeddings (B, D) of `both_maps`, as the network itself has them of the images."""
        views = 1 if self.net.views == "one" else 2
        maps = maps_B2Chw[:, :views].unbind(1)
        return self.net.joined([self.embed(view, self.net.projection) for view in maps])

    def embed(self, map_BChw: Tensor, features: bool = False) -> Tensor:
        """Embeddings (B, D) of one map each; what training calls. features: as in EmbeddingNet."""
        rest = self.net.blocks()[self.net.frozen_blocks :]
        map_BChw = map_BChw.to(self.net.pixel_gain.dtype, memory_format=torch.channels_last)
        return self.net.placed(rest(map_BChw), features)
