"""Chance: the tail is fitted as it was drawn, and findings stand as by the slow rule."""

import numpy as np
import pytest

from index.health.chance import Chance, discoveries


def test_an_exponential_tail_is_found_again() -> None:
    drawn = 0.3 + np.random.default_rng(0).exponential(1 / 50, 400_000)
    chance = Chance.fitted(drawn, subjects=900)
    assert chance.near == pytest.approx(0.01)
    for share in (1e-2, 1e-4, 1e-6):
        x = 0.3 - np.log(share) / 50
        assert np.log(chance.of(np.array([x]))[0]) == pytest.approx(np.log(share), rel=0.05)
        assert chance.level(share) == pytest.approx(x, abs=0.01)
        assert chance.of(np.array([chance.level(share)]))[0] == pytest.approx(share)


def test_a_normal_tail_is_bounded_from_above() -> None:
    drawn = np.random.default_rng(1).normal(0.3, 0.05, 400_000)
    chance = Chance.fitted(drawn, subjects=900)
    for deviations in (4.0, 5.0):
        exact = {4.0: 3.167e-5, 5.0: 2.867e-7}[deviations]
        assert chance.of(np.array([0.3 + 0.05 * deviations]))[0] > exact


def test_below_the_tail_chance_is_its_beginning() -> None:
    chance = Chance(start=0.5, near=0.01, rate=20.0)
    assert chance.of(np.array([0.0, 0.5])).tolist() == [0.01, 0.01]


@pytest.mark.parametrize("subjects", [20, 100, 500])
def test_a_tenth_of_the_subjects_enrolled_twice_hardly_move_the_fit(subjects: int) -> None:
    pairs = subjects * (subjects - 1) // 2
    clean = 0.3 + np.random.default_rng(2).exponential(1 / 50, pairs)
    faulty = clean.copy()
    faulty[: subjects // 10] = 0.9
    least = 0.3 + np.log(pairs) / 50
    for drawn in (clean, faulty):
        assert Chance.fitted(drawn, subjects=subjects).level(1 / pairs) == pytest.approx(
            least, abs=0.05
        )


def test_similarities_that_are_all_the_same_leave_no_chance_beyond() -> None:
    chance = Chance.fitted(np.full(1_000, 0.25), subjects=46)
    assert chance.of(np.array([0.25]))[0] == chance.near
    assert chance.of(np.array([0.26]))[0] == 0.0


def slow_discoveries(chances: list[float], tests: int, false_share: float) -> list[bool]:
    """The k smallest, for the largest k at which the k-th is small enough."""
    for k in range(len(chances), 0, -1):
        kth = sorted(chances)[k - 1]
        if kth <= false_share * k / tests:
            return [chance <= kth for chance in chances]
    return [False] * len(chances)


@pytest.mark.parametrize("seed", range(30))
def test_findings_stand_as_by_the_slow_rule(seed: int) -> None:
    choose = np.random.default_rng(seed)
    chances = choose.uniform(0, 1, choose.integers(0, 30)) ** choose.integers(1, 6)
    tests = len(chances) + int(choose.integers(0, 20))
    assert discoveries(chances, tests=tests, false_share=0.1).tolist() == slow_discoveries(
        chances.tolist(), tests, 0.1
    )
