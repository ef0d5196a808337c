"""The one similarity: its definition, its inverse, and the slow pairwise form."""

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.similarity import (
    BOUNDED_SPACES,
    Space,
    distance_from_similarity,
    largest_shift,
    max_distance,
    pairwise_similarity,
    similarity_from_distance,
    similarity_from_squares,
)

CHECKED = settings(derandomize=True, database=None, max_examples=60, deadline=None)
D_MAX = st.floats(1e-6, 1e6)


def test_similarity_is_one_minus_the_share_of_the_largest_distance() -> None:
    found = similarity_from_distance(np.array([0.0, 0.5, 1.0, 2.0]), 2.0)
    assert found.tolist() == [1.0, 0.75, 0.5, 0.0]


@CHECKED
@given(st.lists(st.floats(0.0, 1e12), max_size=20), D_MAX)
def test_of_squares_it_is_that_of_their_roots_bit_for_bit(
    squared: list[float], d_max: float
) -> None:
    found = similarity_from_squares(squared, d_max)
    expected = similarity_from_distance(np.sqrt(np.array(squared)), d_max)
    assert found.dtype == expected.dtype == np.float64
    assert found.tobytes() == expected.tobytes()


def test_similarity_of_distances_that_rounding_pushed_out_of_range_is_clipped() -> None:
    assert similarity_from_distance(np.array([2.1, -0.1]), 2.0).tolist() == [0.0, 1.0]


def test_similarity_of_float32_distances_is_computed_in_float64() -> None:
    found = similarity_from_distance(np.array([0.1], dtype=np.float32), 3.0)
    assert found.dtype == np.float64
    assert found[0] == 1.0 - float(np.float32(0.1)) / 3.0


@CHECKED
@given(share=st.floats(0, 1), d_max=D_MAX)
def test_distance_from_similarity_is_the_inverse(share: float, d_max: float) -> None:
    distance = np.array([share * d_max])
    back = distance_from_similarity(similarity_from_distance(distance, d_max), d_max)
    assert back == pytest.approx(distance, rel=1e-9, abs=1e-9 * d_max)


@CHECKED
@given(low=st.floats(0, 3), high=st.floats(0, 3), d_max=st.floats(0.1, 3))
def test_the_nearer_is_never_less_similar(low: float, high: float, d_max: float) -> None:
    near, far = similarity_from_distance(np.array(sorted([low, high])), d_max)
    assert near >= far


@CHECKED
@given(
    probes=st.integers(0, 4),
    templates=st.integers(0, 4),
    size=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
    d_max=st.sampled_from([0.5, 2.0, 8.0]),
)
def test_pairwise_similarity_equals_a_loop_over_pairs(
    probes: int, templates: int, size: int, seed: int, d_max: float
) -> None:
    rng = np.random.default_rng(seed)
    p, t = rng.standard_normal((probes, size)), rng.standard_normal((templates, size))
    found = pairwise_similarity(p, t, d_max)
    assert found.shape == (probes, templates)
    for i in range(probes):
        for j in range(templates):
            share = math.dist(p[i].tolist(), t[j].tolist()) / d_max
            assert found[i, j] == pytest.approx(max(0.0, 1 - share), abs=1e-12)


def test_every_space_but_none_is_bounded() -> None:
    assert set(get_args(Space)) - BOUNDED_SPACES == {"none"}


@pytest.mark.parametrize("space", sorted(BOUNDED_SPACES))
def test_max_distance_is_the_diameter(space: Any) -> None:
    assert max_distance(space, 1.5) == 3.0


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_max_distance_refuses_a_scale_that_is_no_radius(scale: float) -> None:
    with pytest.raises(ValueError, match="scale must be a positive number"):
        max_distance("l2", scale)


def test_max_distance_refuses_the_unbounded_space() -> None:
    with pytest.raises(ValueError, match="no largest distance"):
        max_distance("none", 1.0)


def test_the_largest_shift_is_that_of_one_embedding_and_no_number_stays_none() -> None:
    exact = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    found = exact + np.array([[0.0, 0.1], [0.0, 0.0], [0.3, 0.4]])
    assert largest_shift(exact, found, 2.0) == pytest.approx(0.25)
    found[1, 0] = math.nan
    assert math.isnan(largest_shift(exact, found, 2.0))
