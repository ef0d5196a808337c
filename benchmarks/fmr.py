"""Bar: of pairs of strangers, as many verified as stated, though no gallery of one was measured.

    python -m benchmarks.fmr

The identities of a pack are split in two halves. One is calibrated on, as `oneglance-train
evaluate` does it, in galleries of 10 subjects and more; in the other, one photo of everybody is
compared with one template of everybody else, at the threshold that the service takes from that
calibration for FMR 1 % and 0.3 %: that for FPIR in a gallery of one. Then with subjects of three
templates, the best of which counts. Nothing is tuned on the second half. The bar: the share of
pairs that reach the threshold is within a factor of two of the target, with one template and with
three, in LFW and in faces-train, for the first split and for the mean of all splits.

Beside it, not judged: the shipped bundle's calibration, made of faces-train, on all of LFW. The
figure is the last line; the exit status is not 0 outside the bar.

Shapes: P probes, U subjects, D embedding size.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.contenders import LFW_PACK
from benchmarks.embedded import EmbeddedPack, embedded
from benchmarks.fpir import (
    SPLITS,
    Half,
    Row,
    calibrated,
    everybody,
    halves,
    shipped_galleries,
    value,
)
from benchmarks.lfw_people import DataMissingError
from contract.errors import OneGlanceError
from contract.similarity import similarity_from_distance
from training.data.pack import PackError
from training.evaluation.open_set import TooFewError

TARGETS = (0.01, 0.003)
SHIPPED_TARGETS = (0.01, 0.003, 0.001)
TEMPLATES = (1, 3)
JUDGED = "by the calibration"
SHIPPED = "the bundle's, made of faces-train"

Floats = npt.NDArray[np.float64]


def strangers_similarities(half: Half, templates: int, *, seed: int) -> Floats:
    """Of one photo of everybody to each other identity that has so many more to be its templates.

    The best template counts. One number for each pair of two people, the subject and the probe.
    """
    rng = np.random.default_rng(seed)
    rows = half.embeddings_ND.astype(np.float64)
    probes, held, owners = [], [], []
    for identity in np.unique(half.labels_N):
        photos = rng.permutation(np.flatnonzero(half.labels_N == identity))
        probes.append(photos[0])
        # The probe may be a template, too: it is compared with those of others only.
        if len(photos) >= templates:
            held.append(photos[:templates])
            owners.append(identity)
    if not held:
        raise TooFewError(f"Nobody has {templates} photos.")
    best_PU = np.full((len(probes), len(held)), -np.inf)
    for turn in np.array(held).T:
        best_PU = np.maximum(best_PU, _similarities(rows[probes], rows[turn], half.d_max))
    others_PU = half.labels_N[probes][:, None] != np.array(owners)
    found: Floats = best_PU[others_PU]
    return found


def _similarities(a_PD: Floats, b_UD: Floats, d_max: float) -> Floats:
    """All of them at once, by the cosine law: millions of pairs, and no last digit matters."""
    squares = (a_PD**2).sum(axis=1)[:, None] + (b_UD**2).sum(axis=1) - 2 * a_PD @ b_UD.T
    return np.asarray(similarity_from_distance(np.sqrt(np.maximum(squares, 0)), d_max))


def rows_of(pack: EmbeddedPack, splits: int) -> list[Row]:
    """Observed FMR on one pack, split after split; Row.subjects are templates here."""
    seen: dict[tuple[float, int], list[float]] = {}
    for seed in range(splits):
        print(f"split {seed + 1} of {splits} ...", file=sys.stderr)
        for target, templates, observed in split_rows(*halves(pack, seed), seed):
            seen.setdefault((target, templates), []).append(observed)
    return [
        Row(way=JUDGED, target=target, subjects=m, observed=tuple(found), judged=True)
        for (target, m), found in seen.items()
    ]


def split_rows(known: Half, unseen: Half, seed: int) -> Iterator[tuple[float, int, float]]:
    """(target, templates, observed FMR) of one split."""
    galleries = calibrated(known, seed=seed)
    for templates in TEMPLATES:
        similarities = strangers_similarities(unseen, templates, seed=seed)
        for target in TARGETS:
            # One template of each was calibrated on, so each of a subject is a chance.
            reached = similarities >= value(galleries, target, templates)
            yield target, templates, float(reached.mean())


def shifted(pack: EmbeddedPack) -> list[Row]:
    """The shipped calibration on people and photos unlike those that it was made of."""
    galleries, whole = shipped_galleries(), everybody(pack)
    found = {m: strangers_similarities(whole, m, seed=0) for m in TEMPLATES}
    return [
        Row(
            way=SHIPPED,
            target=target,
            subjects=m,
            observed=(float((found[m] >= value(galleries, target, m)).mean()),),
        )
        for m in TEMPLATES
        for target in SHIPPED_TARGETS
    ]


def shown(row: Row) -> str:
    """A line of the table."""
    return (
        f"{row.way:34} {row.target:6.1%} {row.subjects:9} {row.mean:9.3%} {row.observed[0]:9.3%} "
        f"{min(row.observed):9.3%} {max(row.observed):9.3%}"
    )


def main(arguments: list[str] | None = None) -> int:
    """0 if the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lfw", type=Path, default=LFW_PACK, help="default: %(default)s")
    parser.add_argument("--faces", type=Path, default=Path("data/faces-train"))
    parser.add_argument("--splits", type=int, default=SPLITS, help="default: %(default)s")
    args = parser.parse_args(arguments)
    try:
        packs = {"LFW": embedded(args.lfw), "faces-train": embedded(args.faces)}
        tables = {name: rows_of(pack, args.splits) for name, pack in packs.items()}
        tables["LFW"] += shifted(packs["LFW"])
    except (DataMissingError, PackError, TooFewError, OneGlanceError) as error:
        print(f"fmr: {error}", file=sys.stderr)
        return 1
    for name, rows in tables.items():
        print(f"{name}: observed FMR over {args.splits} splits of its identities")
        print(f"{'threshold':34} target templates     mean     first       min       max")
        print(*map(shown, rows), sep="\n")
    judged = [row for rows in tables.values() for row in rows if row.judged]
    ratios = [row.mean / row.target for row in judged]
    print(
        f"observed FMR / target, 1 and 3 templates, 1 % and 0.3 %: {min(ratios):.2f} to "
        f"{max(ratios):.2f} (bar: 0.5 to 2)"
    )
    return 0 if all(row.holds for row in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
