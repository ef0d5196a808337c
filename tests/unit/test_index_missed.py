"""FNIR brought from leaving one template out to all of them: against subsets, moments, bootstraps.

Shapes: S mated and T non-mated searches.
"""

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.calibration.intervals import draw_counts, upper_bound
from contract.calibration.searches import Searches, threshold_at
from index.missed import MatedSearches, fnir, missed, with_all

Floats = npt.NDArray[np.float64]


def beta_moment(a: float, b: float, k: int) -> float:
    """E[q^k] of a beta distribution."""
    return math.prod((a + i) / (a + b + i) for i in range(k))


@pytest.mark.parametrize(("a", "b"), [(0.3, 2.0), (1.0, 1.0), (5.0, 40.0), (0.05, 0.5)])
@pytest.mark.parametrize("templates", [3, 4, 5, 12])
def test_it_is_exact_where_chances_are_beta_distributed(a: float, b: float, templates: int) -> None:
    known = [beta_moment(a, b, templates - left) for left in (1, 2, 3)]
    assert with_all(*known) == pytest.approx(beta_moment(a, b, templates))


@given(
    st.lists(st.tuples(st.floats(0.001, 1), st.floats(0.01, 1)), min_size=1, max_size=6),
    st.integers(3, 8),
)
def test_it_lies_between_what_is_possible(mixture: list[tuple[float, float]], m: int) -> None:
    weights = np.array([weight for _, weight in mixture])
    chances = np.array([q for q, _ in mixture])

    def moment(k: int) -> float:
        return float((weights * chances**k).sum() / weights.sum())

    one, two, three, true = moment(m - 1), moment(m - 2), moment(m - 3), moment(m)
    found = with_all(one, two, three)
    assert one * one / two - 1e-12 <= found <= one + 1e-12
    assert one * one / two - 1e-9 <= true <= one + 1e-9


def test_without_misses_or_without_a_fall_nothing_is_brought_further() -> None:
    assert with_all(0.0, 0.0, 0.0) == 0.0
    assert with_all(0.0, 0.1, 0.3) == 0.0
    assert with_all(0.2, 0.2, 0.2) == 0.2
    assert with_all(1.0, 1.0, 1.0) == 1.0
    # Few data may fall the wrong way: then the least that is possible.
    assert with_all(0.1, 0.2, 0.2) == pytest.approx(0.1 * 0.5)
    assert with_all(0.1, 0.4, 0.5) == pytest.approx(0.1 * 0.25)


def some_searches(seed: int, others: list[int]) -> tuple[list[Floats], MatedSearches]:
    """All similarities to the own subject's other templates, and the record of them."""
    rng = np.random.default_rng(seed)
    own = [np.sort(rng.uniform(0.2, 0.9, count))[::-1] for count in others]
    three = [np.concatenate([row, np.full(3, -1.0)])[:3] for row in own]
    mated = MatedSearches(
        own_S3=np.array(three),
        others_S=np.array(others, dtype=np.int64),
        other_S=rng.uniform(0.2, 0.6, len(others)),
    )
    return own, mated


def by_subsets(
    own: list[Floats], other_S: Floats, threshold: float, weight_S: npt.NDArray[Any]
) -> float:
    """The same by its definition: every set of one, two, three fewer templates, one at a time."""
    shares: list[list[float]] = []
    weights: list[float] = []
    few, total = 0.0, 0.0
    for row, other, weight in zip(own, other_S.tolist(), weight_S.tolist(), strict=True):
        n, left_out = len(row), []
        for size in (n, n - 1, n - 2):
            if size < 0:
                continue
            sets = list(itertools.combinations(row.tolist(), size))
            best = [max(chosen, default=-1.0) for chosen in sets]
            misses = [similarity < threshold or similarity <= other for similarity in best]
            left_out.append(sum(misses) / len(sets))
        total += weight
        if n < 2:
            few += weight * left_out[0]
        else:
            shares.append(left_out)
            weights.append(weight)
    if sum(weights):
        means = np.average(np.array(shares), axis=0, weights=np.array(weights))
        few += sum(weights) * with_all(*(float(mean) for mean in means))
    return few / total


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.6, 0.8, 1.1])
@pytest.mark.parametrize("others", [[4] * 30, [2] * 30, [1] * 10, [1, 2, 3, 5, 2, 1, 7, 2, 3, 4]])
def test_searches_are_those_of_all_subsets(others: list[int], threshold: float) -> None:
    own, mated = some_searches(len(others) + others[0], others)
    rng = np.random.default_rng(3)
    for weights in (np.ones(len(others), np.int32), rng.integers(0, 4, len(others), np.int32)):
        found = fnir(mated, threshold, weights)
        assert found == pytest.approx(by_subsets(own, mated.other_S, threshold, weights))


