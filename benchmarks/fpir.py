"""Bar: strangers called a match as often as stated, whatever the gallery's size.

    python -m benchmarks.fpir [--splits N]

The identities of a pack are split in two halves. One is calibrated on, as `oneglance-train
evaluate` does it; in the other, galleries of 100, 500 and 1,000 subjects with one template each
are searched for everybody who is not enrolled, at the threshold that the calibration gives for
FPIR 1 % and 10 % in a gallery of that size. Nothing is tuned on the second half. The bar: the share
of searches that reach the threshold is within a factor of two of the target, at every size, in
LFW and in faces-train, for the first split and for the mean of all splits; and so it is for the
shipped bundle's calibration on all of LFW, people and photos that it was not made of. `--splits 0`
asks for that alone.

Beside it, not judged: one threshold for all sizes (the one for 100 subjects), which is what a fixed
threshold does; thresholds from galleries of up to 100 subjects only, which are estimates for larger
ones; and galleries with three templates a subject. The figure is the last line; the exit status is
not 0 outside the bar.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.contenders import FACES, LFW_PACK, bundle_at
from benchmarks.embedded import EmbeddedPack, embedded
from benchmarks.lfw_people import DataMissingError
from contract.calibration.records import GalleryCalibration
from contract.calibration.searches import Searches, fpir_at
from contract.calibration.thresholds import FpirThreshold, fpir_threshold
from contract.errors import OneGlanceError
from training.data.pack import PackError
from training.evaluation.calibration import open_set
from training.evaluation.open_set import TooFewError, draw_searches

SIZES = (100, 500, 1_000)
TARGETS = (0.01, 0.1)
FACTOR = 2.0
SPLITS = 10
DRAWS = 10
SEVERAL = 3
SMALL = 100

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Half:
    """Some identities of a pack."""

    embeddings_ND: npt.NDArray[np.float32]
    labels_N: Indices
    d_max: float

    def searches(self, subjects: int, *, enrolled: int = 1, seed: int) -> Searches:
        """Galleries of so many of them."""
        return draw_searches(
            self.embeddings_ND,
            self.labels_N,
            gallery_subjects=subjects,
            enrolled=enrolled,
            draws=DRAWS,
            seed=seed,
            d_max=self.d_max,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one way to a threshold did: observed FPIR of each split."""

    way: str
    target: float
    subjects: int
    observed: tuple[float, ...]
    judged: bool = False

    @property
    def mean(self) -> float:
        """Over the splits."""
        return float(np.mean(self.observed))

    @property
    def holds(self) -> bool:
        """Within the factor, for the first split and for the mean."""
        low, high = self.target / FACTOR, self.target * FACTOR
        return all(low <= observed <= high for observed in (self.observed[0], self.mean))

    def __str__(self) -> str:
        """A line of the table."""
        return (
            f"{self.way:34} {self.target:5.0%} {self.subjects:6,} {self.mean:8.2%} "
            f"{self.observed[0]:8.2%} {min(self.observed):8.2%} {max(self.observed):8.2%}"
        )


