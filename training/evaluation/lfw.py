"""Labeled Faces in the Wild, View 2: 6,000 pairs in ten folds (Huang et al., 2007).

Shapes: P pairs, N images, D embedding size.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from contract.similarity import similarity_from_distance
from training.data.pack import PAIRS_NAME, Pack, PackError
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

    failures_to_acquire: photos of the protocol without a usable face; their pairs are errors.
    shared_people: names of the protocol that are in the training data, too.
    """

    accuracy: FoldedAccuracy
    disjoint: FoldedAccuracy
    failures_to_acquire: int
    shared_people: int


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
    trained_identities: set[str],
) -> LfwResult:
    """Ten-fold accuracy of embeddings of all images of an LFW pack.

    trained_identities: names of the people in the training data, as `person_key` writes them.
    """
    pairs = read_pairs(pack.root / PAIRS_NAME)
    row = {_photo(path): i for i, path in enumerate(pack.index.paths)}
    scores = np.array([_similarity(pair, row, embeddings_ND, d_max) for pair in pairs])
    mated = np.array([pair.mated for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    people = {name for pair in pairs for name, _ in (pair.first, pair.second)}
    shared = {name for name in people if person_key(name) in trained_identities}
    apart = np.array([not shared & {pair.first[0], pair.second[0]} for pair in pairs])
    photos = {photo for pair in pairs for photo in (pair.first, pair.second)}
    return LfwResult(
        accuracy=folded_accuracy(scores, mated, folds),
        disjoint=folded_accuracy(scores[apart], mated[apart], folds[apart]),
        failures_to_acquire=len(photos - row.keys()),
        shared_people=len(shared),
    )


def person_key(identity: str) -> str:
    """A person's name from a folder, in one spelling: letters only, lower case."""
    return "".join(c for c in PurePosixPath(identity).name.lower() if c.isalpha())


def _photo(path: str) -> tuple[str, int]:
    name, _, number = PurePosixPath(path).stem.rpartition("_")
    return name, int(number)


def _similarity(
    pair: Pair, row: dict[tuple[str, int], int], embeddings: npt.NDArray[np.float32], d_max: float
) -> float:
    """NaN where a photo of the pair has no embedding."""
    if pair.first not in row or pair.second not in row:
        return float("nan")
    moved = embeddings[row[pair.first]].astype(np.float64) - embeddings[row[pair.second]]
    return float(similarity_from_distance(np.asarray(np.linalg.norm(moved)), d_max))
