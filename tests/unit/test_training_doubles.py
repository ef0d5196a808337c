"""Who is there under two labels: people planted twice are found, and few others are."""

import numpy as np
import numpy.typing as npt
import pytest

from training.evaluation.doubles import find_doubles
from training.evaluation.open_set import TooFewError

Floats = npt.NDArray[np.float64]
PEOPLE, EACH, SIZE = 120, 3, 64


def photos(
    people: int = PEOPLE, spread: float = 0.5, seed: int = 0
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Unit vectors about a middle for each person, and whose they are."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(people, SIZE)) / np.sqrt(SIZE)
    rows = np.repeat(middles, EACH, axis=0)
    rows += rng.normal(size=rows.shape) * spread / np.sqrt(SIZE)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), np.repeat(np.arange(people), EACH)


def test_nobody_is_there_twice_where_nobody_was_planted() -> None:
    rows, labels = photos()
    doubles = find_doubles(rows, labels, d_max=2.0)
    assert len(doubles.left_out) == len(doubles.pairs) == 0


def test_people_under_two_labels_are_found_and_the_one_of_fewer_images_goes() -> None:
    rows, labels = photos()
    split = labels.copy()
    # Of persons 0 to 4 the last image bears a label of its own, below and above theirs.
    for person in range(5):
        split[person * EACH + 2] = PEOPLE + person if person % 2 else -1 - person
        rows[person * EACH + 2] = rows[person * EACH]
    doubles = find_doubles(rows, split, d_max=2.0)
    assert doubles.left_out.tolist() == [-5, -3, -1, PEOPLE + 1, PEOPLE + 3]
    assert {tuple(sorted(pair)) for pair in doubles.pairs.tolist()} == {
        (-1, 0), (1, PEOPLE + 1), (-3, 2), (3, PEOPLE + 3), (-5, 4),
    }  # fmt: skip


def test_the_limit_is_the_middle_of_what_images_of_one_person_are() -> None:
    rows, labels = photos()
    within = [
        np.median([1 - np.linalg.norm(p[i] - p[j]) / 2 for i in range(EACH) for j in range(i)])
        for p in rows.reshape(PEOPLE, EACH, SIZE)
    ]
    assert find_doubles(rows, labels, d_max=2.0).similarity == pytest.approx(np.median(within))


def test_of_three_labels_of_one_person_one_stays() -> None:
    rows, labels = photos()
    rows[: 3 * EACH] = rows[0]
    doubles = find_doubles(rows, labels, d_max=2.0)
    assert len(doubles.pairs) == 3
    assert len(set(doubles.left_out.tolist()) & {0, 1, 2}) == 2


def test_labels_of_any_order_give_the_same() -> None:
    rows, labels = photos()
    labels[2], labels[5] = PEOPLE, PEOPLE + 1
    rows[[2, 5]] = rows[[0, 3]]
    order = np.random.default_rng(1).permutation(len(rows))
    one = find_doubles(rows, labels, d_max=2.0)
    other = find_doubles(rows[order], labels[order], d_max=2.0)
    assert one.left_out.tolist() == other.left_out.tolist() == [PEOPLE, PEOPLE + 1]


def test_a_network_that_cannot_tell_people_apart_says_nothing() -> None:
    rows, labels = photos(spread=20.0)
    with pytest.raises(TooFewError, match="cannot tell them apart"):
        find_doubles(rows, labels, d_max=2.0)


def test_too_few_identities_of_two_images_say_nothing() -> None:
    rows, labels = photos(people=29)
    with pytest.raises(TooFewError, match="29 identities have two images, 30 are needed"):
        find_doubles(rows, labels, d_max=2.0)
