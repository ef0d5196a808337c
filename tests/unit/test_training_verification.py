"""Verification: thresholds, curves and pairs, against loops that are too simple to be wrong."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation.distances import pair_similarities, row_pieces, squared_distances
from training.evaluation.pairs import _unnumbered, draw_pairs, verify_pairs
from training.evaluation.roc import EqualError, TarAtFar, equal_error, roc_curve, tar_at_far
from training.evaluation.verification import (
    accuracy_at,
    best_threshold,
    folded_accuracy,
    pair_auc,
)

CHECKED = settings(derandomize=True, database=None, max_examples=100, deadline=None)
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
# A grid makes ties, floats make none.
SCORES = st.one_of(st.integers(0, 4).map(lambda n: n / 4), st.floats(0, 1))
SCORED_PAIRS = st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=12)


def columns(pairs: list[tuple[float, bool]]) -> tuple[Floats, Bools]:
    return np.array([score for score, _ in pairs]), np.array([mated for _, mated in pairs])


# --- verification ---


def slow_accuracy(threshold: float, pairs: list[tuple[float, bool]]) -> float:
    right = [not math.isnan(s) and (s >= threshold) == mated for s, mated in pairs]
    return sum(right) / len(right)


def best_slow_accuracy(pairs: list[tuple[float, bool]]) -> float:
    """Every threshold that decides differently: each score, and one above them all."""
    return max(slow_accuracy(t, pairs) for t in [*(score for score, _ in pairs), 2.0])


@CHECKED
@given(SCORED_PAIRS)
def test_no_threshold_is_better_than_the_best(pairs: list[tuple[float, bool]]) -> None:
    scores, mated = columns(pairs)
    threshold = best_threshold(scores, mated)
    assert accuracy_at(threshold, scores, mated) == pytest.approx(best_slow_accuracy(pairs))


def test_the_best_threshold_lies_midway_between_the_scores() -> None:
    assert best_threshold(*columns([(0.2, False), (0.6, True)])) == pytest.approx(0.4)


def test_scores_of_the_next_float_can_be_told_apart() -> None:
    """Midway between neighbouring floats is one of them, and must be the upper one."""
    for low in (0.5, np.nextafter(0.5, 1)):
        pairs = [(float(low), False), (float(np.nextafter(low, 1)), True)]
        assert accuracy_at(best_threshold(*columns(pairs)), *columns(pairs)) == 1


def test_a_score_that_is_none_is_wrong_for_mated_and_for_nonmated_pairs() -> None:
    scores, mated = columns([(0.9, True), (0.1, False), (math.nan, True), (math.nan, False)])
    assert accuracy_at(0.5, scores, mated) == 0.5
    assert accuracy_at(best_threshold(scores, mated), scores, mated) == 0.5


def test_pairs_without_any_score_have_no_threshold() -> None:
    for scores in (np.array([]), np.array([math.nan])):
        with pytest.raises(ValueError, match="pairs with a score"):
            best_threshold(scores, np.ones(len(scores), dtype=bool))


@CHECKED
@given(st.lists(st.tuples(SCORES, st.booleans(), st.integers(0, 2)), min_size=6, max_size=20))
def test_each_fold_is_judged_at_the_best_threshold_of_the_others(
    rows: list[tuple[float, bool, int]],
) -> None:
    rows = [(0.1, False, 0), (0.9, True, 1), *rows]  # two folds at the least
    scores, mated = columns([(score, is_mated) for score, is_mated, _ in rows])
    folds = np.array([fold for _, _, fold in rows])
    accuracies = []
    for fold in sorted(set(folds.tolist())):
        threshold = best_threshold(scores[folds != fold], mated[folds != fold])
        own = [(score, is_mated) for score, is_mated, its in rows if its == fold]
        accuracies.append(slow_accuracy(threshold, own))
    found = folded_accuracy(scores, mated, folds)
    mean = sum(accuracies) / len(accuracies)
    variance = sum((a - mean) ** 2 for a in accuracies) / (len(accuracies) - 1)
    assert found.mean == pytest.approx(mean)
    assert found.standard_error == pytest.approx(math.sqrt(variance / len(accuracies)))
    assert found.pairs == len(rows)


def test_a_fold_never_helps_to_choose_its_own_threshold() -> None:
    """Fold 1 alone would be perfect at 0.8; the others put its threshold at 0.5."""
    fold_1 = [(0.7, False), (0.9, True)]
    others = [(0.1, False), (0.9, True)] * 5
    scores, mated = columns(fold_1 + others)
    folds = np.array([1] * 2 + [2, 2, 2, 2, 2, 3, 3, 3, 3, 3])
    assert folded_accuracy(scores, mated, folds).mean == pytest.approx((0.5 + 1 + 1) / 3)


@pytest.mark.parametrize("folds", [[], [3, 3]])
def test_one_fold_has_no_others_to_be_judged_by(folds: list[int]) -> None:
    scores, mated = columns([(0.1, False), (0.9, True)][: len(folds)])
    with pytest.raises(ValueError, match="two of them"):
        folded_accuracy(scores, mated, np.array(folds, dtype=np.int64))


def slow_auc(points: Floats, labels: list[int]) -> float:
    count = len(points)
    pairs = [(i, j) for i in range(count) for j in range(i)]
    mated = [math.dist(points[i], points[j]) for i, j in pairs if labels[i] == labels[j]]
    other = [math.dist(points[i], points[j]) for i, j in pairs if labels[i] != labels[j]]
    wins = [1.0 if m < o else 0.5 if m == o else 0.0 for m in mated for o in other]
    return sum(wins) / len(wins)


@CHECKED
@given(
    labels=st.lists(st.integers(0, 3), min_size=3, max_size=10).filter(
        lambda labels: 1 < len(set(labels)) < len(labels)
    ),
    seed=st.integers(0, 2**32 - 1),
    grid=st.booleans(),
)
def test_pair_auc_equals_the_loops_and_counts_ties_half(
    labels: list[int], seed: int, grid: bool
) -> None:
    """Whole numbers: many ties, and distances that float32 computes exactly."""
    rng = np.random.default_rng(seed)
    points = (
        rng.integers(-1, 2, (len(labels), 2))
        if grid
        else rng.permutation(1000)[: len(labels), None]
    )
    found = pair_auc(points.astype(np.float64), np.array(labels))
    assert found == pytest.approx(slow_auc(points.astype(np.float64), labels), abs=1e-12)


def test_embeddings_that_fell_together_tell_nobody_apart() -> None:
    assert pair_auc(np.ones((6, 4)), np.array([0, 0, 1, 1, 2, 2])) == 0.5


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_pair_auc_needs_pairs_of_both_kinds(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="Both mated and non-mated"):
        pair_auc(np.eye(3), np.array(labels))


# --- ROC, TAR at FAR, EER ---


def slow_rates(pairs: list[tuple[float, bool]], threshold: float) -> tuple[float, float]:
    """(FMR, TMR) at one threshold; NaN reaches none."""
    accepted = {kind: [s >= threshold for s, m in pairs if m == kind] for kind in (False, True)}
    return tuple(sum(accepted[kind]) / len(accepted[kind]) for kind in (False, True))


def slow_thresholds(pairs: list[tuple[float, bool]]) -> list[float]:
    return [math.inf, *sorted({s for s, _ in pairs if not math.isnan(s)}, reverse=True)]


BOTH_KINDS = st.lists(
    st.tuples(st.one_of(SCORES, st.just(math.nan)), st.booleans()), min_size=2, max_size=14
).filter(lambda pairs: len({mated for _, mated in pairs}) == 2)


@CHECKED
@given(BOTH_KINDS)
def test_the_roc_curve_is_one_threshold_after_the_other(pairs: list[tuple[float, bool]]) -> None:
    curve = roc_curve(*columns(pairs))
    thresholds = slow_thresholds(pairs)
    assert curve.threshold_T.tolist() == thresholds
    rates = [slow_rates(pairs, t) for t in thresholds]
    assert curve.fmr_T == pytest.approx([fmr for fmr, _ in rates])
    assert curve.tmr_T == pytest.approx([tmr for _, tmr in rates])
    assert (curve.mated, curve.nonmated) == (sum(m for _, m in pairs), sum(not m for _, m in pairs))


@CHECKED
@given(BOTH_KINDS)
def test_the_equal_error_is_where_both_rates_are_nearest(pairs: list[tuple[float, bool]]) -> None:
    candidates = []
    for threshold in slow_thresholds(pairs):
        fmr, tmr = slow_rates(pairs, threshold)
        candidates.append(
            (round(abs(fmr - 1 + tmr), 12), round((fmr + 1 - tmr) / 2, 12), -threshold)
        )
    _, rate, negative = min(candidates)
    assert equal_error(roc_curve(*columns(pairs))) == EqualError(rate, -negative)


@CHECKED
@given(BOTH_KINDS, st.sampled_from([0.3, 0.5, 1.0]))
def test_tar_is_the_best_of_all_thresholds_that_keep_to_the_far(
    pairs: list[tuple[float, bool]], far: float
) -> None:
    pairs = pairs + [(0.3, False)] * 10  # enough to show a FAR of 0.3
    found = tar_at_far(roc_curve(*columns(pairs)), far)
    rates = [slow_rates(pairs, t) for t in slow_thresholds(pairs)]
    assert found is not None
    assert found.tar == pytest.approx(max(tmr for fmr, tmr in rates if fmr <= far))
    assert slow_rates(pairs, found.threshold) == pytest.approx((rates_at(pairs, found), found.tar))
    assert rates_at(pairs, found) <= far


def rates_at(pairs: list[tuple[float, bool]], found: TarAtFar) -> float:
    return slow_rates(pairs, found.threshold)[0]


def test_sklearn_draws_the_same_curve() -> None:
    from sklearn.metrics import roc_curve as other_roc_curve

    rng = np.random.default_rng(0)
    mated = rng.random(5_000) < 0.3
    scores = np.round(rng.normal(mated * 1.0, 1), 2)  # many ties
    fmr, tmr, thresholds = other_roc_curve(mated, scores, drop_intermediate=False)
    curve = roc_curve(scores, mated)
    assert np.array_equal(curve.threshold_T, thresholds)
    assert curve.fmr_T == pytest.approx(fmr)
    assert curve.tmr_T == pytest.approx(tmr)
    crossing = np.interp(0, fmr - (1 - tmr), fmr)  # between two thresholds
    assert equal_error(curve).rate == pytest.approx(crossing, abs=0.005)


def test_the_hand_computed_example_of_four_and_four() -> None:
    mated = [0.9, 0.8, 0.6, 0.3]
    nonmated = [0.7, 0.4, 0.2, 0.1]
    curve = roc_curve(*columns([(s, True) for s in mated] + [(s, False) for s in nonmated]))
    # At 0.6: one of four non-mated accepted, one of four mated refused.
    assert equal_error(curve) == EqualError(0.25, 0.6)
    assert tar_at_far(curve, 0.75) == TarAtFar(1.0, 0.3)
    assert tar_at_far(curve, 0.74) is None  # 3 / 0.74 pairs are more than four


def test_failures_to_acquire_are_never_accepted_and_stay_in_the_count() -> None:
    """Half of the mated pairs have no score: no threshold accepts more than the other half."""
    pairs = [(0.9, True), (math.nan, True)] * 5 + [(0.1, False), (math.nan, False)] * 5
    curve = roc_curve(*columns(pairs))
    assert curve.tmr_T.max() == 0.5
    assert curve.fmr_T.max() == 0.5
    assert equal_error(curve) == EqualError(0.5, 0.1)  # at 0.9 they are 0 and 0.5


def test_a_curve_without_any_score_refuses_everything() -> None:
    curve = roc_curve(*columns([(math.nan, True), (math.nan, False)]))
    assert (curve.threshold_T.tolist(), curve.tmr_T.tolist()) == ([math.inf], [0.0])
    assert equal_error(curve) == EqualError(0.5, math.inf)


@pytest.mark.parametrize("kind", [True, False])
def test_a_curve_needs_both_kinds(kind: bool) -> None:
    with pytest.raises(ValueError, match="Both mated and non-mated"):
        roc_curve(*columns([(0.5, kind)]))


# --- pairs and distances ---


@pytest.mark.parametrize("most", [1_000, 7])
def test_pairs_are_different_and_of_their_kind(most: int) -> None:
    labels = np.array([3, 1, 3, 3, 2, 1, 7, 2, 3, 1])
    first, second = draw_pairs(labels, seed=0, mated_most=most, nonmated_most=most)
    pairs = {frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)}
    assert len(pairs) == len(first)
    assert all(len(pair) == 2 for pair in pairs)
    mated = labels[first] == labels[second]
    everything = {frozenset((i, j)) for i in range(10) for j in range(i)}
    if most == 1_000:
        assert pairs == everything
    assert mated.sum() == min(most, 6 + 3 + 1)
    assert (~mated).sum() == min(most, 45 - 10)
    assert (np.diff(mated.astype(int)) <= 0).all()  # the mated ones first


def test_every_pair_is_as_likely_as_another() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    counts: dict[frozenset[int], int] = {}
    for seed in range(3_000):
        first, second = draw_pairs(labels, seed=seed, mated_most=1, nonmated_most=1)
        for pair in zip(first.tolist(), second.tolist(), strict=True):
            counts[frozenset(pair)] = counts.get(frozenset(pair), 0) + 1
    mated = [n for pair, n in counts.items() if len({labels[i] for i in pair}) == 1]
    other = [n for pair, n in counts.items() if len({labels[i] for i in pair}) == 2]
    assert (len(mated), len(other)) == (4, 11)
    assert min(mated) > 600
    assert min(other) > 180


def test_pairs_of_very_many_images_are_numbered_exactly() -> None:
    """At both edges of a row, up to the largest row that the docstring promises."""
    for row in (1, 2, 3, 1_000, 200_000, 2**26 - 1):
        first = row * (row - 1) // 2
        numbers = np.array([first, first + row - 1])
        upper, lower = _unnumbered(numbers)
        assert upper.tolist() == [row, row]
        assert lower.tolist() == [0, row - 1]


def test_pairs_of_one_kind_verify_nothing() -> None:
    points = np.eye(4, dtype=np.float32)
    for labels in ([0, 0, 0, 0], [0, 1, 2, 3]):
        assert verify_pairs(points, np.array(labels), d_max=2.0, seed=0, data="x") is None


def test_the_verification_of_all_pairs_equals_the_loops() -> None:
    rng = np.random.default_rng(0)
    points, labels = rng.standard_normal((12, 3)).astype(np.float32), rng.integers(0, 3, 12)
    found = verify_pairs(points, labels, d_max=9.0, seed=0, data="x")
    pairs = [
        (1 - math.dist(points[i].tolist(), points[j].tolist()) / 9.0, labels[i] == labels[j])
        for i in range(12)
        for j in range(i)
    ]
    assert found is not None
    slow = roc_curve(*columns(pairs))
    assert found.curve.threshold_T[1:] == pytest.approx(slow.threshold_T[1:], abs=1e-6)
    assert found.curve.tmr_T == pytest.approx(slow.tmr_T)
    assert found.equal_error.rate == equal_error(slow).rate
    assert found.tar_at_far is None


def test_distances_equal_the_loops_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((7, 5)), rng.standard_normal((3, 5))
    slow = [[math.dist(x, y) ** 2 for y in b.tolist()] for x in a.tolist()]
    assert squared_distances(a, b) == pytest.approx(np.array(slow))
    monkeypatch.setattr("training.evaluation.distances.PIECE", 7)
    rows = list(row_pieces(7, 3))
    assert [range(7)[piece] for piece in rows] == [
        range(2),
        range(2, 4),
        range(4, 6),
        range(6, 7),
    ]
    found = pair_similarities(a, np.arange(3), np.array([1, 1, 0]), d_max=20.0)
    assert found == pytest.approx(
        [1 - math.dist(a[i], a[j]) / 20 for i, j in ((0, 1), (1, 1), (2, 0))]
    )


def test_equal_embeddings_have_distance_nothing_and_no_number_is_refused() -> None:
    """Of these the three terms of the expansion do not cancel by themselves."""
    points = np.random.default_rng(0).standard_normal((50, 127))
    assert ((points**2).sum(axis=1) * 2 - 2 * np.diag(points @ points.T) > 0).any()
    assert (np.diag(squared_distances(points, points)) == 0).all()
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not finite"):
            squared_distances(np.array([[bad, 1.0]]), np.ones((1, 2)))
        with pytest.raises(ValueError, match="not finite"):
            pair_similarities(np.array([[bad], [1.0]]), np.array([0]), np.array([1]), d_max=2.0)
