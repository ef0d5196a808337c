"""LFW's pairs through a whole pipeline: from the files to a decision."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.lfw_people import LfwPeople
from benchmarks.request.contender import Contender
from training.evaluation.lfw import Pair, read_pairs
from training.evaluation.verification import FoldedAccuracy, folded_accuracy

PIECE = 50


def some_pairs(lfw: LfwPeople, folder: Path, pairs: int) -> list[Pair]:
    """So many of LFW's 6,000, as many of each fold, half of them mated. Raises PackError."""
    path = folder / "pairs.txt"
    path.write_bytes(lfw.read("lfw/pairs.txt"))
    every = read_pairs(path)
    each = max(1, pairs // 20)
    chosen: list[Pair] = []
    for fold in sorted({pair.fold for pair in every}):
        for mated in (True, False):
            chosen += [p for p in every if p.fold == fold and p.mated is mated][:each]
    return chosen


def photos_of(lfw: LfwPeople, folder: Path, pairs: Sequence[Pair]) -> dict[tuple[str, int], Path]:
    """The photos of the pairs as files."""
    found = {}
    for name, number in {photo for pair in pairs for photo in (pair.first, pair.second)}:
        path = folder / f"{name}_{number:04d}.jpg"
        path.write_bytes(lfw.read(f"lfw/{name}/{path.name}"))
        found[name, number] = path
    return found


def accuracy(
    contender: Contender, pairs: Sequence[Pair], photos: dict[tuple[str, int], Path]
) -> FoldedAccuracy:
    """Ten folds, by Euclidean distance; the pair of a photo without a face is an error.

    Raises ContenderError.
    """
    keys = list(photos)
    rows: list[list[float] | None] = []
    for first in range(0, len(keys), PIECE):
        rows += contender.embed([photos[key] for key in keys[first : first + PIECE]])
    of = dict(zip(keys, rows, strict=True))
    scores = [_score(of[pair.first], of[pair.second]) for pair in pairs]
    return folded_accuracy(
        np.array(scores),
        np.array([pair.mated for pair in pairs]),
        np.array([pair.fold for pair in pairs]),
    )


def _score(one: list[float] | None, other: list[float] | None) -> float:
    if one is None or other is None:
        return float("nan")
    return -float(np.linalg.norm(np.array(one) - np.array(other)))
