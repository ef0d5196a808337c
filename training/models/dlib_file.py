"""dlib's published face network (`.dat`) as the weights of our own.

dlib writes a whole number as a byte that holds the count of the bytes that follow (low four bits)
and the sign (highest bit), least significant byte first; a tensor is the number 2 (the version of
the format), its four sizes, and float32 values. Layers come in the order in which data passes them,
each convolution (weights, then biases) followed by its `affine` (gains, then shifts).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.models.weight_files import PretrainedError

Floats = npt.NDArray[np.float32]
TENSOR_VERSION = 2
SIGN, COUNT = 0x80, 0x0F
# Smaller ones that look like tensors are other things; the smallest real one has 64 values.
LEAST_VALUES = 64


def load_dlib(network: nn.Module, path: Path) -> None:
    """Fill the convolutions and normalisations of `network` (dlib_resnet), in order.

    dlib's authors folded the statistics away: a bias becomes the mean that is taken off before the
    gain. Their weights are up to 50 times smaller than those that networks begin with, where a
    step of any usual length would wipe them out; so each convolution is multiplied to the deviation
    of He et al. (ICCV 2015), and its statistics with it: the network stays the same.
    Raises PretrainedError if the file is not dlib's network.
    """
    try:
        tensors = list(_tensors(path.read_bytes()))
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        for i, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
            if len(tensors) < 2 * i + 2:
                raise ValueError(f"it has {len(tensors)} of {2 * len(convolutions)} tensors")
            _fill(convolution, norm, tensors[2 * i], tensors[2 * i + 1])
    except (OSError, ValueError) as error:
        raise PretrainedError(f"{path} is not dlib's face network: {error}") from error


@torch.no_grad()
def _fill(convolution: nn.Conv2d, norm: nn.BatchNorm2d, weights: Floats, affine: Floats) -> None:
    size, channels = convolution.weight.numel(), convolution.out_channels
    if len(weights) != size + channels or len(affine) != 2 * channels:
        raise ValueError(
            f"a layer has {len(weights)} weights and {len(affine)} gains and shifts instead of "
            f"{size + channels} and {2 * channels}"
        )
    kernels, biases = _tensor(weights[:size]), _tensor(weights[size:])
    factor = (2 * channels / size) ** 0.5 / kernels.std()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight.copy_((kernels * factor).view_as(convolution.weight))
    norm.weight.copy_(_tensor(affine[:channels]))
    norm.bias.copy_(_tensor(affine[channels:]))
    norm.running_mean.copy_(-biases * factor)
    norm.running_var.fill_(factor**2 - norm.eps)


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(np.array(values))


def _tensors(data: bytes) -> Iterator[Floats]:
    """Every tensor of at least LEAST_VALUES, flat, in the order of the file.

    Between them lie numbers that no layer of ours needs; they are passed byte by byte.
    """
    at = 0
    while at < len(data):
        found = _tensor_at(data, at)
        if found is None:
            at += 1
        else:
            values, at = found
            yield values


def _tensor_at(data: bytes, at: int) -> tuple[Floats, int] | None:
    """The tensor that begins at a byte, and where it ends; None where none does."""
    sizes = []
    for _ in range(5):
        number = _whole_number(data, at)
        if number is None:
            return None
        value, at = number
        sizes.append(value)
    version, samples, channels, rows, columns = sizes
    count = samples * channels * rows * columns
    if version != TENSOR_VERSION or (rows, columns) != (1, 1):
        return None
    if not LEAST_VALUES <= count <= (len(data) - at) // 4:
        return None
    return np.frombuffer(data, "<f4", count, at), at + 4 * count


def _whole_number(data: bytes, at: int) -> tuple[int, int] | None:
    if at >= len(data):
        return None
    count = data[at] & COUNT
    if not 1 <= count <= 8 or data[at] & ~(SIGN | COUNT) or at + 1 + count > len(data):
        return None
    value = int.from_bytes(data[at + 1 : at + 1 + count], "little")
    return (-value if data[at] & SIGN else value), at + 1 + count
