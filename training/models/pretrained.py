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

State = dict[str, Tensor]

# Of the crops that torchvision's weights were trained on, pixels in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
IMAGENET_WEIGHTS = "IMAGENET1K_V1"
VGGFACE2_FILE = "20180402-114759-vggface2.pt"


# Of a download, of a file that is no state, and of a state that is another network's.
FAILURES = (
    OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError, TypeError,
    AttributeError,
)  # fmt: skip


class PretrainedError(RuntimeError):
    """Pretrained weights can neither be found nor downloaded, or their file is damaged."""


@dataclass(frozen=True, slots=True)
class PixelScale:
    """What a backbone is fed of pixels x in [-1, 1]: x * gain + shift, a value each channel."""

    gain: tuple[float, float, float]
    shift: tuple[float, float, float]


def pixel_scale(config: ModelConfig) -> PixelScale:
    """Of the crops that the weights of `config` were trained on.

    Fresh weights take [-1, 1]; ImageNet's (p / 255 - mean) / deviation; VGGFace2's
    (p - 127.5) / 128, for pixels p in 0..255.
    """
    if config.pretrained == "imagenet":
        (r, g, b), (s, t, u) = IMAGENET_MEAN, IMAGENET_DEVIATION
        return PixelScale(
            (0.5 / s, 0.5 / t, 0.5 / u), ((0.5 - r) / s, (0.5 - g) / t, (0.5 - b) / u)
        )
    gain = 127.5 / 128 if config.pretrained == "vggface2" else 1.0
    return PixelScale((gain,) * 3, (0.0,) * 3)


def load_pretrained(backbone: nn.Module, head: nn.Module, config: ModelConfig) -> None:
    """Load the weights that `config` names; the ones of ImageNet leave the stem `small` fresh.

    Files come from torch's hub cache, or by download into it. Raises PretrainedError that names
    the file and its place.
    """
    if config.pretrained == "imagenet":
        _load_imagenet(backbone, config)
    elif config.pretrained == "vggface2":
        _load_vggface2(backbone, head, config)


def _load_imagenet(backbone: nn.Module, config: ModelConfig) -> None:
    weights = torchvision.models.get_model_weights(config.backbone)[IMAGENET_WEIGHTS]
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    maker = getattr(torchvision.models, config.backbone)
    whole = _loaded(lambda: maker(weights=weights, progress=False), file, weights.url)
    if config.backbone in RESNETS:
        stem = ("conv1.", "bn1.") if config.stem == "small" else ()
        _copy(whole, backbone, lambda name: not name.startswith((*stem, "fc.")))
    else:
        _copy(whole, backbone, lambda name: name.startswith("features."))


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
