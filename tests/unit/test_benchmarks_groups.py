"""Errors by what pixels say: colours, thirds, rates and their intervals, by plain loops."""

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from benchmarks import groups
from benchmarks.groups import (
    CHEEKS,
    Pairs,
    Rate,
    brightness,
    few_each,
    summary,
    thirds,
    typology_angles,
)


def lab(rgb: tuple[int, int, int]) -> tuple[float, float]:
    """L* and b* of an sRGB colour, by the formulas of CIE and IEC 61966-2-1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
              for c in (value / 255 for value in rgb)]  # fmt: skip
    r, g, b = linear
    y = 0.212671 * r + 0.715160 * g + 0.072169 * b
    z = (0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883
    fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (y, z))
    return 116 * fy - 16, 200 * (fy - fz)


@pytest.mark.parametrize("rgb", [(230, 190, 170), (141, 85, 36), (70, 45, 30)])
def test_angle_and_brightness_are_those_of_the_formulas(rgb: tuple[int, int, int]) -> None:
    crop = np.full((1, 112, 112, 3), rgb, np.uint8)
    lightness, yellow = lab(rgb)
    expected = math.degrees(math.atan((lightness - 50) / yellow))
    assert typology_angles(crop)[0] == pytest.approx(expected, abs=0.05)
    assert brightness(crop)[0] == pytest.approx(lightness, abs=0.01)


def test_only_the_cheeks_count_and_grey_ones_have_no_angle() -> None:
    crop = np.full((112, 112, 3), 128, np.uint8)
    assert np.isnan(typology_angles(crop[None])[0])
    for top, bottom, left, right in CHEEKS:
        crop[top:bottom, left:right] = (141, 85, 36)
    lightness, yellow = lab((141, 85, 36))
    expected = math.degrees(math.atan((lightness - 50) / yellow))
    assert typology_angles(crop[None])[0] == pytest.approx(expected, abs=0.05)


def test_cheeks_lie_between_eyes_and_mouth_on_both_sides_of_the_nose() -> None:
    from contract.alignment import TEMPLATE

    eyes, nose, mouth = TEMPLATE[:2], TEMPLATE[2], TEMPLATE[3:]
    assert all(
        eyes[:, 1].max() + 8 < top < bottom < mouth[:, 1].min() for top, bottom, *_ in CHEEKS
    )
    (_, _, far_left, left), (_, _, right, far_right) = CHEEKS
    assert 0 < far_left < left < nose[0] < right < far_right < 112
    assert far_left + far_right == left + right == 112


def test_thirds_hold_a_third_each_and_leave_out_what_was_not_measured() -> None:
    values = np.random.default_rng(0).permutation(np.append(np.arange(9.0), np.nan))
    found = thirds(values)
    for value, third in zip(values, found, strict=True):
        assert third == (-1 if np.isnan(value) else value // 3)


def test_few_photos_of_a_person_are_taken() -> None:
    labels = np.array([3, 1, 3, 3, 2, 1, 3])
    rows = few_each(labels, 2)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert sorted(labels[rows].tolist()) == [1, 1, 2, 3, 3]
    chosen = {tuple(few_each(labels, 2, seed=seed)) for seed in range(20)}
    assert len(chosen) > 1


@pytest.mark.parametrize(("errors", "pairs"), [(0, 50), (3, 100), (50, 50), (700, 1000)])
def test_the_interval_is_where_the_score_test_does_not_reject(errors: int, pairs: int) -> None:
    inside = [
        p
        for p in np.linspace(0, 1, 100_001)
        if abs(errors / pairs - p) <= 1.959964 * math.sqrt(p * (1 - p) / pairs) + 1e-12
    ]
    assert Rate(errors, pairs).interval == pytest.approx((inside[0], inside[-1]), abs=2e-5)


def test_a_rate_of_no_pairs_says_so() -> None:
    assert str(Rate(0, 0)) == "no pairs"
    assert str(Rate(1, 1000)) == "0.10% (0.02% to 0.56%) of 1,000"


@pytest.fixture
def pairs() -> Pairs:
    """All pairs of 30 photos of 10 people, with random similarities."""
    rng = np.random.default_rng(0)
    first, second = np.array(list(combinations(range(30), 2))).T
    return Pairs(
        first_P=first,
        second_P=second,
        scores_P=rng.uniform(size=len(first)),
        mated_P=first % 10 == second % 10,
    )


def test_the_threshold_lets_the_stated_share_through(pairs: Pairs) -> None:
    others = sorted(s for s, m in zip(pairs.scores_P, pairs.mated_P, strict=True) if not m)
    threshold = pairs.threshold(0.1)
    assert sum(s >= threshold for s in others) == int(0.1 * len(others))
    assert threshold == pytest.approx(others[-int(0.1 * len(others)) - 1])


def test_rates_are_those_of_a_plain_loop(pairs: Pairs) -> None:
    third = np.arange(30) % 3
    both = (third[pairs.first_P] == 1) & (third[pairs.second_P] == 1)
    misses = accepts = mated = nonmated = 0
    for i, score in enumerate(pairs.scores_P):
        if third[pairs.first_P[i]] != 1 or third[pairs.second_P[i]] != 1:
            continue
        if pairs.mated_P[i]:
            mated, misses = mated + 1, misses + (score < 0.6)
        else:
            nonmated, accepts = nonmated + 1, accepts + (score >= 0.6)
    assert pairs.rates(both, 0.6) == (Rate(misses, mated), Rate(accepts, nonmated))
    found = list(groups.lines(pairs, third, 0.6))
    assert len(found) == 6
    assert f"middle third, both photos: FNMR {Rate(misses, mated)}" in found[2]
    assert f"{accepts / nonmated:.2%}" in summary(pairs, third, 0.6)


def test_a_missing_pack_names_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert groups.main(["--pack", str(tmp_path / "lfw")]) == 1
    assert "make pack-lfw" in capsys.readouterr().err
