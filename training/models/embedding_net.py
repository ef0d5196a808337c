"""ResNet-18 with a stem fit for 112 x 112 crops, and an embedding head.

Shapes: B batch, H x W pixels, D embedding size.
"""

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from training.spaces import l2


class EmbeddingNet(nn.Module):
    """Pixels uint8 (B, H, W, 3) RGB to embeddings float32 (B, D) on the sphere of radius `scale`.

    Differences to torchvision's ResNet-18: the stem is one 3 x 3 convolution of stride 2 (a crop of
    112 pixels has little resolution to give away), with max pooling only where `stem_stride` is 4;
    `width` channels in the first stage instead of always 64; the head keeps the places of the last
    feature map (aligned faces have their parts at fixed places) instead of averaging over them, as
    in ArcFace's option E (Deng et al., CVPR 2019).
    """

    def __init__(
        self,
        *,
        embedding_size: int,
        side_px: int,
        width: int,
        stem_stride: int,
        scale: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, kernel_size=3, stride=2, padding=1, bias=False)
        pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.backbone = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            pool if stem_stride == 4 else nn.Identity(),
            _stage(width, width, stride=1),
            _stage(width, 2 * width, stride=2),
            _stage(2 * width, 4 * width, stride=2),
            _stage(4 * width, 8 * width, stride=2),
        )
        last_side = -(-side_px // (8 * stem_stride))
        self.head = nn.Sequential(
            nn.BatchNorm2d(8 * width),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(8 * width * last_side**2, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size),
        )
        self.scale = scale
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, images_BHW3: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) RGB to float32 (B, D). Normalisation and space are inside."""
        pixels_B3HW = images_BHW3.permute(0, 3, 1, 2).float() / 127.5 - 1
        # Exported weights are stored as float16 and may compute in bfloat16.
        return self.embed(pixels_B3HW.to(self.stem.weight.dtype))

    def embed(self, normalised_B3HW: Tensor) -> Tensor:
        """Pixels in [-1, 1], (B, 3, H, W), to embeddings; what training calls after augmenting."""
        raw_BD = self.head(self.backbone(self.stem(normalised_B3HW)))
        return l2(raw_BD.to(torch.float32), self.scale)


def _stage(channels_in: int, channels_out: int, *, stride: int) -> nn.Sequential:
    """Two basic blocks of ResNet-18 (He et al., CVPR 2016), the first with `stride`."""
    shortcut: nn.Module | None = None
    if stride != 1 or channels_in != channels_out:
        shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, kernel_size=1, stride=stride, bias=False),
            nn.BatchNorm2d(channels_out),
        )
    return nn.Sequential(
        BasicBlock(channels_in, channels_out, stride, shortcut),
        BasicBlock(channels_out, channels_out),
    )
