"""Bar: a service that is told to end answers all that it has taken, and takes no more.

    python -m benchmarks.shutdown [--rounds N]

A real server is asked by 16 callers at a time, most of whom wait for a worker, and gets SIGTERM in
the middle of it. Pictures are noise, the bundle is a tiny one: this is about the connections. Bars:
- by the server's log, every request whose head it has read was answered, all with 200;
- as many answers reached the callers; what broke off was never in the log;
- the process ends, with no word of an error.
The last line is the figure; the exit status is not 0 where a bar does not hold.
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.load.callers import Callers
from benchmarks.load.prepared import identify_request
from benchmarks.load.record import GOOD, NO_ANSWER, Load
from benchmarks.load.scene import address_of
from benchmarks.pictures import encoded
from benchmarks.server import STOP_LIMIT_S, Server, ServerError, serving
from benchmarks.tiny_bundle import write_tiny_bundle

ROUNDS: Final = 10
CALLERS: Final = 16
SIDE_PX: Final = 1_000
# After the callers have begun.
TERM_S: Final = (0.3, 1.0)
# Time enough to be refused by a server that has ended.
ASKING_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Round:
    """answered: by callers, at or after the signal `late`. logged: statuses in the log, in order.

    ended_s: from the signal on. words: of the log, that there should not be.
    """

    answered: int
    late: int
    others: dict[int, int]
    cut_off: int
    logged: Sequence[int]
    ended_s: float
    words: Sequence[str]


def one_round(folder: Path, bundle: Path, requests: Sequence[bytes], after_s: float) -> Round:
    """Raises ServerError."""
    log = folder / "log"
    options = ("--bundle-path", bundle, "--worker-threads", 2, "--quality", "off")
    with (
        serving(folder / "gallery.sqlite3", log, *options) as server,
        closing(Callers(address_of(server.url), requests)) as callers,
    ):
        ended: list[float] = []
        sender = threading.Thread(target=tell, args=(server, after_s, ended))
        sender.start()
        load = callers.waiting_ones(CALLERS, seconds=after_s + ASKING_S)
        sender.join()
    return judged_round(load, log.read_text(encoding="utf-8"), after_s, ended[0])


def tell(server: Server, after_s: float, ended: list[float]) -> None:
    """Send SIGTERM in so many seconds; notes how long the server took over it."""
    time.sleep(after_s)
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(STOP_LIMIT_S)
    ended.append(time.monotonic() - start)


def judged_round(load: Load, log: str, after_s: float, ended_s: float) -> Round:
    """What callers and log say of it."""
    lines = [line for line in log.splitlines() if "POST /v1/identify" in line and " ms" in line]
    logged = [int(line.split("/v1/identify ")[1].split()[0]) for line in lines]
    statuses = load.statuses
    return Round(
        answered=statuses[GOOD],
        late=sum(one.due_s + one.ms / 1_000 > after_s for one in load.good),
        others={s: n for s, n in statuses.items() if s not in {GOOD, NO_ANSWER}},
        cut_off=sum(a.status == NO_ANSWER and a.due_s < after_s for a in load.asked),
        logged=logged,
        ended_s=ended_s,
        words=[w for w in ("Traceback", "ERROR") if w in log],
    )


def missed(found: Round) -> list[str]:
    """What does not hold of a round, in words."""
    wrong = []
    if found.others or {*found.logged} - {GOOD}:
        wrong.append(f"other answers than 200: {found.others}, in the log {found.logged}")
    if found.answered != len(found.logged):
        wrong.append(f"{len(found.logged)} answers by the log, {found.answered} came")
    if found.words:
        wrong.append(f"the log has {' and '.join(found.words)}")
    if not found.late:
        wrong.append("nothing was under way when the signal came")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """0 if all bars hold in each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    args = parser.parse_args(arguments)
    choose = random.Random(0)
    noise = np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    requests = [identify_request(encoded(noise, "JPEG"))]
    rounds, wrong = [], []
    with tempfile.TemporaryDirectory() as name:
        bundle = Path(name) / "bundle"
        bundle.mkdir()
        write_tiny_bundle(bundle, fit="pad")
        for number in range(args.rounds):
            folder = Path(name) / str(number)
            folder.mkdir()
            try:
                found = one_round(folder, bundle, requests, choose.uniform(*TERM_S))
            except ServerError as error:
                print(f"shutdown: {error}", file=sys.stderr)
                return 2
            rounds.append(found)
            wrong += [f"round {number + 1}: {one}" for one in missed(found)]
    print(*(f"MISSED {one}" for one in wrong), sep="\n", end="\n" if wrong else "")
    print(
        f"{len(rounds)} times SIGTERM under {CALLERS} callers: {sum(r.answered for r in rounds)} "
        f"requests taken and answered, {sum(r.late for r in rounds)} of them after the signal; "
        f"{sum(r.cut_off for r in rounds)} connections closed before a request was read; ended in "
        f"{max(r.ended_s for r in rounds):.1f} s at most"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
