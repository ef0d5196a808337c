"""Bar: a service that is told to end answers every request that came through to it.

    python -m benchmarks.shutdown [--rounds N]

A real server on one gallery is started, asked by 16 callers at a time and sent SIGTERM in the
middle of it, again and again; every other time twice. Each identifies a photo and asks for /healthz
in turn, so that some wait for a worker and others come and go in a moment. Eight callers ask again
on the connection that they have, four make a new one for each request, four pause between requests
on one, and each goes on until nobody listens any more. Pictures are noise, the bundle is a tiny
one: this is about the connections. Bars, in each round:
- every request on a connection that was made is answered with 200, whenever it was sent: none is
  reset, cut off or closed without a word, be the connection new, kept or idle;
- by the server's log as many were answered;
- /readyz, asked on a connection of before, is 503 after the signal;
- the process ends, with no word of an error.
The last line is the figure; the exit status is not 0 where a bar does not hold.
"""

import argparse
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.load.connection import Connection
from benchmarks.load.prepared import identify_request
from benchmarks.load.scene import address_of
from benchmarks.pictures import encoded
from benchmarks.server import STOP_LIMIT_S, ServerError, serving
from benchmarks.shutdown_callers import Asked, Habit, Sent, ask_until_refused
from benchmarks.tiny_bundle import write_tiny_bundle

ROUNDS: Final = 20
HABITS: Final[Sequence[Habit]] = (*["kept"] * 8, *["new"] * 4, *["pausing"] * 4)  # type: ignore[list-item]
SIDE_PX: Final = 400
# After so many requests have been sent, the first of which are slow.
WARM: Final = 150
TERM_S: Final = (0.0, 0.5)
WARM_LIMIT_S: Final = 60.0
# Within the server's grace for idle connections.
AGAIN_S: Final = 0.3
GOOD: Final = 200
_ALIVE: Final = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
_READY: Final = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Round:
    """logged: statuses in the log, in order. ended_s: from the first signal on. words: of the log,
    that there should not be. ready: what /readyz said after the signal."""

    sent: Sequence[Sent]
    signal_s: float
    logged: Sequence[int]
    ended_s: float
    words: Sequence[str]
    ready: int

    @property
    def lost(self) -> list[Sent]:
        """Without a good answer."""
        return [one for one in self.sent if one.status != GOOD]

    @property
    def late(self) -> list[Sent]:
        """Sent after the signal, all of it."""
        return [one for one in self.sent if (one.whole_s or 0) > self.signal_s]


def one_round(
    folder: Path, bundle: Path, requests: Sequence[bytes], *, after_s: float, signals: int
) -> Round:
    """Raises ServerError."""
    log = folder / "log"
    options = ("--bundle-path", bundle, "--worker-threads", 2, "--quality", "off")
    with serving(folder / "gallery.sqlite3", log, *options) as server:
        address = address_of(server.url)
        until_s = time.monotonic() + WARM_LIMIT_S + STOP_LIMIT_S
        asked, callers = ask_until_refused(address, requests, HABITS, until_s=until_s)
        while len(asked.sent) < WARM and time.monotonic() < until_s - STOP_LIMIT_S:
            time.sleep(0.01)
        time.sleep(after_s)
        with closing(Connection(address)) as probe:
            start = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            ready = _readiness(probe)
            for _ in range(signals - 1):
                time.sleep(AGAIN_S)
                server.process.send_signal(signal.SIGTERM)
        server.process.wait(STOP_LIMIT_S)
        ended_s = time.monotonic() - start
        for caller in callers:
            caller.join()
    return judged_round(asked, log.read_text(encoding="utf-8"), start, ended_s, ready)


def _readiness(probe: Connection) -> int:
    """The first status that is not 200 on a connection of before the signal; 0 if it broke off."""
    try:
        while True:
            probe.send(_READY)
            while (answer := probe.read()) is None:
                pass
            if answer.status != GOOD or not answer.keeps:
                return answer.status
    except OSError:
        return 0


def judged_round(asked: Asked, log: str, signal_s: float, ended_s: float, ready: int) -> Round:
    """What callers and log say of it."""
    answered = re.compile(r" (?:POST /v1/identify|GET /healthz) (\d{3}) .* ms")
    logged = [int(found[1]) for line in log.splitlines() if (found := answered.search(line))]
    return Round(
        sent=asked.sent,
        signal_s=signal_s,
        logged=logged,
        ended_s=ended_s,
        words=[w for w in ("Traceback", "ERROR") if w in log],
        ready=ready,
    )


def missed(found: Round) -> list[str]:
    """What does not hold of a round, in words."""
    wrong = [
        f"{one.habit}, {'kept' if one.kept else 'new'} connection: "
        f"{'sent' if one.whole_s else 'cut off while it was sent'}, ended "
        f"{one.ended_s - found.signal_s:+.3f} s from the signal: {one.status} {one.error}"
        for one in found.lost
    ]
    if Counter(found.logged) != Counter(one.status for one in found.sent if one.status):
        wrong.append(f"{len(found.logged)} answers by the log, {len(found.sent)} asked for")
    if found.ready != 503:
        wrong.append(f"/readyz said {found.ready} after the signal")
    if found.words:
        wrong.append(f"the log has {' and '.join(found.words)}")
    if not any(one.ended_s > found.signal_s for one in found.sent):
        wrong.append("nothing was under way when the signal came")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """0 if all bars hold in each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    args = parser.parse_args(arguments)
    choose = random.Random(0)
    noise = np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    requests = [identify_request(encoded(noise, "JPEG")), _ALIVE]
    rounds, wrong = [], []
    with tempfile.TemporaryDirectory() as name:
        folder, bundle = Path(name), Path(name) / "bundle"
        bundle.mkdir()
        write_tiny_bundle(bundle, fit="pad")
        for number in range(args.rounds):
            after_s = choose.uniform(*TERM_S)
            try:
                found = one_round(folder, bundle, requests, after_s=after_s, signals=1 + number % 2)
            except ServerError as error:
                print(f"shutdown: {error}", file=sys.stderr)
                return 2
            rounds.append(found)
            wrong += [f"round {number + 1}: {one}" for one in missed(found)]
    print(*(f"MISSED {one}" for one in wrong), sep="\n", end="\n" if wrong else "")
    late = [one for found in rounds for one in found.late]
    print(
        f"{len(rounds)} times SIGTERM under {len(HABITS)} callers: "
        f"{sum(len(r.sent) for r in rounds)} requests sent, {len(late)} of them after the signal "
        f"({sum(one.kept for one in late)} on a kept connection), "
        f"{sum(len(r.lost) for r in rounds)} without a good answer; ended in "
        f"{max(r.ended_s for r in rounds):.1f} s at most"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
