"""Whether an exported model computes what the network does that it was made from."""

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from contract.bundle import Bundle
from contract.similarity import largest_shift
from contract.torchscript import load_torchscript
from training.data.pack import Pack
from training.evaluation.embed import embed_images

Pixels = npt.NDArray[np.uint8]

# float16 keeps 11 bits of each weight; what that may move a similarity.
PARITY_TOLERANCE = 0.002
PARITY_CROPS = 256


class ParityError(RuntimeError):
    """The exported model does not compute what the trained one did."""


def parity_devices() -> tuple[str, ...]:
    """Where parity is checked: the CPU, and CUDA where there is a device."""
    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def parity_crops(pack: Pack) -> Pixels:
    """Up to PARITY_CROPS images of a pack, evenly spread."""
    return pack.images[:: max(1, len(pack.images) // PARITY_CROPS)][:PARITY_CROPS]


def check_parity(net: nn.Module, bundle: Bundle, crops_NHW3: Pixels) -> dict[str, float]:
    """Largest distance between eager and exported embeddings of a crop, as a similarity lost.

    One for each device, both networks on that device. `net` is in evaluation mode, and stays where
    it is. Raises ParityError above PARITY_TOLERANCE.
    """
    return {device: _lost(net, bundle, crops_NHW3, device) for device in parity_devices()}


def _lost(net: nn.Module, bundle: Bundle, crops_NHW3: Pixels, device: str) -> float:
    models = copy.deepcopy(net).to(device), load_torchscript(bundle, device)
    eager_ND, exported_ND = (
        embed_images(model, crops_NHW3, batch_size=32, device=device, progress=False)
        for model in models
    )
    lost = largest_shift(eager_ND, exported_ND, bundle.manifest.embedding.d_max)
    if not lost <= PARITY_TOLERANCE:
        raise ParityError(
            f"On {device} the exported model moves an embedding by {lost:.5f} of d_max, at most "
            f"{PARITY_TOLERANCE} is allowed: export with --weights float32."
        )
    return lost