def halves(pack: EmbeddedPack, seed: int) -> tuple[Half, Half]:
    """Its identities in two halves, by chance; no identity is in both."""
    identities = np.unique(pack.labels_N)
    first = np.random.default_rng(seed).permutation(identities)[: len(identities) // 2]
    mask = np.isin(pack.labels_N, first)
    return tuple(  # type: ignore[return-value]
        Half(
            embeddings_ND=pack.embeddings_ND[part],
            labels_N=pack.labels_N[part],
            d_max=pack.d_max,
        )
        for part in (mask, ~mask)
    )


def calibrated(half: Half, *, seed: int) -> Sequence[GalleryCalibration]:
    """As `oneglance-train evaluate` does it; FNIR, which nothing here looks at, by few replicates.

    Raises TooFewError.
    """
    found = open_set(
        half.embeddings_ND, half.labels_N, d_max=half.d_max, data="half", seed=seed, replicates=2
    ).calibration
    if found is None:
        raise TooFewError("Half of the pack is too little to calibrate on.")
    return found.galleries


def value(galleries: Sequence[GalleryCalibration], target: float, subjects: float) -> float:
    """The threshold. Raises TooFewError where it is refused."""
    found = fpir_threshold(galleries, target_fpir=target, subjects=subjects)
    if not isinstance(found, FpirThreshold):
        raise TooFewError(found.reason)
    return found.value


def rows_of(pack: EmbeddedPack, splits: int) -> list[Row]:
    """All ways on one pack, split after split."""
    seen: dict[tuple[str, float, int], list[float]] = {}
    for seed in range(splits):
        print(f"split {seed + 1} of {splits} ...", file=sys.stderr)
        for way, target, subjects, observed in split_rows(*halves(pack, seed), seed):
            seen.setdefault((way, target, subjects), []).append(observed)
    return [
        Row(way=way, target=target, subjects=n, observed=tuple(found), judged=way == JUDGED)
        for (way, target, n), found in seen.items()
    ]


JUDGED = "by size"
SHIPPED = "the shipped bundle's"


def split_rows(known: Half, unseen: Half, seed: int) -> Iterator[tuple[str, float, int, float]]:
    """(way, target, subjects, observed FPIR) of one split."""
    galleries = calibrated(known, seed=seed)
    small = [g for g in galleries if g.subjects <= SMALL]
    for subjects in SIZES:
        one = unseen.searches(subjects, seed=seed)
        for target in TARGETS:
            thresholds = {
                JUDGED: value(galleries, target, subjects),
                f"fixed, of {SIZES[0]} subjects": value(galleries, target, SIZES[0]),
                f"estimate from up to {SMALL} subjects": value(small, target, subjects),
            }
            for way, threshold in thresholds.items():
                yield way, target, subjects, fpir_at(one, threshold)
    subjects = SIZES[0]
    several = unseen.searches(subjects, enrolled=SEVERAL, seed=seed)
    for target in TARGETS:
        by_templates = value(galleries, target, subjects * SEVERAL)
        by_subjects = value(galleries, target, subjects)
        yield f"{SEVERAL} templates each, counted", target, subjects, fpir_at(several, by_templates)
        yield f"{SEVERAL} templates each, not", target, subjects, fpir_at(several, by_subjects)


def shipped_galleries() -> Sequence[GalleryCalibration]:
    """Of the shipped bundle's calibration. Raises DataMissingError, BundleError."""
    calibration = bundle_at(FACES).manifest.calibration
    if calibration is None:
        raise DataMissingError("The shipped bundle has no calibration: run `make bundle-faces`.")
    return calibration.galleries


def everybody(pack: EmbeddedPack) -> Half:
    """All identities, where nothing is calibrated on them."""
    return Half(embeddings_ND=pack.embeddings_ND, labels_N=pack.labels_N, d_max=pack.d_max)


def shifted(pack: EmbeddedPack) -> list[Row]:
    """The shipped calibration on people and photos unlike those that it was made of."""
    galleries, whole = shipped_galleries(), everybody(pack)
    found = {n: whole.searches(n, seed=0) for n in SIZES}
    return [
        Row(
            way=SHIPPED,
            target=target,
            subjects=n,
            observed=(fpir_at(found[n], value(galleries, target, n)),),
            judged=True,
        )
        for target in TARGETS
        for n in SIZES
    ]


def _ratios(rows: Iterable[Row]) -> str:
    """The least and the most that they observed of each target."""
    found = [row.mean / row.target for row in rows]
    return f"{min(found):.2f} to {max(found):.2f}"


def main(arguments: list[str] | None = None) -> int:
    """0 if the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lfw", type=Path, default=LFW_PACK, help="default: %(default)s")
    parser.add_argument("--faces", type=Path, default=Path("data/faces-train"))
    parser.add_argument("--splits", type=int, default=SPLITS, help="default: %(default)s")
    args = parser.parse_args(arguments)
    try:
        packs = {"LFW": embedded(args.lfw)}
        if args.splits:
            packs["faces-train"] = embedded(args.faces)
        tables = {name: rows_of(pack, args.splits) for name, pack in packs.items()}
        tables["LFW"] += shifted(packs["LFW"])
    except (DataMissingError, PackError, TooFewError, OneGlanceError) as error:
        print(f"fpir: {error}", file=sys.stderr)
        return 1
    for name, rows in tables.items():
        print(f"{name}: observed FPIR over {args.splits} splits of its identities")
        print(f"{'threshold':34} target subjects  mean    first      min      max")
        print(*sorted(rows, key=lambda row: (row.way != JUDGED, row.way, row.target)), sep="\n")
    every = [row for rows in tables.values() for row in rows]
    judged = [row for row in every if row.judged]
    shipped = "the shipped calibration on LFW " + _ratios(r for r in judged if r.way == SHIPPED)
    ways = [shipped]
    if args.splits:
        ways.insert(0, "on halves " + _ratios(r for r in judged if r.way == JUDGED))
        ways.append("with a fixed threshold " + _ratios(r for r in every if "fixed" in r.way))
    print(
        f"observed FPIR / target, N = 100 to 1,000, 1 % and 10 % (bar: 0.5 to 2): {'; '.join(ways)}"
    )
    return 0 if all(row.holds for row in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
