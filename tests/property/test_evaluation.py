"""What holds of every evaluation, whatever the embeddings."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.calibration.searches import Searches, fnir_at, threshold_at
from training.evaluation.closed_set import held_out_accuracy, paper_accuracy
from training.evaluation.open_set import cmc, det_curve, draw_searches
from training.evaluation.roc import equal_error, roc_curve

CHECKED = settings(derandomize=True, database=None, max_examples=80, deadline=None)

SEEDS = st.integers(0, 2**32 - 1)
FPIRS = (0.0, 0.05, 0.1, 0.3, 0.7, 1.0)


def drawn(seed: int, *, grid: bool = False) -> tuple[Any, Any]:
    """Embeddings and labels: 12 identities of 1 to 4 images, with ties where `grid`."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(12), rng.integers(1, 5, 12))
    points = rng.standard_normal((12, 3))[labels] + 0.7 * rng.standard_normal((len(labels), 3))
    return (np.round(points) if grid else points), labels


def searches(seed: int, grid: bool) -> Searches:
    points, labels = drawn(seed, grid=grid)
    return draw_searches(points, labels, gallery_subjects=5, draws=2, seed=seed, d_max=20.0)


def fnirs(of: Searches) -> list[float]:
    return [
        1.0 if (t := threshold_at(of.best_T, fpir)) is None else fnir_at(of, t) for fpir in FPIRS
    ]


@CHECKED
@given(SEEDS, st.booleans())
def test_fnir_falls_as_fpir_is_allowed_to_rise(seed: int, grid: bool) -> None:
    rates = fnirs(searches(seed, grid))
    assert rates == sorted(rates, reverse=True)


@CHECKED
@given(SEEDS, st.booleans(), st.sampled_from([0.5, 2.0, 3.0]))
def test_a_monotone_change_of_similarity_leaves_fnir_at_fpir(
    seed: int, grid: bool, power: float
) -> None:
    found = searches(seed, grid)
    if len(np.unique(found.best_T)) != len(np.unique(found.best_T**power)):
        return  # the change itself rounded two similarities into one
    changed = Searches(
        **{
            **{name: getattr(found, name) for name in Searches.__slots__},
            "similarity_S": found.similarity_S**power,
            "best_T": found.best_T**power,
        }
    )
    assert fnirs(changed) == fnirs(found)


@CHECKED
@given(SEEDS, st.booleans())
def test_a_det_curve_and_a_cmc_never_turn_back(seed: int, grid: bool) -> None:
    found = searches(seed, grid)
    if not len(found.rank_S):
        return
    curve = det_curve(found)
    assert (np.diff(curve.threshold_C) > 0).all()
    assert (np.diff(curve.fpir_C) <= 0).all()
    assert (np.diff(curve.fnir_C) >= 0).all()
    shares = cmc(found.rank_S, ranks=5)
    assert (np.diff(shares) >= 0).all()
    assert shares[-1] == 1.0  # everyone enrolled is at some rank
    assert shares[0] == pytest.approx(1 - fnir_at(found, 0.0))


@CHECKED
@given(SEEDS, st.booleans(), SEEDS)
def test_other_names_and_another_order_change_no_closed_set_accuracy(
    seed: int, grid: bool, shuffled: int
) -> None:
    points, labels = drawn(seed, grid=grid)
    trained, trained_labels = drawn(seed + 1, grid=grid)
    rng = np.random.default_rng(shuffled)
    names, order = rng.permutation(12) * 3 - 5, rng.permutation(len(labels))
    assert paper_accuracy(points[order], names[labels][order]) == paper_accuracy(points, labels)
    assert held_out_accuracy(
        trained, names[trained_labels], points[order], names[labels][order]
    ) == held_out_accuracy(trained, trained_labels, points, labels)


@CHECKED
@given(SEEDS, st.floats(0.1, 10), st.floats(-5, 5))
def test_moving_and_scaling_the_space_changes_no_closed_set_accuracy(
    seed: int, scale: float, shift: float
) -> None:
    points, labels = drawn(seed)
    assert paper_accuracy(points * scale + shift, labels) == paper_accuracy(points, labels)


@CHECKED
@given(
    st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=30).filter(
        lambda pairs: len({mated for _, mated in pairs}) == 2
    )
)
def test_a_roc_curve_never_turns_back_and_swapping_sides_keeps_the_eer(
    pairs: list[tuple[int, bool]],
) -> None:
    scores = np.array([score / 8 for score, _ in pairs])
    mated = np.array([is_mated for _, is_mated in pairs])
    curve = roc_curve(scores, mated)
    assert (np.diff(curve.threshold_T) < 0).all()
    assert (np.diff(curve.fmr_T) >= 0).all()
    assert (np.diff(curve.tmr_T) >= 0).all()
    assert (curve.fmr_T[0], curve.tmr_T[0]) == (0, 0)
    assert (curve.fmr_T[-1], curve.tmr_T[-1]) == pytest.approx((1, 1))
    assert equal_error(roc_curve(-scores, ~mated)).rate == pytest.approx(equal_error(curve).rate)
