"""A backbone, an embedding head and the embedding space in one network.

Shapes: B batch, H x W pixels, D embedding size.
"""

from typing import Self

import torch
from torch import Tensor, nn

from training.models.backbones import feature_map, initialise_backbone, make_backbone
from training.models.config import ModelConfig
from training.models.head import initialise_head, make_head
from training.models.pretrained import load_pretrained, pixel_scale
from training.spaces import to_space


def middle(pixels_B3HW: Tensor) -> Tensor:
    """The middle three quarters of each side, enlarged to the whole of it."""
    height, width = pixels_B3HW.shape[2], pixels_B3HW.shape[3]
    top, left = height // 8, width // 8
    inside = pixels_B3HW[:, :, top : height - top, left : width - left]
    return nn.functional.interpolate(inside, (height, width), mode="bilinear", align_corners=False)


def diagonal(pixels_B3HW: Tensor, pixel: int) -> Tensor:
    """Shifted by a pixel up and to the left (`pixel` 1) or down and to the right (-1); the edges
    are repeated.
    """
    height, width = pixels_B3HW.shape[2], pixels_B3HW.shape[3]
    wider = nn.functional.pad(pixels_B3HW, (1, 1, 1, 1), mode="replicate")
    start = 1 + pixel
    return wider[:, :, start : start + height, start : start + width]


class EmbeddingNet(nn.Module):
    """Pixels uint8 (B, H, W, 3) RGB to embeddings (B, D) in the space of `config`.

    The pixels that pretrained weights expect are made inside. Works in float32 and float64
    (`net.double()`), under autocast, with channels_last, and under torch.jit.script.

    load_weights: False leaves out the weights that `config.pretrained` names, for callers who load
    a state of their own. Raises PretrainedError where they cannot be had.
    """

    pixel_gain: Tensor
    pixel_shift: Tensor

    def __init__(self, config: ModelConfig, *, load_weights: bool = True) -> None:
        super().__init__()
        self.backbone = make_backbone(config)
        self.head = make_head(config, *feature_map(config))
        # In this order: a seed always makes the same network.
        initialise_backbone(self.backbone, config)
        initialise_head(self.head, config)
        scale = pixel_scale(config)
        self.register_buffer("pixel_gain", torch.tensor(scale.gain).view(1, 3, 1, 1))
        self.register_buffer("pixel_shift", torch.tensor(scale.shift).view(1, 3, 1, 1))
        self.tanh = config.activation == "tanh"
        self.projection = config.projection
        self.views: str = config.views
        self.space: str = config.space
        self.scale = config.scale
        self.norm_gradient = config.norm_gradient
        self._keeps_statistics = config.keep_statistics
        self._own_head = config.has_own_head
        self.frozen_blocks = config.frozen_blocks
        if load_weights:
            load_pretrained(self.backbone, self.head, config)
        if self.frozen_blocks:
            self.blocks()[: self.frozen_blocks].requires_grad_(False)
        self.train()

    @torch.jit.unused
    def blocks(self) -> nn.Sequential:
        """The blocks of MobileNetV2, of which some may be frozen."""
        blocks = self.backbone.features
        assert isinstance(blocks, nn.Sequential)
        return blocks

    @torch.jit.unused
    def train(self, mode: bool = True) -> Self:
        """As in torch, but for pretrained normalisation layers that keep their statistics."""
        super().train(mode)
        if self.frozen_blocks:
            self.blocks()[: self.frozen_blocks].eval()
        if self._keeps_statistics:
            for part in (self.backbone, self.head) if self._own_head else (self.backbone,):
                for module in part.modules():
                    if isinstance(module, nn.modules.batchnorm._BatchNorm):
                        module.eval()
        return self

    def forward(self, images_BHW3: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) RGB to embeddings; normalisation and space are inside."""
        pixels_B3HW = self.pixels(images_BHW3)
        views = [pixels_B3HW]
        if self.views == "four":
            views.append(middle(pixels_B3HW))
        if self.views == "six":
            views += [diagonal(pixels_B3HW, 1), diagonal(pixels_B3HW, -1)]
        if self.views != "one":
            views += [view.flip(3) for view in views]
        return self.joined([self._embedded(view, self.projection) for view in views])

    def pixels(self, images_BHW3: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) to [-1, 1], (B, 3, H, W)."""
        # Weights may compute in bfloat16, which cannot tell 256 values apart near 1.
        wide = torch.promote_types(torch.float32, self.pixel_gain.dtype)
        return images_BHW3.permute(0, 3, 1, 2).to(wide) / 127.5 - 1

    def joined(self, each_VBD: list[Tensor]) -> Tensor:
        """The embedding of a crop by those of its views, (B, D) each."""
        if len(each_VBD) == 1:
            return each_VBD[0]
        mean_BD = torch.stack(each_VBD).mean(dim=0)
        return to_space(mean_BD, self.space, self.scale, self.norm_gradient)

    def embed(self, pixels_B3HW: Tensor) -> Tensor:
        """Pixels in [-1, 1], (B, 3, H, W), to embeddings; what training calls after augmenting.

        float32, or float64 where the weights are; the space is never computed in less.
        """
        return self._embedded(pixels_B3HW, False)

    def _embedded(self, pixels_B3HW: Tensor, features: bool) -> Tensor:
        """features: without the linear layer and what follows it."""
        return self.placed(self.backbone(self.scaled(pixels_B3HW)), features)

    def scaled(self, pixels_B3HW: Tensor) -> Tensor:
        """Pixels in [-1, 1] as the backbone expects them."""
        return pixels_B3HW.to(self.pixel_gain.dtype) * self.pixel_gain + self.pixel_shift

    def placed(self, map_BChw: Tensor, features: bool) -> Tensor:
        """The backbone's map through the head into the space. features: as in `_embedded`."""
        raw_BD = self.head[0](map_BChw).mean(dim=(2, 3)) if features else self.head(map_BChw)
        if raw_BD.dtype != torch.float64:
            raw_BD = raw_BD.to(torch.float32)
        if self.tanh:
            raw_BD = torch.tanh(raw_BD)
        return to_space(raw_BD, self.space, self.scale, self.norm_gradient)
