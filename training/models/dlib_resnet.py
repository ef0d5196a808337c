"""The ResNet of dlib's face recognition: 27 convolutions, a quarter of ResNet-34's cost.

Davis King, dlib_face_recognition_resnet_model_v1 (2017, public domain), which is He et al.'s
ResNet-34 with a few layers left out and half the filters. Its last residual block and its average
are left out here: at the size that we look at faces they would see one place only.

Shapes: B batch, C channels, H x W pixels.
"""

from collections import OrderedDict

import torch.nn.functional as F  # noqa: N812 - torch's own custom
from torch import Tensor, nn

# (channels, blocks) of each stage; all but the first begin with a block of stride 2.
DLIB_STAGES = ((32, 3), (64, 4), (128, 3), (256, 3))
# dlib's weights were trained on a square of 150 pixels that lies in a crop at the five-point
# template at columns 6 to 107 and rows 20 to 121, the last 9 of which are below the crop.
CHIP_LEFT_PX, CHIP_RIGHT_PX, CHIP_TOP_PX, CHIP_BELOW_PX = 6, 107, 20, 9
# Seven eighths of the 150: 1.4 times faster, and every stage divides without a rest.
CHIP_SIDE_PX = 131


class FaceChip(nn.Module):
    """From a crop of 112 x 112 at the five-point template to what dlib's weights look at.

    (B, 3, 112, 112) to (B, 3, CHIP_SIDE_PX, CHIP_SIDE_PX); below the crop its last row goes on.
    """

    def __init__(self) -> None:
        super().__init__()
        # Of its own: TorchScript knows no constants of a file.
        self.left, self.right, self.top = CHIP_LEFT_PX, CHIP_RIGHT_PX, CHIP_TOP_PX
        self.below, self.side = CHIP_BELOW_PX, CHIP_SIDE_PX

    def forward(self, crops_B3HW: Tensor) -> Tensor:
        seen = crops_B3HW[:, :, self.top :, self.left : self.right]
        whole = F.pad(seen, (0, 0, 0, self.below), mode="replicate")
        size = [self.side, self.side]
        return F.interpolate(whole, size, mode="bilinear", align_corners=False)


class DlibBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, as dlib's `residual` and `residual_down`.

    down: the first convolution has stride 2 and no padding, the shortcut an average of 2 x 2 and
    zeros for the channels that it lacks. An even side leaves the convolutions a row and a column
    short, which are zeros, too.
    """

    def __init__(self, before: int, after: int, *, down: bool) -> None:
        super().__init__()
        stride, padding = (2, 0) if down else (1, 1)
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.down = down
        self.more = after - before

    def forward(self, x_BCHW: Tensor) -> Tensor:
        changed = F.relu(self.bn1(self.conv1(x_BCHW)))
        changed = self.bn2(self.conv2(changed))
        if self.down:
            x_BCHW = F.pad(F.avg_pool2d(x_BCHW, 2), (0, 0, 0, 0, 0, self.more))
            short = x_BCHW.shape[3] - changed.shape[3], x_BCHW.shape[2] - changed.shape[2]
            changed = F.pad(changed, (0, short[0], 0, short[1]))
        return F.relu(x_BCHW + changed)


def dlib_resnet(*, at_template: bool) -> nn.Sequential:
    """(B, 3, H, W) to (B, 256, h, w).

    at_template: the input is a crop at the five-point template, of which dlib's weights look at a
    part.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if at_template:
        parts["chip"] = FaceChip()
    before = DLIB_STAGES[0][0]
    parts["conv1"] = nn.Conv2d(3, before, 7, stride=2, bias=False)
    parts["bn1"] = nn.BatchNorm2d(before)
    parts["relu"] = nn.ReLU(inplace=True)
    parts["maxpool"] = nn.MaxPool2d(3, stride=2)
    for number, (after, blocks) in enumerate(DLIB_STAGES, start=1):
        stage = [DlibBlock(before, after, down=number > 1)]
        stage += [DlibBlock(after, after, down=False) for _ in range(1, blocks)]
        parts[f"layer{number}"] = nn.Sequential(*stage)
        before = after
    return nn.Sequential(parts)


def dlib_feature_map(side: int, *, at_template: bool) -> tuple[int, int]:
    """Channels and side of what `dlib_resnet` makes of a square of `side` pixels."""
    side = CHIP_SIDE_PX if at_template else side
    side = (side - 7) // 2 + 1
    side = (side - 3) // 2 + 1
    return DLIB_STAGES[-1][0], side // 2 ** (len(DLIB_STAGES) - 1)
