"""Hardest pairs against loops over all pairs, on batches with everything that breaks a mask."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.losses.exponential import exponential_triplet_loss
from training.mining.hardest import hardest_pairs, pairwise_distances
from training.spaces import l2

CHECKED = settings(derandomize=True, database=None, max_examples=100, deadline=None)


@st.composite
def batches(draw: st.DrawFn) -> dict[str, Any]:
    """Labels and points; few values make duplicates and zero vectors, few classes make gaps."""
    count = draw(st.integers(1, 9))
    classes = draw(st.sampled_from(["drawn", "all the same", "all different"]))
    labels = {
        "drawn": draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)),
        "all the same": [5] * count,
        "all different": list(range(count)),
    }[classes]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(1, 4))
    points = rng.standard_normal((count, size))
    if draw(st.booleans()):
        points = rng.integers(-1, 2, (count, size)).astype(float)
    return {"labels": labels, "points": points.tolist()}


def slow_hardest(points: list[list[float]], labels: list[int]) -> list[tuple[float, float]]:
    pairs = []
    for i, anchor in enumerate(points):
        same = [math.dist(anchor, points[j]) for j in range(len(points))
                if labels[j] == labels[i] and j != i]  # fmt: skip
        other = [math.dist(anchor, points[j]) for j in range(len(points)) if labels[j] != labels[i]]
        if same and other:
            pairs.append((max(same), min(other)))
    return pairs


def tensors(batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
    points_BD = torch.tensor(batch["points"], dtype=torch.float64, requires_grad=True)
    return points_BD, torch.tensor(batch["labels"])


@CHECKED
@given(batches())
def test_hardest_pairs_equal_the_loops(batch: dict[str, Any]) -> None:
    points_BD, labels_B = tensors(batch)
    found = hardest_pairs(pairwise_distances(points_BD), labels_B)
    expected = slow_hardest(batch["points"], batch["labels"])
    assert found.positive_A.tolist() == pytest.approx([p for p, _ in expected], abs=1e-12)
    assert found.negative_A.tolist() == pytest.approx([n for _, n in expected], abs=1e-12)


@CHECKED
@given(batches())
def test_gradient_of_mined_pairs_is_finite(batch: dict[str, Any]) -> None:
    points_BD, labels_B = tensors(batch)
    found = hardest_pairs(pairwise_distances(points_BD), labels_B)
    (found.positive_A.sum() - found.negative_A.sum()).backward()
    assert points_BD.grad is not None
    assert torch.isfinite(points_BD.grad).all()


@CHECKED
@given(batches())
def test_gradient_of_the_whole_chain_is_finite(batch: dict[str, Any]) -> None:
    """Raw network output, zero vectors included, to space, pairs and loss."""
    points_BD, labels_B = tensors(batch)
    found = hardest_pairs(pairwise_distances(l2(points_BD, 1.0)), labels_B)
    exponential_triplet_loss(
        found.positive_A / 2, found.negative_A / 2, class_radius=0.0
    ).backward()
    assert points_BD.grad is not None
    assert torch.isfinite(points_BD.grad).all()


def test_only_the_hardest_pairs_get_a_gradient() -> None:
    points_BD = torch.tensor([[0.0], [1.0], [3.0], [7.0], [20.0]], requires_grad=True)
    found = hardest_pairs(pairwise_distances(points_BD), torch.tensor([0, 0, 0, 1, 1]))
    positive_0, negative_0 = found.positive_A[0], found.negative_A[0]
    (positive_0 + negative_0).backward()  # anchor 0: positive at 3, negative at 7
    assert points_BD.grad is not None
    assert points_BD.grad.flatten().tolist() == [-2.0, 0.0, 1.0, 1.0, 0.0]


def test_two_equal_points_are_at_distance_zero_with_gradient_zero() -> None:
    points_BD = torch.tensor([[0.3, 0.7], [0.3, 0.7]], requires_grad=True)
    distances_BB = pairwise_distances(points_BD)
    distances_BB.sum().backward()
    assert (distances_BB == 0).all()
    assert points_BD.grad is not None
    assert (points_BD.grad == 0).all()


def test_small_distances_between_long_vectors_are_kept() -> None:
    """|x|^2 + |y|^2 - 2xy gives 0 or noise here in float32."""
    points_BD = torch.tensor([[1000.0, 0.0], [1000.0, 1e-3]])
    assert float(pairwise_distances(points_BD)[0, 1]) == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_distances_of_narrow_floats_are_float32(dtype: torch.dtype) -> None:
    points_BD = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=dtype)
    distances_BB = pairwise_distances(points_BD)
    assert distances_BB.dtype == torch.float32
    assert float(distances_BB[0, 1]) == 5
