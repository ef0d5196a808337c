"""The picture of the space."""

import math

import numpy as np
import pytest

from training.evaluation.metrics import power_of_ten
from training.evaluation.space_view import POINTS_MOST, space_view


def test_two_dimensions_are_shown_as_they_are_and_one_on_a_line() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(8) // 2
    plane = rng.standard_normal((8, 2))
    view = space_view(plane, labels, list("abcd"), seed=0, data="x")
    assert view.points_P2 == pytest.approx(plane)
    assert view.explained == 1
    line = space_view(plane[:, :1], labels, list("abcd"), seed=0, data="x")
    assert line.points_P2 == pytest.approx(np.column_stack([plane[:, 0], np.zeros(8)]))


def test_the_axes_are_principal_components() -> None:
    """The oracle is the singular value decomposition; signs put the largest coefficient above 0."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((200, 5)) * [1, 5, 0.1, 3, 0.5]
    view = space_view(points, np.arange(200) % 7, list("abcdefg"), seed=0, data="x")
    centred = points - points.mean(axis=0)
    _, strengths, axes = np.linalg.svd(centred)
    signs = [math.copysign(1, axis[np.abs(axis).argmax()]) for axis in axes[:2]]
    assert view.points_P2 == pytest.approx(centred @ axes[:2].T * signs)
    assert view.explained == pytest.approx((strengths[:2] ** 2).sum() / (strengths**2).sum())


def test_the_identities_of_most_images_are_named_and_the_rest_are_others() -> None:
    labels = np.repeat(np.arange(30), [3] * 20 + [300] * 10)
    points = np.random.default_rng(0).standard_normal((len(labels), 3))
    names = [f"n{i}" for i in range(30)]
    view = space_view(points, labels, names, seed=0, data="x")
    assert set(view.names) == {f"n{i}" for i in range(20, 30)}
    assert (view.named_P < 0).sum() == 60
    assert (view.named_P >= 0).sum() == POINTS_MOST // 2
    one_point = space_view(np.ones((4, 3)), np.arange(4), names, seed=0, data="x")
    assert (one_point.points_P2 == 0).all()
    assert one_point.explained == 1


@pytest.mark.parametrize(
    ("rate", "words"), [(0.1, "1e-1"), (0.01, "1e-2"), (0.003, "3e-3"), (0.001, "1e-3")]
)
def test_rates_have_short_names(rate: float, words: str) -> None:
    assert power_of_ten(rate) == words
