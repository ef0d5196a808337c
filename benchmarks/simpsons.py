"""Bar: 10 characters of The Simpsons that were never trained on, at least 70 % named rightly.

    python -m benchmarks.simpsons

Zero-shot: five frames of each character enrolled, its other frames are searched for, a character
scores as its best template does, and the right one has to be first alone (rank-1). The unseen are
the characters of simpsons-test.zip that simpsons.zip does not have; once more with all of
simpsons-test.zip, of whom the others were trained on in other frames. Beside it a plain ImageNet
backbone on the same draws. Each network sees the frames at its own input's size. Intervals are
95 %, by character. The figure is the last line; the exit status is not 0 below the bar, or where
the backbone does as well.
"""

import argparse
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from benchmarks.contenders import IMAGENET, SIMPSONS, Contender, bundle_contender
from benchmarks.lfw_people import DataMissingError, data_root
from contract.errors import OneGlanceError
from contract.manifest import InputSpec
from training.data.pack import Pack, PackError, PackIndex, open_pack
from training.data.prepare import PrepareConfig, prepare
from training.data.sources.base import SourceError
from training.evaluation.open_set import TooFewError
from training.evaluation.zero_shot import RankResult, rank_probes

TRAINED, JUDGED = "simpsons.zip", "simpsons-test.zip"
ENROLLED = 5
DRAWS = 20
BAR = 0.70


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Ranks of one network among the unseen characters, and among all."""

    name: str
    unseen: RankResult
    everyone: RankResult


def characters(archive: Path) -> frozenset[str]:
    """Names of the folders that hold its images. Raises DataMissingError."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
    except FileNotFoundError as error:
        raise DataMissingError(
            f"There is no {archive.absolute()}: frames are not committed. Set ONEGLANCE_DATA_ROOT "
            "(make: DATA_ROOT=...) to a folder that has it."
        ) from error
    return frozenset(PurePosixPath(name).parent.name for name in names if not name.endswith("/"))


def packed(archive: Path, out: Path, spec: InputSpec) -> Pack:
    """The frames as a network takes them: whole, on a square of its side, by its own fit.

    Raises SourceError, or PackError where the bundle does not say how.
    """
    if spec.fit is None:
        raise PackError(
            f"The bundle takes {spec.width}x{spec.height}, alignment {spec.alignment}, and does "
            "not say how a whole frame becomes that: one of alignment none and format 3 is wanted."
        )
    prepare(archive, out, PrepareConfig(kind="images", side_px=spec.width, fit=spec.fit))
    return open_pack(out)


def rows_of(index: PackIndex, names: frozenset[str]) -> npt.NDArray[np.int64]:
    """Rows of the images of these characters."""
    wanted = [PurePosixPath(identity).name in names for identity in index.identities]
    return np.flatnonzero(np.array(wanted, dtype=np.bool_)[list(index.labels)])


def measure(
    contender: Contender, pack: Pack, unseen: frozenset[str], *, draws: int = DRAWS
) -> Outcome:
    """Both galleries. Raises TooFewError."""
    embeddings = contender.embed_all(pack.images)

    def ranks(rows: npt.NDArray[np.int64], data: str) -> RankResult:
        return rank_probes(
            embeddings[rows],
            pack.labels[rows],
            d_max=contender.d_max,
            enrolled=ENROLLED,
            draws=draws,
            data=data,
        )

    return Outcome(
        name=contender.name,
        unseen=ranks(rows_of(pack.index, unseen), "unseen"),
        everyone=ranks(np.arange(len(pack.labels)), "all"),
    )


def described(name: str, ranks: RankResult) -> str:
    """One gallery of one network in a line."""
    rank1 = ranks.rank1
    return (
        f"{name}, {ranks.subjects} characters ({ranks.data}): rank-1 {rank1.value:.1%} (95 %: "
        f"{rank1.low95:.1%} to {rank1.high95:.1%}), {ranks.probes} probes a draw, {ranks.draws} "
        "draws"
    )


def holds(ours: Outcome, plain: Outcome) -> bool:
    """Whether the bar does."""
    rank1 = ours.unseen.rank1.value
    return rank1 >= BAR and rank1 > plain.unseen.rank1.value


def main(arguments: list[str] | None = None) -> int:
    """0 if the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=SIMPSONS, help="default: %(default)s")
    parser.add_argument("--imagenet", type=Path, default=IMAGENET, help="default: %(default)s")
    args = parser.parse_args(arguments)
    root, outcomes = data_root(), []
    try:
        unseen = characters(root / JUDGED) - characters(root / TRAINED)
        networks = [bundle_contender(path) for path in (args.bundle, args.imagenet)]
        with tempfile.TemporaryDirectory(prefix="oneglance-simpsons-") as folder:
            for number, network in enumerate(networks):
                assert network.manifest is not None
                out = Path(folder) / str(number)
                pack = packed(root / JUDGED, out, network.manifest.input)
                outcomes.append(measure(network, pack, unseen))
    except (DataMissingError, PackError, SourceError, TooFewError, OneGlanceError) as error:
        print(f"simpsons: {error}", file=sys.stderr)
        return 1
    ours, plain = outcomes
    print(f"unseen: {', '.join(sorted(unseen))}")
    for outcome in outcomes:
        print(described(outcome.name, outcome.unseen))
        print(described(outcome.name, outcome.everyone))
    print(
        f"The Simpsons zero-shot, {ENROLLED} enrolled: rank-1 of {ours.unseen.subjects} unseen "
        f"{ours.unseen.rank1.value:.1%} (bar: {BAR:.0%}, and above {plain.name} "
        f"{plain.unseen.rank1.value:.1%}); of all {ours.everyone.subjects} "
        f"{ours.everyone.rank1.value:.1%}, {plain.name} {plain.everyone.rank1.value:.1%}"
    )
    return 0 if holds(ours, plain) else 1


if __name__ == "__main__":
    sys.exit(main())
