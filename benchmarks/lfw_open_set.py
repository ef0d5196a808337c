"""Bar: open-set search on LFW misses at most 1.2 times as often as SFace, FPIR 1 %, 300 enrolled.

    python -m benchmarks.lfw_open_set

A draw enrols one photo each of 300 people of two or more; their other photos are mated searches,
one photo of everybody else is a non-mated search, and nobody of those is enrolled. Both face
bundles and SFace see the same draws, each with its own threshold: the smallest that 1 % of the
strangers' searches reach. A photo in which no face was found is at home nowhere: as a mated probe
it is a miss, as the enrolled photo it makes misses of all searches of its subject, and as a
stranger it is refused. Nothing is fitted to LFW but that threshold. Intervals are 95 %, by a
bootstrap over subjects. The figure is the last line; the exit status is not 0 above the bar.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from benchmarks.contenders import (
    Contender,
    Embeddings,
    add_faces,
    add_lfw,
    bundle_contender,
    pack_at,
    sface_contender,
)
from benchmarks.lfw_people import DataMissingError
from contract.calibration.operating_points import gallery_calibration
from contract.calibration.records import OperatingPoint
from contract.calibration.searches import Searches
from contract.errors import OneGlanceError
from training.data.pack import PackError, PackIndex
from training.evaluation.open_set import TooFewError, draw_searches

MATED = 300
DRAWS = 20
FPIR = 0.01
BAR = 1.2

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one network did in all draws together."""

    name: str
    searches: Searches
    point: OperatingPoint

    @property
    def fnir(self) -> float:
        """Share of mated searches that missed."""
        assert self.point.fnir is not None
        return self.point.fnir.value


def labels_with_faceless(index: PackIndex) -> Indices:
    """A label for each image of the pack, then for each photo that it could not use."""
    number = {name: i for i, name in enumerate(index.identities)}
    for path, _ in index.unused:
        number.setdefault(str(PurePosixPath(path).parent), len(number))
    unused = [number[str(PurePosixPath(path).parent)] for path, _ in index.unused]
    return np.array([*index.labels, *unused], dtype=np.int64)


def with_faceless(embeddings_ND: Embeddings, faceless: int, d_max: float) -> Embeddings:
    """Rows for `faceless` photos, each far away from everything in a dimension of its own."""
    count, size = embeddings_ND.shape
    rows = np.zeros((count + faceless, size + faceless), dtype=np.float32)
    rows[:count, :size] = embeddings_ND
    rows[count:, size:] = np.eye(faceless, dtype=np.float32) * 10 * d_max
    return rows


def search(
    contender: Contender, embeddings_ND: Embeddings, labels_N: Indices, *, mated: int, draws: int
) -> Outcome:
    """labels_N: of the embeddings, then of photos without a face. Raises TooFewError."""
    rows = with_faceless(embeddings_ND, len(labels_N) - len(embeddings_ND), contender.d_max)
    searches = draw_searches(
        rows, labels_N, gallery_subjects=mated, draws=draws, seed=0, d_max=contender.d_max
    )
    if searches.mated_subjects < mated:
        raise TooFewError(f"{searches.mated_subjects} people have two photos, not {mated}.")
    gallery = gallery_calibration(searches, fpirs=(FPIR,))
    if not gallery.points or gallery.points[0].fnir is None:
        raise TooFewError(f"{contender.name}: FPIR {FPIR:.0%}: {gallery.unsupported[0].reason}.")
    return Outcome(name=contender.name, searches=searches, point=gallery.points[0])


def described(outcome: Outcome) -> str:
    """One network in a line."""
    point, searches = outcome.point, outcome.searches
    assert point.fnir is not None
    return (
        f"{outcome.name}: FNIR {point.fnir.value:.2%} (95 %: {point.fnir.low95:.2%} to "
        f"{point.fnir.high95:.2%}) at FPIR {point.fpir:.2%}, similarity >= {point.threshold:.4f}; "
        f"{len(searches.rank_S)} mated and {len(searches.best_T)} non-mated searches"
    )


def within_bar(default: Outcome, sface: Outcome) -> bool:
    """Whether the default bundle misses at most BAR times as often."""
    return default.fnir <= BAR * sface.fnir


def times(outcome: Outcome, sface: Outcome) -> str:
    """How often it misses, in words that hold where SFace never does."""
    if not sface.fnir:
        return f"{outcome.fnir:.2%}, SFace never"
    return f"{outcome.fnir / sface.fnir:.2f} times SFace's"


def main(arguments: list[str] | None = None) -> int:
    """0 if the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_faces(parser)
    add_lfw(parser)
    parser.add_argument("--draws", type=int, default=DRAWS, help="default: %(default)s")
    args = parser.parse_args(arguments)
    try:
        pack = pack_at(args.pack)
        labels = labels_with_faceless(pack.index)
        networks = [
            bundle_contender(args.bundle),
            bundle_contender(args.resnet),
            sface_contender(args.sface),
        ]
        default, resnet, sface = (
            search(network, network.embed_all(pack.images), labels, mated=MATED, draws=args.draws)
            for network in networks
        )
    except (DataMissingError, PackError, TooFewError, OneGlanceError) as error:
        print(f"lfw_open_set: {error}", file=sys.stderr)
        return 1
    print(
        f"{MATED} of {int((np.bincount(labels) > 1).sum())} people with two or more photos "
        f"enrolled, {default.searches.nonmated_subjects} strangers, {args.draws} draws, photos "
        f"without a face {len(pack.index.unused)}"
    )
    print(*map(described, (default, resnet, sface)), sep="\n")
    print(
        f"LFW open set, N = {MATED}, FNIR at FPIR {FPIR:.0%}: {default.name} {default.fnir:.2%}, "
        f"{times(default, sface)} {sface.fnir:.2%} (bar: {BAR}); {resnet.name} {resnet.fnir:.2%}, "
        f"{times(resnet, sface)}"
    )
    return 0 if within_bar(default, sface) else 1


if __name__ == "__main__":
    sys.exit(main())
