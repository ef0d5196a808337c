"""Maps of a pack: what frozen blocks make of each image and its mirror image, beside the images.

Shapes: N images, B batch, C channels, h x w places of the map.
"""

import fcntl
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from training.data.augment import AugmentPlan
from training.data.pack import Pack
from training.models.embedding_net import EmbeddingNet
from training.models.frozen import both_maps, frozen_blocks

Maps = npt.NDArray[np.float16]
# Of images; the activations of more do not fit the processor's cache.
AT_ONCE = {"cpu": 4, "cuda": 256}


def open_maps(pack: Pack, net: EmbeddingNet, *, device: torch.device | str) -> Maps:
    """float16 (N, 2, C, h, w), mapped from disk, of the images of `pack` and of `net`, which is on
    `device`. Those that are not there yet are computed, once however many processes ask.

    Raises OSError where the pack's folder cannot hold them.
    """
    path = pack.root / f"maps-{_fingerprint(net)}.npy"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _write(path, pack, net, torch.device(device))
    maps: Maps = np.load(path, mmap_mode="r")
    return maps


@torch.inference_mode()
def _write(path: Path, pack: Pack, net: EmbeddingNet, device: torch.device) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    kept: np.memmap[Any, np.dtype[np.float16]] | None = None
    step = AT_ONCE.get(device.type, AT_ONCE["cpu"])
    training = net.training
    net.eval()
    for start in tqdm(range(0, len(pack.images), step), "maps of frozen blocks", unit="batch"):
        images = torch.from_numpy(np.array(pack.images[start : start + step])).to(device)
        maps = both_maps(net, images).half().cpu().numpy()
        if kept is None:
            shape = (len(pack.images), *maps.shape[1:])
            kept = np.lib.format.open_memmap(temporary, "w+", dtype=np.float16, shape=shape)
        kept[start : start + step] = maps
    net.train(training)
    assert kept is not None, "a pack has images"
    kept.flush()
    temporary.replace(path)


def _fingerprint(net: EmbeddingNet) -> str:
    """Of the frozen blocks' weights and statistics, in float32 whatever a run computes in."""
    found = hashlib.sha256()
    for name, value in frozen_blocks(net).state_dict().items():
        found.update(name.encode())
        found.update(value.detach().float().cpu().numpy().tobytes())
    return found.hexdigest()[:16]


def drawn(maps_B2Chw: Tensor, plan: AugmentPlan) -> Tensor:
    """The map (B, C, h, w) of each image, or of its mirror image, as `plan` has it."""
    rows_B = torch.arange(len(maps_B2Chw))
    return maps_B2Chw[rows_B, plan.mirrored.long()]
