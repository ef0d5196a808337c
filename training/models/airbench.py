"""A short convolutional network that trains in minutes on a processor, after `airbench`.

Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498: patches of 2 x 2
pixels are whitened, then three blocks of two 3 x 3 convolutions, each block halving the sides by a
max pool after its first convolution; convolutions begin as the identity, as far as channels go.

Where we differ: the patches go through a fixed basis (mean and slopes of a patch, of its light and
of its two opponent colours) whose outputs are normalised to variance 1, so that nothing has to be
fitted to the images before training; ReLU in place of GELU; any number of channels.

Shapes: B batch, H x W pixels, C channels.
"""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

BLOCKS = 3
WIDER = 4  # channels of the second and third block, by those of the first
PATCH_PX = 2
PATCH_NUMBERS = PATCH_PX**2  # of a colour


class Patches(nn.Module):
    """Pixels (B, 3, H, W) to 12 normalised numbers of each patch and their negatives (B, 24, h, w).

    stride: between patches; 1 lets them overlap. For 4 the pixels are averaged by twos before.
    grey: 4 numbers, of the light alone (B, 8, h, w). The others are all zero on grey images, and a
        normalisation of what they become multiplies gradients by its 1 / sqrt(eps), 316.
    """

    basis: Tensor

    def __init__(self, stride: int, *, grey: bool) -> None:
        super().__init__()
        numbers = patch_numbers(grey=grey)
        self.halved = nn.AvgPool2d(2) if stride == 4 else nn.Identity()
        self.stride = min(stride, 2)
        self.register_buffer("basis", _basis()[:numbers])
        self.norm = nn.BatchNorm2d(numbers, affine=False)

    def forward(self, pixels_B3HW: Tensor) -> Tensor:
        pixels_B3HW = self.halved(pixels_B3HW)
        numbers = self.norm(nn.functional.conv2d(pixels_B3HW, self.basis, stride=self.stride))
        return torch.cat([numbers, -numbers], dim=1).relu()


def patch_numbers(*, grey: bool) -> int:
    """How many numbers a patch has; each goes on with its negative."""
    return PATCH_NUMBERS if grey else 3 * PATCH_NUMBERS


def airbench(*, width: int, stride: int, grey: bool) -> nn.Sequential:
    """The network up to its last feature map. width: channels of the first block."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(patches=Patches(stride, grey=grey))
    before = 2 * patch_numbers(grey=grey)
    for number in range(BLOCKS):
        after = width * (WIDER if number else 1)
        parts[f"block{number + 1}"] = nn.Sequential(
            nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )
        before = after
    return nn.Sequential(parts)


def airbench_feature_map(side_px: int, *, width: int, stride: int) -> tuple[int, int]:
    """Channels and side of the feature map of a crop; a side of 0 where it is too small."""
    side = side_px // 2 if stride == 4 else side_px
    patches = max(0, side - PATCH_PX) // min(stride, 2) + 1
    return WIDER * width, patches // 2**BLOCKS


def begin_as_identity(backbone: nn.Module) -> None:
    """The first filters of each convolution hand its input on; the others stay as drawn."""
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight.detach()[: module.in_channels])


def _basis() -> Tensor:
    """Orthonormal filters (12, 3, 2, 2): 3 colours, light first, by mean, two slopes and the
    diagonal.
    """
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    colours = nn.functional.normalize(colours, dim=1)
    line = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2)
    patches = torch.einsum("ay,bx->abyx", line, line).reshape(4, PATCH_PX, PATCH_PX)
    return torch.einsum("kc,pyx->kpcyx", colours, patches).reshape(-1, 3, PATCH_PX, PATCH_PX)
