"""SFace's backbone: MobileNet (Howard et al., 2017) with PReLU, as OpenCV's zoo gives it out.

Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", IEEE
Transactions on Image Processing 2021. 27 convolutions, 0.6 GMAC for a crop of 112 x 112.

Shapes: B batch, C channels, H x W pixels.
"""

from collections import OrderedDict

from torch import nn

SFACE_CHANNELS = 1024
SFACE_STRIDE = 16
# (channels, stride) of each pair of a depthwise and a pointwise convolution.
SFACE_PAIRS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
    (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
SFACE_STEM = 32
SFACE_EPS = 0.001


def sface_backbone() -> nn.Sequential:
    """(B, 3, H, W) to (B, 1024, H / 16, W / 16), sides rounded up.

    Parts are named as in the published file, but for its word `batchnorm`: conv_1, conv_2_dw,
    conv_2, ..., conv_14_dw, conv_14; each is a convolution, a normalisation and a PReLU.
    """
    parts = OrderedDict(conv_1=_part(3, SFACE_STEM, kernel=3))
    before = SFACE_STEM
    for number, (after, stride) in enumerate(SFACE_PAIRS, start=2):
        parts[f"conv_{number}_dw"] = _part(before, before, kernel=3, stride=stride, groups=before)
        parts[f"conv_{number}"] = _part(before, after, kernel=1)
        before = after
    return nn.Sequential(parts)


def _part(before: int, after: int, *, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv2d=nn.Conv2d(
                before, after, kernel, stride, padding=kernel // 2, groups=groups, bias=False
            ),
            norm=nn.BatchNorm2d(after, eps=SFACE_EPS),
            relu=nn.PReLU(after),
        )
    )
