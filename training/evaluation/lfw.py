"""Labeled Faces in the Wild, View 2: 6,000 pairs in ten folds (Huang et al., 2007).

A photo of the protocol without a usable face is a failure to acquire. Its pairs stay in every
denominator: for the ten-fold accuracy they are errors, mated or not, since they are not decided;
for TAR at FAR and EER they are accepted at no threshold, so that a mated one is always missed.

Shapes: P pairs, N images, D embedding size.
"""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from training.data.pack import PAIRS_NAME, Pack, PackError
from training.evaluation.distances import pair_similarities
from training.evaluation.roc import (
    FAR,
    EqualError,
    RocCurve,
    TarAtFar,
    equal_error,
    roc_curve,
    tar_at_far,
)
from training.evaluation.verification import FoldedAccuracy, folded_accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two photos, (name of the person, number of the photo) each."""

    first: tuple[str, int]
    second: tuple[str, int]
    fold: int

    @property
    def mated(self) -> bool:
        """Both photos show one person."""
        return self.first[0] == self.second[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class LfwResult:
    """accuracy: all pairs. disjoint: pairs of people whose names are not in the training data.

    tar_at_far: at FAR 1e-3; None where there are too few non-mated pairs to show it.
    failures_to_acquire: photos of the protocol without a usable face; their pairs are errors.
    detector: what looked for faces; None where the pack was made of crops.
    shared_people: names of the protocol that are in the training data, too. It and `disjoint` are
    None where nobody here knows who is in the training data.
    """

    accuracy: FoldedAccuracy
    disjoint: FoldedAccuracy | None
    equal_error: EqualError
    tar_at_far: TarAtFar | None
    failures_to_acquire: int
    detector: str | None
    shared_people: int | None
    curve: RocCurve = field(compare=False)


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of LFW's pairs.txt. Raises PackError if it is not one."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        folds, each = (int(number) for number in lines[0].split())
        pairs = [_pair(line, number // (2 * each)) for number, line in enumerate(lines[1:])]
    except (OSError, ValueError, IndexError, ZeroDivisionError) as error:
        raise PackError(f"{path} is not LFW's pairs.txt.") from error
    if not pairs or len(pairs) != 2 * folds * each:
        raise PackError(f"{path} has {len(pairs)} pairs instead of {2 * folds * each}.")
    return pairs


def _pair(line: str, fold: int) -> Pair:
    fields = line.split("\t")
    if len(fields) == 3:
        name, first, second = fields
        return Pair(first=(name, int(first)), second=(name, int(second)), fold=fold)
    name, first, other, second = fields
    return Pair(first=(name, int(first)), second=(other, int(second)), fold=fold)


def evaluate_lfw(
    pack: Pack,
    embeddings_ND: npt.NDArray[np.float32],
    *,
    d_max: float,
    trained_identities: set[str] | None,
) -> LfwResult:
    """Ten-fold accuracy, TAR at FAR 1e-3 and EER of embeddings of all images of an LFW pack.

    trained_identities: names of the people in the training data, as `person_key` writes them; None
    where they are not known.
    """
    pairs = read_pairs(pack.root / PAIRS_NAME)
    row = {_photo(path): i for i, path in enumerate(pack.index.paths)}
    scores = _similarities(pairs, row, embeddings_ND, d_max)
    mated = np.array([pair.mated for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    people = {name for pair in pairs for name, _ in (pair.first, pair.second)}
    shared = {name for name in people if person_key(name) in (trained_identities or ())}
    apart = np.array([not shared & {pair.first[0], pair.second[0]} for pair in pairs])
    known = trained_identities is not None
    photos = {photo for pair in pairs for photo in (pair.first, pair.second)}
    curve = roc_curve(scores, mated)
    return LfwResult(
        accuracy=folded_accuracy(scores, mated, folds),
        disjoint=folded_accuracy(scores[apart], mated[apart], folds[apart]) if known else None,
        equal_error=equal_error(curve),
        tar_at_far=tar_at_far(curve, FAR),
        failures_to_acquire=len(photos - row.keys()),
        detector=pack.index.detector,
        shared_people=len(shared) if known else None,
        curve=curve,
    )


def person_key(identity: str) -> str:
    """A person's name from a folder, in one spelling: letters only, lower case."""
    return "".join(c for c in PurePosixPath(identity).name.lower() if c.isalpha())


def _photo(path: str) -> tuple[str, int]:
    name, _, number = PurePosixPath(path).stem.rpartition("_")
    return name, int(number)


def _similarities(
    pairs: list[Pair],
    row: dict[tuple[str, int], int],
    embeddings_ND: npt.NDArray[np.float32],
    d_max: float,
) -> npt.NDArray[np.float64]:
    """float64 (P,); NaN where a photo of the pair has no embedding."""
    first = np.array([row.get(pair.first, -1) for pair in pairs])
    second = np.array([row.get(pair.second, -1) for pair in pairs])
    acquired = (first >= 0) & (second >= 0)
    scores = np.full(len(pairs), np.nan)
    scores[acquired] = pair_similarities(
        embeddings_ND, first[acquired], second[acquired], d_max=d_max
    )
    return scores
