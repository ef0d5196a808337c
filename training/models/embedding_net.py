"""A backbone, an embedding head and the embedding space in one network.

Shapes: B batch, H x W pixels, D embedding size.
"""

import torch
from torch import Tensor, nn

from training.models.backbones import feature_map, initialise_backbone, make_backbone
from training.models.config import ModelConfig
from training.models.head import initialise_head, make_head
from training.models.pretrained import load_pretrained, pixel_scale
from training.spaces import to_space


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
        self.space: str = config.space
        self.scale = config.scale
        self.norm_gradient = config.norm_gradient
        if load_weights:
            load_pretrained(self.backbone, self.head, config)

    def forward(self, images_BHW3: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) RGB to embeddings; normalisation and space are inside."""
        pixels_B3HW = images_BHW3.permute(0, 3, 1, 2)
        # Weights may compute in bfloat16, which cannot tell 256 values apart near 1.
        wide = torch.promote_types(torch.float32, self.pixel_gain.dtype)
        return self.embed(pixels_B3HW.to(wide) / 127.5 - 1)

    def embed(self, pixels_B3HW: Tensor) -> Tensor:
        """Pixels in [-1, 1], (B, 3, H, W), to embeddings; what training calls after augmenting.

        float32, or float64 where the weights are; the space is never computed in less.
        """
        pixels_B3HW = pixels_B3HW.to(self.pixel_gain.dtype)
        raw_BD = self.head(self.backbone(pixels_B3HW * self.pixel_gain + self.pixel_shift))
        if raw_BD.dtype != torch.float64:
            raw_BD = raw_BD.to(torch.float32)
        if self.tanh:
            raw_BD = torch.tanh(raw_BD)
        return to_space(raw_BD, self.space, self.scale, self.norm_gradient)
