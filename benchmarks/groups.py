"""How errors differ with what the pixels say: lightness of the skin, and brightness of the photo.

    python -m benchmarks.groups

LFW says nothing of who is in it, so this is a PROXY: light, camera, make-up and the side of the
face change what is measured, a dark photo of somebody light counts as dark, and thirds of LFW, most
of whose people are light, are no groups of people. It is no substitute for labelled data and
shows no fairness; it can only show trouble.

Skin: the individual typology angle ITA = atan((L* - 50) / b*) in degrees, of the median L* and b*
(CIE L*a*b*, D65) of the cheeks in the aligned crop; greater is lighter. Photos without colour on
the cheeks (b* below 2) have none and are left out of it. Brightness: mean L* of the whole crop.
Photos are cut into thirds by each. At one fixed similarity for everybody, the one that a stated
share of ALL non-mated pairs reaches, the errors of pairs with both photos in the third, and with
at least one: FNMR of mated, FMR of non-mated pairs, with 95 % intervals by Wilson's formula, which
takes pairs for independent: they share people, so the truth is wider. At most five photos of a
person count. There is no bar: the exit status is 0 unless something is missing.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from skimage.color import rgb2lab

from benchmarks.contenders import FACES, Pixels, add_lfw, bundle_contender, pack_at
from benchmarks.lfw_people import DataMissingError
from contract.calibration.searches import threshold_at
from contract.errors import OneGlanceError
from training.data.pack import PackError
from training.evaluation.distances import pair_similarities
from training.evaluation.pairs import draw_pairs

# (top, bottom, left, right) in pixels of the crop: under the eyes, beside the nose of the template
# of contract/alignment.py, above the corners of the mouth.
CHEEKS = ((64, 82, 26, 44), (64, 82, 68, 86))
COLOUR_LEAST = 2.0  # b* below which there is no skin colour: grey photos
PHOTOS_EACH = 5
FMRS = (1e-2, 1e-3)
Z95 = 1.959964
THIRDS = ("darkest third", "middle third", "lightest third")

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rate:
    """Errors among pairs, with Wilson's 95 % interval; nothing of no pairs."""

    errors: int
    pairs: int

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high, in [0, 1]. Raises ZeroDivisionError without pairs."""
        share, n, z2 = self.errors / self.pairs, self.pairs, Z95**2
        middle = share + z2 / (2 * n)
        half = Z95 * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
        low, high = (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n)
        return max(0.0, float(low)), min(1.0, float(high))

    def __str__(self) -> str:
        if not self.pairs:
            return "no pairs"
        low, high = self.interval
        return f"{self.errors / self.pairs:.2%} ({low:.2%} to {high:.2%}) of {self.pairs:,}"


def typology_angles(images_NHW3: Pixels) -> Floats:
    """ITA in degrees of uint8 (N, 112, 112, 3) RGB crops, float64 (N,); NaN without colour."""
    angles = np.full(len(images_NHW3), np.nan)
    for i, image in enumerate(images_NHW3):
        skin = np.concatenate([image[t:b, le:r].reshape(-1, 3) for t, b, le, r in CHEEKS])
        lightness, _, yellow = np.median(rgb2lab(skin), axis=0)
        if yellow >= COLOUR_LEAST:
            angles[i] = np.degrees(np.arctan((lightness - 50) / yellow))
    return angles


def brightness(images_NHW3: Pixels) -> Floats:
    """Mean L* of each crop, 0 to 100, float64 (N,)."""
    return np.array([rgb2lab(image)[..., 0].mean() for image in images_NHW3])


def thirds(values_N: Floats) -> Indices:
    """0, 1 or 2 for the lowest, middle and highest third, -1 for NaN."""
    cuts = np.nanquantile(values_N, [1 / 3, 2 / 3])
    return np.where(np.isnan(values_N), -1, np.searchsorted(cuts, values_N, side="right"))


def few_each(labels_N: Indices, most: int, *, seed: int = 0) -> Indices:
    """Rows of at most `most` random photos of each person, ascending."""
    order = np.lexsort((np.random.default_rng(seed).random(len(labels_N)), labels_N))
    _, starts, counts = np.unique(labels_N[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(starts, counts)
    return np.sort(order[place < most])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """first_P, second_P: rows of the photos. scores_P: similarities. mated_P: of one person."""

    first_P: Indices
    second_P: Indices
    scores_P: Floats
    mated_P: Bools

    def threshold(self, fmr: float) -> float:
        """The smallest similarity that at most a share `fmr` of the non-mated pairs reach.

        Raises ValueError where too many of them reach 1, the highest.
        """
        threshold = threshold_at(self.scores_P[~self.mated_P], fmr)
        if threshold is None:
            raise ValueError(f"More than {fmr:.1%} of the non-mated pairs reach similarity 1.")
        return threshold

    def rates(self, chosen_P: Bools, threshold: float) -> tuple[Rate, Rate]:
        """FNMR and FMR of the chosen pairs; a pair is accepted at or above the threshold."""
        accepted = self.scores_P >= threshold
        mated, others = chosen_P & self.mated_P, chosen_P & ~self.mated_P
        return (
            Rate(int((mated & ~accepted).sum()), int(mated.sum())),
            Rate(int((others & accepted).sum()), int(others.sum())),
        )


def lines(pairs: Pairs, third_N: Indices, threshold: float) -> Iterator[str]:
    """A line for each third."""
    first, second = third_N[pairs.first_P], third_N[pairs.second_P]
    for number, name in enumerate(THIRDS):
        for words, chosen in (
            ("both photos", (first == number) & (second == number)),
            ("at least one", (first == number) | (second == number)),
        ):
            fnmr, fmr = pairs.rates(chosen, threshold)
            yield f"  {name}, {words}: FNMR {fnmr}; FMR {fmr}"


def summary(pairs: Pairs, third_N: Indices, threshold: float) -> str:
    """FNMR and FMR of pairs within each third, in words."""
    first, second = third_N[pairs.first_P], third_N[pairs.second_P]
    parts = []
    for number, name in enumerate(THIRDS):
        fnmr, fmr = pairs.rates((first == number) & (second == number), threshold)
        parts.append(f"{name} {_share(fnmr)} and {_share(fmr)}")
    return ", ".join(parts)


def _share(rate: Rate) -> str:
    return f"{rate.errors / rate.pairs:.2%}" if rate.pairs else "none"


def main(arguments: list[str] | None = None) -> int:
    """0 unless data or bundle are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=FACES, help="default: %(default)s")
    add_lfw(parser)
    args = parser.parse_args(arguments)
    try:
        pack, network = pack_at(args.pack), bundle_contender(args.bundle)
    except (DataMissingError, PackError, OneGlanceError) as error:
        print(f"groups: {error}", file=sys.stderr)
        return 1
    rows = few_each(pack.labels, PHOTOS_EACH)
    images, labels = np.array(pack.images[rows]), pack.labels[rows]
    embeddings = network.embed_all(images)
    first, second = draw_pairs(labels, seed=0)
    pairs = Pairs(
        first_P=first,
        second_P=second,
        scores_P=pair_similarities(embeddings, first, second, d_max=network.d_max),
        mated_P=labels[first] == labels[second],
    )
    angles, light = typology_angles(images), brightness(images)
    print("A proxy read from pixels, no labels: light changes it; it cannot show fairness.")
    print(
        f"{network.name} on LFW: {len(images)} photos of {len(np.unique(labels))} people, "
        f"{int(pairs.mated_P.sum()):,} mated and {int((~pairs.mated_P).sum()):,} non-mated pairs; "
        f"{int(np.isnan(angles).sum())} photos without colour on the cheeks"
    )
    measured = {"skin lightness (ITA, degrees)": angles, "brightness (L*)": light}
    for name, values in measured.items():
        low, high = np.nanquantile(values, [1 / 3, 2 / 3])
        print(f"{name}: thirds end at {low:.1f} and {high:.1f}")
        for fmr in FMRS:
            threshold = pairs.threshold(fmr)
            print(f" similarity >= {threshold:.4f}, which {fmr:.1%} of all non-mated pairs reach:")
            print(*lines(pairs, thirds(values), threshold), sep="\n")
    fmr = FMRS[-1]
    print(
        f"FNMR and FMR by skin lightness as pixels show it (a proxy, no labels), at the "
        f"similarity of FMR {fmr:.1%} over all: "
        f"{summary(pairs, thirds(angles), pairs.threshold(fmr))}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
