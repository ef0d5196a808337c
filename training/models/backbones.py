"""Backbones: pixels (B, 3, H, W) to a feature map (B, C, h, w).

Shapes: B batch, H x W pixels, C channels, h x w places of the feature map.
"""

from collections import OrderedDict
from itertools import pairwise

from torch import nn
from torchvision.models import densenet161, mobilenet_v2
from torchvision.models.resnet import BasicBlock, Bottleneck

from training.models.airbench import airbench, airbench_feature_map, begin_as_identity
from training.models.config import RESNETS, VGGFACE2_SIDE_PX, ModelConfig
from training.models.dlib_resnet import dlib_feature_map, dlib_resnet
from training.models.sface import SFACE_CHANNELS, SFACE_STRIDE, sface_backbone

# Of He et al., CVPR 2016, table 1.
RESNET_DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
# Parts of facenet-pytorch's InceptionResnetV1 up to its last feature map, in order.
INCEPTION_PARTS = (
    "conv2d_1a", "conv2d_2a", "conv2d_2b", "maxpool_3a", "conv2d_3b", "conv2d_4a", "conv2d_4b",
    "repeat_1", "mixed_6a", "repeat_2", "mixed_7a", "repeat_3", "block8",
)  # fmt: skip


def make_backbone(config: ModelConfig) -> nn.Sequential:
    """The backbone of `config` with fresh weights; every part runs under torch.jit.script."""
    if config.backbone in RESNETS:
        return _resnet(config)
    if config.backbone == "airbench":
        return airbench(width=config.width, stride=config.stem_stride, grey=config.grey)
    if config.backbone == "densenet161":
        return _densenet161()
    if config.backbone == "mobilenet_v2":
        return nn.Sequential(OrderedDict(features=mobilenet_v2(weights=None).features))
    if config.backbone == "sface":
        return sface_backbone()
    if config.backbone == "dlib_resnet":
        return dlib_resnet(at_template=config.pretrained == "dlib")
    return _inception_resnet_v1(config)


def feature_map(config: ModelConfig) -> tuple[int, int]:
    """Channels C and side h = w of the feature map that the backbone makes of a crop."""
    side = config.side_px
    if config.backbone in RESNETS:
        stride = 4 if config.stem == "imagenet" else config.stem_stride
        expansion = _block(config).expansion
        return 8 * config.width * expansion, -(-side // (8 * stride))
    if config.backbone == "airbench":
        return airbench_feature_map(side, width=config.width, stride=config.stem_stride)
    if config.backbone == "densenet161":
        return 2208, -(-side // 4) // 8
    if config.backbone == "mobilenet_v2":
        return 1280, -(-side // 32)
    if config.backbone == "sface":
        return SFACE_CHANNELS, -(-side // SFACE_STRIDE)
    if config.backbone == "dlib_resnet":
        return dlib_feature_map(side, at_template=config.pretrained == "dlib")
    side = VGGFACE2_SIDE_PX if config.pretrained == "vggface2" else side
    # Without padding: 3 x 3 of stride 2, 3 x 3, pool, 3 x 3, three times 3 x 3 of stride 2.
    for stride in (2, 1, 2, 1, 2, 2, 2):
        side = (side - 3) // stride + 1
    return 1792, side


def initialise_backbone(backbone: nn.Module, config: ModelConfig) -> None:
    """Draw a ResNet's convolutions as He et al. (ICCV 2015); the others have their own ways."""
    if config.backbone == "airbench":
        begin_as_identity(backbone)
    if config.backbone not in RESNETS:
        return
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _resnet(config: ModelConfig) -> nn.Sequential:
    """torchvision's ResNet, but for the stem `small` and for `width`.

    The small stem is one 3 x 3 convolution: a crop of 112 pixels has little resolution to give
    away. Parts named layer1 to layer4 are torchvision's, weight by weight.
    """
    width, block = config.width, _block(config)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if config.stem == "imagenet":
        parts["conv1"] = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
    else:
        stride = min(config.stem_stride, 2)
        parts["conv1"] = nn.Conv2d(3, width, kernel_size=3, stride=stride, padding=1, bias=False)
    parts["bn1"] = nn.BatchNorm2d(width)
    parts["relu"] = nn.ReLU(inplace=True)
    if config.stem == "imagenet" or config.stem_stride == 4:
        parts["maxpool"] = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
    channels = [width, *(width * block.expansion * 2**i for i in range(4))]
    depths = RESNET_DEPTHS[config.backbone]
    for i, ((before, after), depth) in enumerate(zip(pairwise(channels), depths, strict=True)):
        parts[f"layer{i + 1}"] = _stage(block, before, after, depth=depth, stride=2 if i else 1)
    return nn.Sequential(parts)


def _block(config: ModelConfig) -> type[BasicBlock | Bottleneck]:
    block: type[BasicBlock | Bottleneck] = BasicBlock
    if config.backbone == "resnet50":
        block = Bottleneck
    return block


def _stage(
    block: type[BasicBlock | Bottleneck], before: int, after: int, *, depth: int, stride: int
) -> nn.Sequential:
    """Residual blocks from `before` to `after` channels, the first with `stride`."""
    shortcut: nn.Module | None = None
    if stride != 1 or before != after:
        shortcut = nn.Sequential(
            nn.Conv2d(before, after, kernel_size=1, stride=stride, bias=False),
            nn.BatchNorm2d(after),
        )
    inner = after // block.expansion
    blocks = [block(before, inner, stride, shortcut)]
    blocks += [block(after, inner) for _ in range(1, depth)]
    return nn.Sequential(*blocks)


def _densenet161() -> nn.Sequential:
    """torchvision's features, and the ReLU that follows them there (in its forward)."""
    return nn.Sequential(
        OrderedDict(features=densenet161(weights=None).features, relu=nn.ReLU(inplace=True))
    )


def _inception_resnet_v1(config: ModelConfig) -> nn.Sequential:
    """facenet-pytorch's InceptionResnetV1 up to its last feature map.

    For VGGFace2 weights crops are first enlarged to the 160 pixels that they were trained on.
    The last block has no ReLU, as there: this feature map alone has negative values.
    """
    from facenet_pytorch import InceptionResnetV1

    whole = InceptionResnetV1()
    # Left out there where noReLU; TorchScript compiles the branch that would use it.
    whole.block8.relu = nn.Identity()
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if config.pretrained == "vggface2" and config.side_px != VGGFACE2_SIDE_PX:
        parts["enlarge"] = nn.Upsample(size=(VGGFACE2_SIDE_PX,) * 2, mode="bilinear")
    parts.update((name, getattr(whole, name)) for name in INCEPTION_PARTS)
    return nn.Sequential(parts)
