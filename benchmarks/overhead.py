"""Bar: what HTTP, queue and threads add to the work itself, at 1 and at 16 callers.

    python -m benchmarks.overhead [--photos N]

Photos of Labeled Faces in the Wild (250 x 250, one face mostly) are identified in a gallery of
1,000 subjects, by a real server and by its parts called directly: decode, detect, embed, search.
One caller: the server's p50 is at most 10 % or 5 ms above that of the parts. 16 callers: its
throughput is at least 85 % of the best that the parts reach in batches, `identify_batch` of 16
photos in as many threads as the server has workers. Rounds of parts and server take turns and the
medians of the rounds count, since the machine is shared. The callers are on the same machine and
take their share of it. The last line is the figure; the exit status is not 0 where a bar does not
hold.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np

from benchmarks.lfw_people import DataMissingError, LfwPeople, data_root
from benchmarks.server import ServerError, serving
from contract.errors import OneGlanceError
from index.gallery import Gallery
from service.batch_identification import identify_batch
from service.enrolment import Upload
from service.identification import identify
from service.runtime import Runtime, build_runtime
from service.settings import Settings

SUBJECTS = 1_000
PHOTOS = 160
ROUNDS = 5
CALLERS = 16
BATCH = 16
MORE_AT_MOST = 1.10
MS_MORE_AT_MOST = 5.0
THROUGHPUT_AT_LEAST = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Milliseconds of each photo with one caller; photos a second with many."""

    parts_ms: tuple[float, ...]
    server_ms: tuple[float, ...]
    parts_rate: float
    server_rate: float


def timed(call: Callable[[bytes], object], photos: Sequence[bytes]) -> tuple[float, ...]:
    """Milliseconds of each call, one after the other."""
    taken = []
    for photo in photos:
        start = time.perf_counter()
        call(photo)
        taken.append((time.perf_counter() - start) * 1_000)
    return tuple(taken)


def rate(
    call: Callable[[Sequence[bytes]], object], pieces: Sequence[Sequence[bytes]], threads: int
) -> float:
    """Photos a second of `call` over pieces, so many at a time."""
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, pieces))
    return sum(map(len, pieces)) / (time.perf_counter() - start)


class Parts:
    """The work itself, in this process."""

    def __init__(self, runtime: Runtime) -> None:
        self._of = runtime.default

    def one(self, photo: bytes) -> None:
        """What a request asks for."""
        identify(
            self._of.bundle.recognizer,
            self._of.gallery,
            photo,
            find_threshold=self._of.thresholds.threshold,
            top_k=1,
            max_faces=0,
            min_quality=0,
        )

    def many(self, photos: Sequence[bytes]) -> None:
        """In one batch."""
        identify_batch(
            self._of.bundle.recognizer,
            self._of.gallery,
            [Upload(filename=None, data=photo) for photo in photos],
            find_threshold=self._of.thresholds.threshold,
            top_k=1,
            max_faces=0,
            min_quality=0,
        )


def ask(client: httpx.Client, photo: bytes) -> None:
    """One request. Raises httpx's errors."""
    client.post("/v1/identify", files={"image": ("photo.jpg", photo)}).raise_for_status()


def measure(photos: Sequence[bytes], folder: Path, rounds: int) -> list[Round]:
    """Raises ServerError, OneGlanceError or httpx's errors."""
    settings = Settings(gallery=str(folder / "parts.sqlite3"))
    runtime = build_runtime(settings)
    fill(runtime.default.gallery)
    with Gallery.open(folder / "server.sqlite3", runtime.default.gallery.contract) as gallery:
        fill(gallery)
    parts, threads = Parts(runtime), settings.worker_threads
    pieces = [photos[i : i + BATCH] for i in range(0, len(photos), BATCH)]
    singles = [[photo] for photo in photos]
    found = []
    try:
        with (
            serving(folder / "server.sqlite3", folder / "log") as server,
            httpx.Client(base_url=server.url, timeout=60) as client,
        ):
            call = partial(ask, client)
            timed(parts.one, photos[:10])
            timed(call, photos[:10])
            for number in range(rounds):
                print(f"round {number + 1} of {rounds} ...", file=sys.stderr)
                found.append(
                    Round(
                        parts_ms=timed(parts.one, photos[: len(photos) // 2]),
                        server_ms=timed(call, photos[: len(photos) // 2]),
                        parts_rate=rate(parts.many, pieces, threads),
                        server_rate=rate(lambda one: call(one[0]), singles, CALLERS),
                    )
                )
    finally:
        runtime.close()
    return found


def fill(gallery: Gallery) -> None:
    """Subjects that nobody looks like, the same ones each time."""
    rows = np.random.default_rng(0).normal(size=(SUBJECTS, gallery.contract.size))
    for row in rows:
        unit = row / np.linalg.norm(row)
        gallery.enroll(unit[None].astype(np.float32))


def main(arguments: list[str] | None = None) -> int:
    """0 if both bars hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=PHOTOS, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    args = parser.parse_args(arguments)
    try:
        with LfwPeople(data_root()) as people, tempfile.TemporaryDirectory() as folder:
            names = [photos[0] for photos in people.photos.values()][: args.photos]
            rounds = measure([people.read(name) for name in names], Path(folder), args.rounds)
    except (DataMissingError, OneGlanceError, ServerError, httpx.HTTPError) as error:
        print(f"overhead: {error}", file=sys.stderr)
        return 1
    for name in ("parts_ms", "server_ms"):
        p50, p99 = np.percentile([getattr(r, name) for r in rounds], [50, 99])
        print(f"{name.removesuffix('_ms')}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    return 0 if judged(rounds) else 1


def judged(rounds: Sequence[Round]) -> bool:
    """Says the figure; whether both bars hold."""
    parts = float(np.median([np.median(r.parts_ms) for r in rounds]))
    more = [float(np.median(r.server_ms) - np.median(r.parts_ms)) for r in rounds]
    extra = float(np.median(more))
    share = float(np.median([r.server_rate / r.parts_rate for r in rounds]))
    print(
        f"one caller: {extra:+.1f} ms at p50, {extra / parts:+.1%} (bar: 10 % or 5 ms); {CALLERS} "
        f"callers: {np.median([r.server_rate for r in rounds]):.1f} photos/s, {share:.0%} of the "
        f"parts in batches (bar: 85 %)"
    )
    within = extra <= MS_MORE_AT_MOST or extra <= (MORE_AT_MOST - 1) * parts
    return within and share >= THROUGHPUT_AT_LEAST


if __name__ == "__main__":
    sys.exit(main())
