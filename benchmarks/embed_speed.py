"""Bar: the default bundle embeds no slower than SFace in onnxruntime, the ResNet 3 times faster.

    python -m benchmarks.embed_speed

uint8 crops in, float32 embeddings out, on one thread of the CPU, in batches of 1 and of 32: each
face bundle as the service embeds (precision `auto`), and SFace's file twice, as it is and with its
weights made float32 beforehand. A bar is a ratio to the faster of those two at the same batch
size. Rounds take turns, so that what disturbs one disturbs all, and count the time of this core
and not of the clock. The figure is the last line; the exit status is not 0 below a bar.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from benchmarks.contenders import Embed, Pixels, add_faces, bundle_at
from benchmarks.lfw_people import DataMissingError
from benchmarks.sface_onnx import OnnxSface, find_sface
from contract.errors import OneGlanceError
from service.embedder import TorchScriptEmbedder

BATCHES = (1, 32)
CROPS = 32  # of a round
ROUNDS = 9
DEFAULT_BAR, RESNET_BAR = 1.0, 3.0
SFACE = ("SFace, int8 blocks", "SFace, float32")

Rates = Mapping[str, float]


def median_rates(embeds: Mapping[str, Embed], crops: Pixels, *, batch: int, rounds: int) -> Rates:
    """Crops a second of each, the median of `rounds` that take turns; one more round to warm."""
    rates: dict[str, list[float]] = {name: [] for name in embeds}
    for _ in range(rounds + 1):
        for name, embed in embeds.items():
            start = time.thread_time()
            for first in range(0, len(crops), batch):
                embed(crops[first : first + batch])
            rates[name].append(len(crops) / (time.thread_time() - start))
    return {name: statistics.median(found[1:]) for name, found in rates.items()}


def ratio(rates: Rates, name: str) -> float:
    """How many times as fast as the faster session of SFace."""
    return rates[name] / max(rates[sface] for sface in SFACE)


def contenders(bundle: Path, resnet: Path, sface: Path | None) -> dict[str, Embed]:
    """By name, bundles first. Raises DataMissingError or BundleError."""
    embeds: dict[str, Embed] = {}
    for role, path in (("default", bundle), ("resnet", resnet)):
        embedder = TorchScriptEmbedder(bundle_at(path), device="cpu")
        print(f"{role}: {path}, computes in {embedder.precision}")
        embeds[role] = embedder.embed
    file = find_sface(sface)
    for name, folded in zip(SFACE, (False, True), strict=True):
        embeds[name] = OnnxSface(file, folded=folded, threads=1).embed
    return embeds


def main(arguments: list[str] | None = None) -> int:
    """0 if both bars hold at both batch sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_faces(parser)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        embeds = contenders(args.bundle, args.resnet, args.sface)
    except (DataMissingError, OneGlanceError) as error:
        print(f"embed_speed: {error}", file=sys.stderr)
        return 1
    crops = np.random.default_rng(0).integers(0, 256, (CROPS, 112, 112, 3), dtype=np.uint8)
    rates = {b: median_rates(embeds, crops, batch=b, rounds=ROUNDS) for b in BATCHES}
    for name in embeds:
        print(f"{name}: " + ", ".join(f"{rates[b][name]:.1f} images/s at batch {b}" for b in rates))
    bars = {"default": DEFAULT_BAR, "resnet": RESNET_BAR}
    ratios = {name: [ratio(rates[b], name) for b in BATCHES] for name in bars}
    shown = "; ".join(
        f"{name} {ratios[name][0]:.2f} and {ratios[name][1]:.2f} (bar: {bar:.1f})"
        for name, bar in bars.items()
    )
    print(f"times as fast as the faster SFace at batch {BATCHES[0]} and {BATCHES[1]}: {shown}")
    return int(any(min(ratios[name]) < bar for name, bar in bars.items()))


if __name__ == "__main__":
    sys.exit(main())
