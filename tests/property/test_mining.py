"""Hardest pairs against loops over all pairs, on batches with everything that breaks a mask."""

import math
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.losses.exponential import exponential_triplet_loss
from training.mining import hardest
from training.mining.distances import (
    NormalisedDistance,
    root,
    squared_of_all,
    squared_of_pairs,
)
from training.mining.hardest import HardestPairs, hardest_pairs, pair_masks
from training.spaces import l2

CHECKED = settings(derandomize=True, database=None, max_examples=150, deadline=None)


@st.composite
def batches(draw: st.DrawFn) -> dict[str, Any]:
    """Labels and points; whole numbers make duplicates and zero vectors, few classes make gaps.

    The first `anchors` of them are anchors, the others further candidates.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = int(rng.choice([1, 2, 3, 6, 9, 14]))
    labels = draw(
        st.one_of(
            st.sampled_from([[5] * count, list(range(count))]),
            *[st.just(rng.integers(0, classes, count).tolist()) for classes in (2, 3, 4, 6)],
        )
    )
    shape = (count, draw(st.integers(1, 4)))
    points = draw(
        st.sampled_from([rng.standard_normal(shape), rng.integers(-1, 2, shape).astype(float)])
    )
    anchors = draw(st.sampled_from([count, 1 + count // 2]))
    return {"labels": labels, "points": points.tolist(), "anchors": min(anchors, count)}


def slow_cosine(a: list[float], b: list[float]) -> float:
    """(1 - cos) / 2; zero vectors are at right angles to others, and equal to each other."""
    lengths = math.hypot(*a) * math.hypot(*b)
    if lengths == 0:
        return 0.0 if math.hypot(*a) == math.hypot(*b) else 0.5
    return (1 - sum(x * y for x, y in zip(a, b, strict=True)) / lengths) / 2


SLOW = {
    "euclidean": lambda a, b: math.dist(a, b) / 4,
    "squared_euclidean": lambda a, b: math.dist(a, b) ** 2 / 16,
    "cosine": slow_cosine,
}


def slow_hardest(batch: dict[str, Any], kind: str = "euclidean") -> list[tuple[float, float]]:
    """Shares of d_max = 4, one pair at a time."""
    points, labels = batch["points"], batch["labels"]
    pairs = []
    for i in range(batch["anchors"]):
        same = [SLOW[kind](points[i], points[j]) for j in range(len(points))
                if labels[j] == labels[i] and j != i]  # fmt: skip
        other = [SLOW[kind](points[i], points[j]) for j in range(len(points))
                 if labels[j] != labels[i]]  # fmt: skip
        if same and other:
            pairs.append((max(same), min(other)))
    return pairs


def shares(
    points_CD: Tensor, labels: list[int], anchors: int, kind: Any = "euclidean"
) -> tuple[Tensor, Tensor]:
    """Of the mined pairs, as the loss sees them."""
    distance = NormalisedDistance(kind, 4.0)
    mapped_CD = distance.points(points_CD)
    pairs = hardest_pairs(mapped_CD, torch.tensor(labels), anchors)
    return (
        distance.of_squares(squared_of_pairs(mapped_CD, pairs.anchor_T, pairs.positive_T)),
        distance.of_squares(squared_of_pairs(mapped_CD, pairs.anchor_T, pairs.negative_T)),
    )


def points_of(batch: dict[str, Any], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(batch["points"], dtype=dtype, requires_grad=True)


@CHECKED
@given(batch=batches(), kind=st.sampled_from(sorted(SLOW)))
def test_hardest_pairs_equal_the_loops(batch: dict[str, Any], kind: str) -> None:
    positive_A, negative_A = shares(points_of(batch), batch["labels"], batch["anchors"], kind)
    expected = slow_hardest(batch, kind)
    tolerance = {"rel": 1e-9, "abs": 1e-12}
    assert positive_A.tolist() == pytest.approx([p for p, _ in expected], **tolerance)
    assert negative_A.tolist() == pytest.approx([n for _, n in expected], **tolerance)


@CHECKED
@given(batch=batches(), kind=st.sampled_from(sorted(SLOW)))
def test_all_distances_equal_the_loops(batch: dict[str, Any], kind: Any) -> None:
    distance = NormalisedDistance(kind, 4.0)
    points_BD = points_of(batch)
    mapped_BD = distance.points(points_BD)
    found = distance.of_squares(squared_of_all(mapped_BD, mapped_BD))
    found.sum().backward()
    expected = [[SLOW[kind](a, b) for b in batch["points"]] for a in batch["points"]]
    assert found.flatten().tolist() == pytest.approx(
        [share for row in expected for share in row], rel=1e-6, abs=1e-7
    )
    assert points_BD.grad is not None
    assert torch.isfinite(points_BD.grad).all()


@CHECKED
@given(batch=batches(), kind=st.sampled_from(sorted(SLOW)))
def test_gradient_of_mined_pairs_is_finite(batch: dict[str, Any], kind: str) -> None:
    points_BD = points_of(batch)
    positive_A, negative_A = shares(points_BD, batch["labels"], batch["anchors"], kind)
    (positive_A.sum() - negative_A.sum()).backward()
    assert points_BD.grad is not None
    assert torch.isfinite(points_BD.grad).all()


@CHECKED
@given(batch=batches(), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_gradient_of_the_whole_chain_is_finite(batch: dict[str, Any], dtype: torch.dtype) -> None:
    """Raw network output, zero vectors included, to space, pairs and loss."""
    points_BD = points_of(batch, dtype)
    exponential_triplet_loss(
        *shares(l2(points_BD, 2.0), batch["labels"], batch["anchors"]), class_radius=0.0
    ).backward()
    assert points_BD.grad is not None
    assert torch.isfinite(points_BD.grad).all()


@pytest.mark.parametrize("kind", sorted(SLOW))
def test_gradient_equals_finite_differences(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    points_BD = torch.randn(7, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = [0, 0, 0, 1, 1, 2, 2]
    assert torch.autograd.gradcheck(lambda x: shares(x, labels, 5, kind), (points_BD,))


def test_only_the_hardest_pairs_get_a_gradient() -> None:
    points_BD = torch.tensor([[0.0], [1.0], [3.0], [7.0], [20.0]], requires_grad=True)
    positive_A, negative_A = shares(points_BD, [0, 0, 0, 1, 1], 5)
    (4 * positive_A[0] + 4 * negative_A[0]).backward()  # anchor 0: positive at 3, negative at 7
    assert points_BD.grad is not None
    assert points_BD.grad.flatten().tolist() == [-2.0, 0.0, 1.0, 1.0, 0.0]


def test_two_equal_points_are_at_distance_zero_with_gradient_zero() -> None:
    points_BD = torch.tensor([[0.3, 0.7], [0.3, 0.7]], requires_grad=True)
    pair = torch.tensor([0]), torch.tensor([1])
    one = root(squared_of_pairs(points_BD, *pair))
    every = root(squared_of_all(points_BD, points_BD))
    (one.sum() + every.sum()).backward()
    assert float(one.detach()) == 0
    assert (every == 0).all()
    assert points_BD.grad is not None
    assert (points_BD.grad == 0).all()


# --- what float32 may and may not do to the choice ---


def exact(points_CD: Tensor, labels: list[int]) -> list[tuple[float, float]]:
    batch = {"points": points_CD.tolist(), "labels": labels, "anchors": len(labels)}
    return slow_hardest(batch)


@pytest.mark.parametrize("offset", [0.0, 1.0, 1000.0])
@pytest.mark.parametrize("spread", [1.0, 1e-3])
def test_close_candidates_are_told_apart_in_float32(
    spread: float, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far from the origin |y|^2 - 2xy is all rounding in float32: 0.06 at 1000."""
    monkeypatch.setattr(hardest, "LARGE_PRODUCT", 0)
    generator = torch.Generator().manual_seed(3)
    points_CD = offset + spread * torch.randn(60, 8, generator=generator)
    labels = [i // 3 for i in range(60)]
    positive_A, negative_A = shares(points_CD, labels, 60)
    expected = exact(points_CD, labels)
    # Of the lengths: what the order in float64 may confuse, and float32 may lose of a value.
    rounding = 1e-7 * (offset + 3 * spread) / 4
    assert positive_A.tolist() == pytest.approx([p for p, _ in expected], rel=1e-6, abs=rounding)
    assert negative_A.tolist() == pytest.approx([n for _, n in expected], rel=1e-6, abs=rounding)


def test_near_duplicates_on_the_sphere_are_told_apart_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mislabelled twins: the nearest of another class at 1e-5, the next at 1e-4.

    Their |y|^2 - 2xy differ by 1e-8, which float32 next to 1 does not hold.
    """
    monkeypatch.setattr(hardest, "LARGE_PRODUCT", 0)
    generator = torch.Generator().manual_seed(4)
    base_BD = torch.nn.functional.normalize(torch.randn(20, 16, generator=generator), dim=1)
    steps = [0.0, 3e-4, 1e-5, 1e-4]
    side_BD = torch.nn.functional.normalize(torch.randn(20, 16, generator=generator), dim=1)
    points_CD = torch.cat([base_BD + step * side_BD for step in steps])
    labels = [0] * 20 + [0] * 20 + [1] * 20 + [2] * 20
    _, negative_A = shares(points_CD, labels, 20)
    expected = [n for _, n in exact(points_CD, labels)[:20]]
    assert max(expected) < 1e-5
    assert negative_A.tolist() == pytest.approx(expected, rel=1e-5)


@CHECKED
@given(batch=batches(), scale=st.sampled_from([1e-15, 1.0, 1e15]))
def test_float32_and_float64_choose_equally_hard_pairs(batch: dict[str, Any], scale: float) -> None:
    points_BD = (points_of(batch, torch.float32) * scale).detach()
    with patch.object(hardest, "LARGE_PRODUCT", 0):
        narrow = shares(points_BD, batch["labels"], batch["anchors"])
    wide = shares(points_BD.double(), batch["labels"], batch["anchors"])
    for found, expected in zip(narrow, wide, strict=True):
        assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6, abs=1e-7 * scale)


def test_a_large_batch_is_mined_in_float32_first_and_as_well() -> None:
    generator = torch.Generator().manual_seed(6)
    points_BD = torch.nn.functional.normalize(torch.randn(600, 16, generator=generator), dim=1)
    labels_B = torch.arange(600) // 3
    assert hardest.LARGE_PRODUCT < 600 * 600 * 16
    found = hardest_pairs(points_BD, labels_B, 600)
    assert same_pairs(found, hardest_pairs(points_BD.double(), labels_B, 600))


def clustered() -> tuple[Tensor, Tensor]:
    """Classes so tight that bfloat16, and TF32, cannot order their samples."""
    generator = torch.Generator().manual_seed(5)
    centre_BD = torch.randn(10, 8, generator=generator).repeat_interleave(4, dim=0)
    points_BD = centre_BD + 1e-3 * torch.randn(40, 8, generator=generator)
    return points_BD, torch.arange(10).repeat_interleave(4)


def same_pairs(found: HardestPairs, expected: HardestPairs) -> bool:
    return all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_autocast_changes_neither_choice_nor_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardest, "LARGE_PRODUCT", 0)
    points_BD, labels_B = clustered()
    expected = hardest_pairs(points_BD.double(), labels_B, 40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = hardest_pairs(points_BD, labels_B, 40)
        squared_A = squared_of_pairs(points_BD, found.anchor_T, found.positive_T)
        squared_BB = squared_of_all(points_BD, points_BD)
    assert same_pairs(found, expected)
    assert squared_A.dtype == torch.float32
    assert squared_BB.dtype == torch.float64
    assert torch.equal(squared_BB, squared_of_all(points_BD, points_BD))


def test_float32_is_not_trusted_where_it_may_be_computed_as_less() -> None:
    """Not every processor has the shorter products, so the decision itself is looked at."""
    points_BD = torch.randn(600, 16)
    assert hardest._float32_pays(points_BD, 600)
    assert not hardest._float32_pays(points_BD, 60)
    assert not hardest._float32_pays(points_BD.double(), 600)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not hardest._float32_pays(points_BD, 600)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        assert not hardest._float32_pays(points_BD, 600)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_points_of_narrow_floats_are_float32(dtype: torch.dtype) -> None:
    points_BD = NormalisedDistance("euclidean", 2.0).points(
        torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=dtype)
    )
    assert points_BD.dtype == torch.float32
    assert float(squared_of_pairs(points_BD, torch.tensor([0]), torch.tensor([1]))) == 25


def test_an_anchor_is_no_positive_of_itself_but_of_its_copy() -> None:
    positive_RC, negative_RC = pair_masks(torch.tensor([0, 1, 0, 0]), torch.tensor([2, 1]))
    assert positive_RC.tolist() == [[True, False, False, True], [False, False, False, False]]
    assert negative_RC.tolist() == [[False, True, False, False], [True, False, True, True]]
