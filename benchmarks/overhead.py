"""Bar: what HTTP, queue and threads add to the work itself, at 1 and at 16 callers.

    python -m benchmarks.overhead [--photos N]

Photos of Labeled Faces in the Wild (250 x 250, one face mostly) are identified in a gallery of
1,000 subjects, by a real server and by its parts called directly: decode, detect, embed, search.
One caller: the server's p50 is at most 10 % or 5 ms above that of the parts. 16 callers: its
throughput is at least 85 % of the best that the parts reach in batches, `identify_batch` of 16
photos in as many threads as the server has workers.

The machine is shared and its speed changes from second to second, so that parts and server take
turns: photo by photo with one caller, where the median of the differences of each photo counts,
and round by round with 16, where the median of the rounds' ratios does. The callers are on the same
machine and take their share of it, as little as they can (benchmarks/load). What httpx, a client
for people, takes more with one caller is said beside. The last line is the figure; the exit status
is not 0 where a bar does not hold.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt

from benchmarks.lfw_people import DataMissingError
from benchmarks.load.callers import Callers
from benchmarks.load.connection import Connection
from benchmarks.load.prepared import identify_request
from benchmarks.load.scene import PHOTOS, address_of, fill, photos_of_lfw
from benchmarks.server import ServerError, serving
from contract.errors import OneGlanceError
from index.gallery import Gallery
from service.batch_identification import identify_batch
from service.enrolment import Upload
from service.identification import identify
from service.recognizer import Timing
from service.runtime import Runtime, build_runtime
from service.settings import Settings

ROUNDS = 5
CALLERS = 16
BATCH = 16
MORE_AT_MOST = 1.10
MS_MORE_AT_MOST = 5.0
THROUGHPUT_AT_LEAST = 0.85

Ms = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Milliseconds of each photo with one caller, one row a way; photos a second with many."""

    one_ms: Ms
    parts_rate: float
    server_rate: float


def in_turns(calls: Sequence[Callable[[bytes], object]], photos: Sequence[bytes]) -> Ms:
    """Milliseconds of each call of each photo, float64 (calls, photos); who begins changes."""
    taken = np.zeros((len(calls), len(photos)))
    for number, photo in enumerate(photos):
        for turn in range(len(calls)):
            call = (number + turn) % len(calls)
            start = time.perf_counter()
            calls[call](photo)
            taken[call, number] = (time.perf_counter() - start) * 1_000
    return taken


def rate(
    call: Callable[[Sequence[bytes]], object], pieces: Sequence[Sequence[bytes]], threads: int
) -> float:
    """Photos a second of `call` over pieces, so many at a time."""
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, pieces))
    return sum(map(len, pieces)) / (time.perf_counter() - start)


def rate_of_callers(url: str, photos: Sequence[bytes], *, seconds: float) -> float:
    """Good answers a second for so many callers, each with a connection of its own.

    Raises ServerError where one was answered otherwise.
    """
    with closing(Callers(address_of(url), [*map(identify_request, photos)])) as callers:
        load = callers.waiting_ones(CALLERS, seconds=seconds)
    if len(load.good) != len(load.asked):
        raise ServerError(f"Photos were answered with {dict(load.statuses)}.")
    return load.rate


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
            timing=Timing(),
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
            timing=Timing(),
            find_threshold=self._of.thresholds.threshold,
            top_k=1,
            max_faces=0,
            min_quality=0,
        )


def ask(connection: Connection, photo: bytes) -> None:
    """One request on an open connection. Raises OSError, or ServerError for another answer than
    200."""
    connection.send(identify_request(photo))
    while (answer := connection.read()) is None:
        pass
    if answer.status != HTTPStatus.OK:
        raise ServerError(f"A photo was answered with {answer.status}.")


def ask_by_httpx(client: httpx.Client, photo: bytes) -> None:
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
    found = []
    try:
        with (
            serving(folder / "server.sqlite3", folder / "log") as server,
            httpx.Client(base_url=server.url, timeout=60) as client,
        ):
            by_httpx = partial(ask_by_httpx, client)
            for number in range(rounds):
                print(f"round {number + 1} of {rounds} ...", file=sys.stderr)
                with closing(Connection(address_of(server.url))) as connection:
                    ways = (parts.one, partial(ask, connection), by_httpx)
                    in_turns(ways, photos[:10])
                    one_ms = in_turns(ways, photos[: len(photos) // 2])
                parts_rate = rate(parts.many, pieces, threads)
                server_rate = rate_of_callers(server.url, photos, seconds=len(photos) / parts_rate)
                found.append(Round(one_ms=one_ms, parts_rate=parts_rate, server_rate=server_rate))
    finally:
        runtime.close()
    return found


def main(arguments: list[str] | None = None) -> int:
    """0 if both bars hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=PHOTOS, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    args = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            rounds = measure(photos_of_lfw(args.photos), Path(folder), args.rounds)
    except (DataMissingError, OneGlanceError, ServerError, OSError, httpx.HTTPError) as error:
        print(f"overhead: {error}", file=sys.stderr)
        return 1
    for name, taken in zip(("parts", "server", "server by httpx"), one_caller(rounds), strict=True):
        p50, p99 = np.percentile(taken, [50, 99])
        more = float(np.median(taken - one_caller(rounds)[0]))
        print(f"{name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms; {more:+.1f} ms photo by photo")
    return 0 if judged(rounds) else 1


def one_caller(rounds: Sequence[Round]) -> Ms:
    """Milliseconds of all photos of all rounds, float64 (ways, photos)."""
    return np.concatenate([r.one_ms for r in rounds], axis=1)


def judged(rounds: Sequence[Round]) -> bool:
    """Says the figure; whether both bars hold."""
    parts_ms, server_ms, _ = one_caller(rounds)
    parts, extra = float(np.median(parts_ms)), float(np.median(server_ms - parts_ms))
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
