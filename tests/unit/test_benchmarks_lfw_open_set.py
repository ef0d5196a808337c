"""Open-set search on LFW: photos without a face miss, both networks see one draw."""

from typing import Any

import numpy as np
import pytest

from benchmarks.contenders import Contender
from benchmarks.lfw_open_set import (
    labels_with_faceless,
    search,
    times,
    with_faceless,
    within_bar,
)
from contract.similarity import pairwise_similarity
from training.data.pack import PackIndex
from training.evaluation.open_set import TooFewError

NOBODY: Any = Contender(name="x", d_max=2.0, embed=lambda crops: crops, manifest=None)


def index(unused: tuple[str, ...]) -> PackIndex:
    return PackIndex(
        source="lfw",
        alignment="none",
        identities=("lfw/A", "lfw/B"),
        paths=("lfw/A/A_1.jpg", "lfw/B/B_1.jpg", "lfw/B/B_2.jpg"),
        labels=(0, 1, 1),
        splits=("train",) * 3,
        unused=tuple((path, "no face was found") for path in unused),
    )


def test_photos_without_a_face_keep_their_people() -> None:
    assert labels_with_faceless(index(())).tolist() == [0, 1, 1]
    found = labels_with_faceless(index(("lfw/A/A_2.jpg", "lfw/C/C_1.jpg", "lfw/C/C_2.jpg")))
    assert found.tolist() == [0, 1, 1, 0, 2, 2]


def units(count: int, size: int = 8) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(count, size)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_photo_without_a_face_is_like_nothing_and_changes_nothing_else() -> None:
    rows = units(5)
    found = with_faceless(rows, 2, 2.0)
    similarity = pairwise_similarity(found, found, 2.0)
    np.testing.assert_allclose(similarity[:5, :5], pairwise_similarity(rows, rows, 2.0), atol=1e-6)
    assert similarity[:5, 5:].max() == 0
    assert similarity[5, 6] == 0


def people(mated: int = 12, strangers: int = 320) -> tuple[np.ndarray, np.ndarray]:
    """Everybody in a direction of their own: three photos each of `mated`, one of strangers."""
    labels = np.concatenate([np.repeat(np.arange(mated), 3), mated + np.arange(strangers)])
    return np.eye(mated + strangers, dtype=np.float32)[labels], labels


def test_clear_people_are_found_and_those_without_a_face_missed() -> None:
    embeddings, labels = people()
    whole = search(NOBODY, embeddings, labels, mated=12, draws=4)
    assert whole.fnir == 0
    assert whole.searches.nonmated_subjects == 320
    assert whole.point.fpir <= 0.01
    # The last photo of person 11 shows no face: in draws that search for it one search of 24
    # misses, in those that enrol it both of hers do.
    keep = np.arange(len(labels)) != 35
    labels = np.append(labels[keep], 11)
    less = search(NOBODY, embeddings[keep], labels, mated=12, draws=4)
    missed = less.searches.rank_S.reshape(4, 24), less.searches.similarity_S.reshape(4, 24)
    a_draw = ((missed[0] != 1) | (missed[1] < less.point.threshold)).sum(axis=1)
    assert set(a_draw.tolist()) <= {1, 2}
    assert less.fnir == a_draw.sum() / 96


def test_two_networks_see_the_same_draws() -> None:
    embeddings, labels = people()
    noisy = embeddings + 0.4 * units(len(labels), embeddings.shape[1])
    first, second = (search(NOBODY, e, labels, mated=12, draws=3) for e in (embeddings, noisy))
    for name in ("mated_subject_S", "nonmated_subject_T"):
        np.testing.assert_array_equal(getattr(first.searches, name), getattr(second.searches, name))


def test_too_few_people_are_told() -> None:
    embeddings, labels = people()
    with pytest.raises(TooFewError, match="12 people have two photos, not 13"):
        search(NOBODY, embeddings, labels, mated=13, draws=1)
    embeddings, labels = people(strangers=299)
    with pytest.raises(TooFewError, match="FPIR 1%: 299 strangers"):
        search(NOBODY, embeddings, labels, mated=12, draws=1)


class Misses:
    def __init__(self, fnir: float) -> None:
        self.fnir = fnir


@pytest.mark.parametrize(
    ("ours", "theirs", "holds", "words"),
    [
        (0.0599, 0.05, True, "1.20 times SFace's"),
        (0.0601, 0.05, False, "1.20 times SFace's"),
        (0.0, 0.0, True, "0.00%, SFace never"),
        (0.01, 0.0, False, "1.00%, SFace never"),
    ],
)
def test_the_bar_is_a_ratio(ours: float, theirs: float, holds: bool, words: str) -> None:
    pair: tuple[Any, Any] = (Misses(ours), Misses(theirs))
    assert within_bar(*pair) is holds
    assert times(*pair) == words
