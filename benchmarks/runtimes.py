"""Bar: each embedder_runtime embeds faces as TorchScript does, OpenVINO in no more time.

    python -m benchmarks.runtimes [--photos 500]

Both shipped face bundles, as the service makes their embedders, in float32 with one worker: the
largest difference of similarity over the largest face of photos of LFW, each of another person, and
the time of a crop in batches of 1 and of 8, of the processor and not of the clock, the median of
rounds that take turns. The last line is the figure; the exit status is not 0 where a similarity
moves by more than 0.002, or OpenVINO takes longer than TorchScript.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.contenders import FACES, RESNET, Embed, Pixels, bundle_at
from benchmarks.lfw_people import DataMissingError, LfwPeople, data_root
from contract.bundle import Bundle
from contract.errors import OneGlanceError
from contract.similarity import largest_shift
from service.embedder_choice import make_embedder
from service.graph_embedder import GRAPH_TOLERANCE
from service.options import EmbedderRuntime
from service.recognizer import Timing
from service.served_bundles import recognizer_for
from service.settings import Settings

RUNTIMES: Final[tuple[EmbedderRuntime, ...]] = ("torchscript", "onnxruntime", "openvino")
BATCHES: Final = (1, 8)
CROPS: Final = 8  # of a round
ROUNDS: Final = 15


def embedders(bundle: Bundle) -> dict[str, Embed]:
    """By runtime, as the service makes them. Raises OneGlanceError where one is not installed."""
    return {
        runtime: make_embedder(
            bundle,
            Settings(embedder_runtime=runtime, device="cpu", precision="float32", worker_threads=1),
        ).embed
        for runtime in RUNTIMES
    }


def lfw_faces(bundle: Bundle, photos: int) -> Pixels:
    """The largest face of a photo each of so many people, as the service crops it."""
    settings = Settings(device="cpu", precision="float32")
    recognizer = recognizer_for(bundle, make_embedder(bundle, settings), settings)
    people = LfwPeople(data_root())
    crops = []
    for person in itertools.islice(sorted(people.photos), photos):
        photo, faces = recognizer.detect(people.read(people.photos[person][0]), Timing())
        crops += recognizer.crops(photo, faces[:1])
    return np.stack(crops)


def shifts(embeds: Mapping[str, Embed], crops: Pixels, d_max: float) -> dict[str, float]:
    """The largest difference of similarity that each runtime makes to a crop."""
    found = {name: embed(crops) for name, embed in embeds.items()}
    return {name: largest_shift(found["torchscript"], f, d_max) for name, f in found.items()}


def milliseconds(embeds: Mapping[str, Embed], crops: Pixels, *, batch: int) -> dict[str, float]:
    """Of the processor, all threads together, for a crop."""
    taken: dict[str, list[float]] = {name: [] for name in embeds}
    for _ in range(ROUNDS + 1):
        for name, embed in embeds.items():
            start = time.process_time()
            for first in range(0, len(crops), batch):
                embed(crops[first : first + batch])
            taken[name].append((time.process_time() - start) / len(crops) * 1e3)
    return {name: statistics.median(found[1:]) for name, found in taken.items()}


def measured(path: Path, photos: int) -> tuple[float, float]:
    """Prints what one bundle shows; the largest shift, and OpenVINO's largest share of the time."""
    bundle = bundle_at(path)
    embeds, crops = embedders(bundle), lfw_faces(bundle, photos)
    moved = shifts(embeds, crops, bundle.manifest.embedding.d_max)
    times = {batch: milliseconds(embeds, crops[:CROPS], batch=batch) for batch in BATCHES}
    for name in RUNTIMES:
        each = " and ".join(f"{times[batch][name]:.1f}" for batch in BATCHES)
        print(
            f"{bundle.manifest.name} by {name}: {each} ms a crop at batch "
            f"{' and '.join(map(str, BATCHES))}, moves a similarity by at most "
            f"{moved[name]:.1e} ({len(crops)} faces)",
            flush=True,
        )
    shares = (times[batch]["openvino"] / times[batch]["torchscript"] for batch in BATCHES)
    # np.max, since max may lose what is not a number.
    return float(np.max([*moved.values()])), max(shares)


def main(arguments: list[str] | None = None) -> int:
    """0 if both bars hold for both bundles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=500, help="of LFW; default: %(default)s")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        found = {path.name: measured(path, args.photos) for path in (FACES, RESNET)}
    except (DataMissingError, OneGlanceError) as error:
        print(f"runtimes: {error}", file=sys.stderr)
        return 1
    shift = float(np.max([moved for moved, _ in found.values()]))
    shares = ", ".join(f"{share:.2f} ({name})" for name, (_, share) in found.items())
    print(
        f"similarities move by at most {shift:.1e} (bar: {GRAPH_TOLERANCE}); OpenVINO takes "
        f"{shares} of TorchScript's time (bar: 1.00)"
    )
    return int(not shift <= GRAPH_TOLERANCE or any(share > 1 for _, share in found.values()))


if __name__ == "__main__":
    sys.exit(main())
