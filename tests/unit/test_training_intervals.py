"""Intervals of rates: subjects drawn again, and exact bounds."""

import math

import numpy as np
import pytest

from contract.calibration.intervals import (
    draw_counts,
    fnir_replicates,
    interval,
    share_interval,
    upper_bound,
)
from contract.calibration.searches import threshold_at
from tests.embedded_people import made


def test_replicates_equal_the_loops_over_subjects_drawn_again() -> None:
    rng = np.random.default_rng(3)
    searches = made(
        [(int(s), float(v), int(r)) for s, v, r in zip(
            # Just above what strangers reach, where thresholds are.
            rng.integers(0, 12, 90), np.nextafter(np.round(rng.random(90), 1), 2),
            rng.integers(1, 3, 90), strict=True)],
        # Subjects 10 to 39: two of them are mated, too.
        [(int(s), float(v)) for s, v in zip(
            rng.integers(10, 40, 200), np.round(rng.random(200), 2), strict=True)],
    )  # fmt: skip
    subjects = sorted({*searches.mated_subject_S.tolist(), *searches.nonmated_subject_T.tolist()})
    known = set(searches.mated_subject_S.tolist())
    counts = draw_counts(np.array([s in known for s in subjects]), replicates=25, seed=9)
    fpirs = (0.3, 0.1, 0.01)
    found = fnir_replicates(searches, fpirs, replicates=25, seed=9)
    assert found.shape == (25, 3)
    for r in range(25):
        weight = dict(zip(subjects, counts[r].tolist(), strict=True))
        best = [
            b
            for s, b in zip(searches.nonmated_subject_T, searches.best_T, strict=True)
            for _ in range(weight[int(s)])
        ]
        reached = [
            f
            for s, f in zip(searches.mated_subject_S, searches.found_S, strict=True)
            for _ in range(weight[int(s)])
        ]
        for i, fpir in enumerate(fpirs):
            threshold = threshold_at(np.array(best), fpir)
            # No threshold up to 1 refuses enough: everything is missed.
            slow = 1.0 if threshold is None else sum(f < threshold for f in reached) / len(reached)
            assert found[r, i] == pytest.approx(slow)


def test_as_many_subjects_of_each_stratum_are_drawn_as_it_has() -> None:
    strata = np.arange(50) < 7
    counts = draw_counts(strata, replicates=2_000, seed=0)
    assert (counts[:, :7].sum(axis=1) == 7).all()
    assert (counts[:, 7:].sum(axis=1) == 43).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(50), abs=0.15)
    assert counts[:, 0].var() == pytest.approx(1 - 1 / 7, abs=0.1)  # with replacement


def test_the_interval_knows_that_images_of_a_subject_are_alike() -> None:
    """Ten subjects of a hundred searches that all hit or all miss: ten facts, not a thousand."""
    subject = np.repeat(np.arange(10), 100)
    hit = subject < 5
    alike = share_interval(hit, subject, replicates=2_000)
    apart = share_interval(np.random.default_rng(0).permutation(hit), subject, replicates=2_000)
    assert (alike.value, apart.value) == (0.5, 0.5)
    # Ten throws of a coin: 0.2 to 0.8 holds 97.8 %.
    assert (alike.low95, alike.high95) == pytest.approx((0.2, 0.8), abs=0.01)
    assert apart.high95 - apart.low95 < 0.15


def test_a_share_of_subjects_with_unequal_searches_equals_the_loops() -> None:
    rng = np.random.default_rng(0)
    subject, hit = rng.integers(0, 9, 60) ** 2, rng.random(60) < 0.6
    names = sorted(set(subject.tolist()))
    counts = draw_counts(np.ones(len(names), dtype=bool), replicates=300, seed=4)
    shares = []
    for replicate in counts.tolist():
        weight = dict(zip(names, replicate, strict=True))
        drawn = [h for s, h in zip(subject, hit, strict=True) for _ in range(weight[int(s)])]
        shares.append(sum(drawn) / len(drawn))
    found = share_interval(hit, subject, replicates=300, seed=4)
    assert found.value == hit.mean()
    assert (found.low95, found.high95) == pytest.approx(tuple(np.quantile(shares, [0.025, 0.975])))


def test_intervals_cover_the_truth_in_95_of_100_worlds() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for world in range(200):
        chance = rng.beta(2, 2, 40)  # of each subject to be found; half on average
        subject = np.repeat(np.arange(40), 20)
        found = share_interval(
            rng.random(800) < chance[subject], subject, seed=world, replicates=400
        )
        covered += found.low95 <= 0.5 <= found.high95
    assert 0.90 <= covered / 200 <= 0.985


def test_an_interval_holds_its_value_and_leaves_out_what_is_no_number() -> None:
    found = interval(0.9, np.array([0.1, 0.2, math.nan]))
    assert (found.value, found.high95) == (0.9, 0.9)
    assert found.low95 == pytest.approx(0.1, abs=0.01)
    below = interval(0.05, np.array([0.1, 0.2]))
    assert (below.low95, below.value) == (0.05, 0.05)
    with pytest.raises(ValueError, match="there are none"):
        share_interval(np.array([], dtype=bool), np.array([], dtype=np.int64))


def test_replicates_without_a_stranger_are_no_number() -> None:
    """The one stranger is mated in another draw, and not in every replicate."""
    searches = made([(1, 0.9, 1), (2, 0.9, 1)], [(1, 0.3)])
    found = fnir_replicates(searches, (0.1,), replicates=200)
    assert 0.1 < np.isnan(found).mean() < 0.5
    assert set(found[~np.isnan(found)].tolist()) == {0.0}


@pytest.mark.parametrize(
    ("errors", "trials"), [(0, 1), (0, 300), (1, 30), (26, 2_562), (5, 5), (250, 2_500)]
)
def test_the_upper_bound_is_clopper_and_pearsons(errors: int, trials: int) -> None:
    from scipy.stats import beta

    exact = 1.0 if errors == trials else float(beta.ppf(0.95, errors + 1, trials - errors))
    assert upper_bound(errors, trials) == pytest.approx(exact, abs=1e-9)


def test_the_rule_of_three_is_the_bound_of_no_errors() -> None:
    assert upper_bound(0, 300) == pytest.approx(3 / 300, rel=0.01)
    for wrong in ((0, 0), (4, 3), (-1, 3)):
        with pytest.raises(ValueError, match="no rate"):
            upper_bound(*wrong)
