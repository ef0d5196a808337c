"""fpir_threshold in the world of tests/calibrated.py, whose error rates are known."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.bundle import load_bundle
from contract.calibration.operating_points import TARGET_FPIRS, gallery_calibration
from contract.calibration.records import GalleryCalibration
from contract.calibration.searches import Searches
from contract.calibration.thresholds import (
    GROWTH_MAX,
    FpirThreshold,
    Unsupported,
    fpir_threshold,
)
from service.settings import SHIPPED_BUNDLE
from tests.calibrated import BASE, SLOPE, exponential, measured, true_fpir


def stated(galleries: list[GalleryCalibration], target: float, subjects: float) -> FpirThreshold:
    found = fpir_threshold(galleries, target_fpir=target, subjects=subjects)
    assert isinstance(found, FpirThreshold)
    return found


WORLD = [measured(10, 4_000), measured(100, 4_000), measured(1_000, 3_500)]


@pytest.mark.parametrize("target", TARGET_FPIRS)
@pytest.mark.parametrize("gallery", WORLD)
def test_a_measured_size_has_its_measured_threshold(
    gallery: GalleryCalibration, target: float
) -> None:
    found = stated(WORLD, target, gallery.subjects)
    assert found.value == next(p.threshold for p in gallery.points if p.target_fpir == target)
    assert (found.basis, found.gallery) == ("measured", gallery)


@pytest.mark.parametrize("target", [0.2, 0.1, 0.03, 0.01, 0.001])
@pytest.mark.parametrize("subjects", [1, 3, 17, 99, 250, 999, 1_001, 5_000, 100_000])
def test_any_size_and_target_has_its_true_error_rate(target: float, subjects: int) -> None:
    found = stated(WORLD, target, subjects)
    assert found.basis == ("interpolated" if 10 < subjects < 1_000 else "estimate")
    # Of one subject it is 65 % or 89 % of all searches among ten, beyond what is recorded.
    rel = 0.02 if subjects > 1 else 0.1
    assert true_fpir(found.value, subjects) == pytest.approx(target, rel=rel)


def test_the_threshold_rises_tenfold_as_the_law_says() -> None:
    """Ten times the subjects ask for what a tenth of the rate asks for."""
    rise = stated(WORLD, 0.01, 1_000).value - stated(WORLD, 0.01, 100).value
    assert rise == pytest.approx(SLOPE * math.log(10), rel=1e-3)


@given(
    st.floats(1, 90_000),
    st.floats(1, 90_000),
    st.floats(0.001, 0.5),
    st.floats(0.001, 0.5),
)
def test_more_subjects_or_a_lower_target_never_lower_it(
    one: float, other: float, rare: float, often: float
) -> None:
    one, other = sorted([one, other])
    rare, often = sorted([rare, often])
    assert stated(WORLD, often, one).value <= stated(WORLD, often, other).value + 1e-12
    assert stated(WORLD, often, one).value <= stated(WORLD, rare, one).value + 1e-12


@pytest.mark.parametrize("bundle", ["oneglance-faces", "oneglance-faces-resnet"])
def test_thresholds_of_the_shipped_bundles_rise_with_the_gallery(bundle: str) -> None:
    calibration = load_bundle(SHIPPED_BUNDLE.with_name(bundle)).manifest.calibration
    assert calibration is not None
    for target in (0.1, 0.01, 0.003):
        values = [
            stated(calibration.galleries, target, n).value for n in np.geomspace(1, 90_000, 200)
        ]
        assert all(a <= b for a, b in itertools.pairwise(values))
        assert 0 < values[0] < values[-1] < 1


def test_between_sizes_that_disagree_it_lies_between_as_ln_n_does() -> None:
    def higher(share: float, subjects: float) -> float:
        return exponential(share, subjects) + 0.01

    pair = [measured(100, 4_000), measured(10_000, 4_000, higher)]
    found = stated(pair, 0.01, 1_000)
    assert found.value == pytest.approx(exponential(0.01, 1_000) + 0.005, abs=2e-4)
    assert found.gallery is pair[1]


def test_beyond_what_strangers_can_show_the_tail_goes_on_as_a_line() -> None:
    """A lighter tail than a line, as similarities below 1 must have, leaves it on the safe side."""

    def bent(share: float, subjects: float) -> float:
        far = exponential(share, subjects) - BASE
        return BASE + far - 0.3 * far * far

    few = [measured(100, 1_000, bent)]
    for subjects in (1_000, 10_000):
        found = stated(few, 0.01, subjects)
        assert found.basis == "estimate"
        assert found.value > bent(0.01, subjects)
        assert found.value < exponential(0.01, subjects)


def test_targets_that_the_strangers_cannot_show_are_refused_in_words() -> None:
    found = fpir_threshold([measured(100, 999)], target_fpir=0.003, subjects=100)
    assert isinstance(found, Unsupported)
    assert found.reason == "FPIR 0.30% needs 1,000 strangers to show it: the calibration has 999."
    assert isinstance(
        fpir_threshold([measured(100, 1_000)], target_fpir=0.003, subjects=100), FpirThreshold
    )


def test_only_sizes_with_enough_strangers_are_asked() -> None:
    few = [measured(100, 3_000), measured(1_000, 2_000)]
    found = stated(few, 0.001, 1_000)
    assert (found.gallery, found.basis) == (few[0], "estimate")
    assert stated(few, 0.01, 1_000).gallery is few[1]


def test_a_far_larger_gallery_is_refused_in_words() -> None:
    assert stated(WORLD, 0.01, GROWTH_MAX * 1_000)
    found = fpir_threshold(WORLD, target_fpir=0.01, subjects=GROWTH_MAX * 1_000 + 1)
    assert isinstance(found, Unsupported)
    assert "100,001 subjects are more than 100 times the 1,000" in found.reason


def test_a_threshold_above_one_is_refused_in_words() -> None:
    def alike(share: float, subjects: float) -> float:
        return min(1.0, exponential(share, subjects) + 0.45)

    found = fpir_threshold([measured(100, 4_000, alike)], target_fpir=0.01, subjects=10_000)
    assert isinstance(found, Unsupported)
    assert "asks for a similarity above 1" in found.reason


@pytest.mark.parametrize("target", [0, 1, -0.1, float("nan")])
def test_a_target_is_a_share(target: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        fpir_threshold(WORLD, target_fpir=target, subjects=10)


def test_the_bound_is_that_of_so_many_errors_among_the_strangers() -> None:
    """Ten errors in 1,000: Clopper and Pearson's one-sided bound is 1.69 % (R: binom.test)."""
    found = stated([measured(100, 1_000)], 0.01, 100)
    assert found.fpir_upper95 == pytest.approx(0.01690, abs=5e-5)
    # Brought to ten times the subjects by the law of independent chances: 1 % of them is 0.1005 %
    # of these, not more than two of 1,000, which bound the rate at 0.628 %.
    grown = stated([measured(100, 1_000)], 0.01, 1_000)
    assert grown.fpir_upper95 == pytest.approx(1 - (1 - 0.00628) ** 10, abs=1e-4)


def test_thresholds_from_drawn_searches_do_on_others_what_they_state() -> None:
    """From 3,000 strangers of one draw to another draw, without knowing the law."""
    rng = np.random.default_rng(5)

    def best(subjects: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        # The best of N of that law, by inversion.
        each = -np.expm1(np.log(rng.random(3_000)) / subjects)
        return np.clip(BASE - SLOPE * np.log(each), 0, 1)

    def drawn(subjects: int) -> GalleryCalibration:
        none = np.zeros(0)
        return gallery_calibration(
            Searches(
                gallery_subjects=subjects,
                enrolled=1,
                draws=1,
                mated_subjects=0,
                nonmated_subjects=3_000,
                mated_subject_S=none.astype(np.int64),
                similarity_S=none,
                rank_S=none.astype(np.int64),
                nonmated_subject_T=np.arange(3_000),
                best_T=best(subjects),
            )
        )

    galleries = [drawn(n) for n in (10, 100)]
    for target, subjects in itertools.product((0.1, 0.01), (10, 30, 100, 1_000, 5_000)):
        found = stated(galleries, target, subjects)
        assert target / 1.6 < true_fpir(found.value, subjects) < target * 1.6
        assert true_fpir(found.value, subjects) < found.fpir_upper95