def test_subjects_of_two_templates_stay_as_they_are() -> None:
    own, mated = some_searches(1, [1] * 50)
    ones = np.ones(50, dtype=np.int32)
    raw = np.mean([row[0] < max(0.5, other) for row, other in zip(own, mated.other_S, strict=True)])
    assert fnir(mated, 0.5, ones) == pytest.approx(raw)


def searches_of(mated: MatedSearches, each: int, seed: int) -> Searches:
    """Subjects with `each` mated searches and as many non-mated ones, and 20 strangers more."""
    subject = np.repeat(np.arange(len(mated.others_S) // each), each)
    rng = np.random.default_rng(seed)
    strangers = -1 - np.arange(20)
    nonmated = np.concatenate([subject, np.repeat(strangers, each)])
    return Searches(
        gallery_subjects=len(subject) // each,
        enrolled=each,
        draws=each,
        mated_subjects=len(subject) // each,
        nonmated_subjects=len(subject) // each + 20,
        mated_subject_S=subject,
        similarity_S=mated.own_S3[:, 0],
        rank_S=np.where(mated.own_S3[:, 0] > mated.other_S, 1, 2).astype(np.int64),
        nonmated_subject_T=nonmated,
        best_T=np.concatenate([mated.other_S, rng.uniform(0.2, 0.6, 20 * each)]),
    )


@pytest.mark.parametrize("others", [4, 1])
def test_the_interval_is_that_of_drawing_people_again(others: int) -> None:
    own, mated = some_searches(7, [others] * 100)
    searches = searches_of(mated, 5, seed=2)
    targets = (0.1, 0.3)
    found = missed(searches, mated, targets, replicates=60, seed=4)
    ids = np.unique(np.concatenate([searches.mated_subject_S, searches.nonmated_subject_T]))
    counts = draw_counts(np.isin(ids, searches.mated_subject_S), replicates=60, seed=4)
    for target, estimate in zip(targets, found, strict=True):
        drawn = []
        for row in counts:
            often = dict(zip(ids.tolist(), row.tolist(), strict=True))
            best = [
                similarity
                for who, similarity in zip(
                    searches.nonmated_subject_T.tolist(), searches.best_T.tolist(), strict=True
                )
                for _ in range(often[who])
            ]
            threshold = threshold_at(np.array(best), target)
            assert threshold is not None
            weights = np.array([often[who] for who in searches.mated_subject_S.tolist()])
            drawn.append(by_subsets(own, mated.other_S, threshold, weights))
        threshold = threshold_at(searches.best_T, target)
        assert threshold is not None
        value = by_subsets(own, mated.other_S, threshold, np.ones(100))
        low, high = np.quantile(drawn, [0.025, 0.975])
        assert estimate.value == pytest.approx(value)
        assert estimate.low95 == pytest.approx(min(low, value))
        assert estimate.high95 == pytest.approx(max(high, value, upper_bound(0, 20)))


def test_no_miss_leaves_room_for_what_so_many_people_cannot_show() -> None:
    mated = MatedSearches(
        own_S3=np.full((100, 3), 0.99),
        others_S=np.full(100, 4),
        other_S=np.random.default_rng(1).uniform(0.2, 0.6, 100),
    )
    (estimate,) = missed(searches_of(mated, 5, seed=1), mated, [0.1], replicates=50)
    assert (estimate.value, estimate.low95) == (0, 0)
    assert estimate.high95 == pytest.approx(1 - 0.05 ** (1 / 20))


def test_without_mated_searches_nothing_is_said() -> None:
    none = MatedSearches(
        own_S3=np.zeros((0, 3)), others_S=np.zeros(0, np.int64), other_S=np.zeros(0)
    )
    with pytest.raises(ValueError, match="there are none"):
        missed(searches_of(none, 1, seed=1), none, [0.1])


def test_it_finds_what_all_templates_miss_where_leaving_one_out_does_not() -> None:
    """People whose photos are far from the camera's now and then, searched by new photos."""
    rng = np.random.default_rng(5)
    people, templates = 3_000, 5
    chance = rng.beta(0.4, 1.2, people)
    # A photo of somebody is below the threshold for a template with that person's chance.
    hit = rng.random((people, templates, templates)) >= chance[:, None, None]
    rows, count = [], templates - 1
    for person in range(people):
        for probe in range(templates):
            others = np.delete(hit[person, probe], probe)
            rows.append(np.sort(np.where(others, 0.8, 0.3))[::-1][:3])
    mated = MatedSearches(
        own_S3=np.array(rows),
        others_S=np.full(len(rows), count),
        other_S=np.full(len(rows), 0.2),
    )
    ones = np.ones(len(rows), dtype=np.int32)
    true = float(np.mean(chance**templates))
    one_out = float((mated.own_S3[:, 0] < 0.5).mean())
    found = fnir(mated, 0.5, ones)
    assert one_out > true * 1.1
    assert abs(found - true) < 0.3 * (one_out - true)
