"""The standard triplet loss against loops over triplets, in double precision."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.losses.config import Keep
from training.losses.standard import all_standard_triplets_loss, standard_triplet_loss
from training.mining.distances import squared_of_all
from training.mining.hardest import pair_masks

CHECKED = settings(derandomize=True, database=None, max_examples=150, deadline=None)
KEEPS: tuple[Keep, ...] = ("none", "hard", "semi_hard")
# Whole numbers meet the conditions with equality.
SQUARES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0, 4.0]), st.floats(0, 4))
MARGINS = st.sampled_from([-0.25, 0.0, 0.2, 0.25, 1.0])


class Triplet(NamedTuple):
    d_p: float
    d_n: float


def slow_mean(triplets: list[Triplet], margin: float, keep: str) -> float:
    """The formula, one triplet at a time."""
    total, count = 0.0, 0
    for d_p, d_n in triplets:
        if keep in ("hard", "semi_hard") and not d_n < d_p + margin:
            continue
        if keep == "semi_hard" and not d_p < d_n:
            continue
        total += max(d_p - d_n + margin, 0.0)
        count += 1
    return total / count if count else 0.0


def slow_triplets(points: list[list[float]], labels: list[int]) -> list[Triplet]:
    """All triplets of a batch, B^3 of them looked at."""
    rows = range(len(points))

    def squared(i: int, j: int) -> float:
        return sum((x - y) ** 2 for x, y in zip(points[i], points[j], strict=True))

    return [
        Triplet(squared(a, p), squared(a, n))
        for a in rows
        for p in rows
        for n in rows
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
    ]


@CHECKED
@given(
    triplets=st.lists(st.builds(Triplet, SQUARES, SQUARES), max_size=8),
    margin=MARGINS,
    keep=st.sampled_from(KEEPS),
)
def test_given_triplets_equal_the_loop(triplets: list[Triplet], margin: float, keep: Keep) -> None:
    columns = torch.tensor(triplets, dtype=torch.float64).reshape(-1, 2).requires_grad_()
    loss = standard_triplet_loss(columns[:, 0], columns[:, 1], margin=margin, keep=keep)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(slow_mean(triplets, margin, keep), rel=1e-9)
    assert columns.grad is not None
    assert torch.isfinite(columns.grad).all()


@st.composite
def batches(draw: st.DrawFn) -> dict[str, Any]:
    """Whole numbers make duplicates, ties and zero vectors; few classes make gaps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = int(rng.choice([1, 2, 3, 6, 8, 9]))
    labels = draw(
        st.one_of(
            st.sampled_from([[3] * count, list(range(count))]),
            *[st.just(rng.integers(0, classes, count).tolist()) for classes in (2, 3, 4)],
        )
    )
    points = draw(
        st.sampled_from(
            [rng.standard_normal((count, 3)), rng.integers(-1, 2, (count, 3)).astype(float)]
        )
    )
    return {"points": points.tolist(), "labels": labels}


def all_triplets(
    points_BD: torch.Tensor, labels: list[int], margin: float, keep: Keep
) -> torch.Tensor:
    squared_BB = squared_of_all(points_BD, points_BD)
    masks = pair_masks(torch.tensor(labels), torch.arange(len(labels)))
    return all_standard_triplets_loss(squared_BB, *masks, margin=margin, keep=keep)


@CHECKED
@given(batch=batches(), margin=MARGINS, keep=st.sampled_from(KEEPS))
def test_all_triplets_equal_the_loops(batch: dict[str, Any], margin: float, keep: Keep) -> None:
    points_BD = torch.tensor(batch["points"], dtype=torch.float64, requires_grad=True)
    loss = all_triplets(points_BD, batch["labels"], margin, keep)
    loss.backward()
    expected = slow_mean(slow_triplets(batch["points"], batch["labels"]), margin, keep)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert points_BD.grad is not None
    assert torch.isfinite(points_BD.grad).all()
    if not slow_triplets(batch["points"], batch["labels"]):
        assert (points_BD.grad == 0).all()


@pytest.mark.parametrize("keep", KEEPS)
def test_gradient_of_all_triplets_is_that_of_the_plain_form(keep: Keep) -> None:
    """Autograd through B^3 hinges, and finite differences."""
    generator = torch.Generator().manual_seed(0)
    points_BD = torch.randn(9, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = [0, 0, 0, 1, 1, 1, 2, 2, 3]
    assert torch.autograd.gradcheck(lambda x: all_triplets(x, labels, 0.7, keep), (points_BD,))
    hinges, count = [], 0
    for a in range(9):
        for p in range(9):
            for n in range(9):
                if a == p or labels[a] != labels[p] or labels[a] == labels[n]:
                    continue
                d_p = (points_BD[a] - points_BD[p]).square().sum()
                d_n = (points_BD[a] - points_BD[n]).square().sum()
                if keep == "semi_hard" and not d_p < d_n:
                    continue
                hinges.append((d_p - d_n + 0.7).clamp_min(0))
                count += keep == "none" or bool(d_n < d_p + 0.7)
    (plain,) = torch.autograd.grad(torch.stack(hinges).sum() / count, points_BD)
    (fast,) = torch.autograd.grad(all_triplets(points_BD, labels, 0.7, keep), points_BD)
    assert torch.allclose(fast, plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("keep", KEEPS)
def test_float32_far_from_the_origin_keeps_the_digits_of_its_differences(keep: Keep) -> None:
    """|x|^2 + |y|^2 - 2xy in float32 is off by 1 here; the prefix sums would be off by more."""
    generator = torch.Generator().manual_seed(0)
    points_BD = 1000 + torch.randn(30, 4, generator=generator)
    labels = [i // 3 for i in range(30)]
    expected = slow_mean(slow_triplets(points_BD.tolist(), labels), 0.2, keep)
    assert float(all_triplets(points_BD, labels, 0.2, keep)) == pytest.approx(expected, rel=1e-6)


def test_golden_filters() -> None:
    """By hand, margin 1: hinges 1.5 (hard), 0.5 (semi-hard), 0 at the limit, 0 beyond it."""
    positive_T = torch.tensor([2.0, 2.0, 2.0, 2.0])
    negative_T = torch.tensor([1.5, 2.5, 3.0, 4.0])

    def loss(keep: Keep) -> float:
        return float(standard_triplet_loss(positive_T, negative_T, margin=1.0, keep=keep))

    assert loss("none") == pytest.approx(2.0 / 4)
    assert loss("hard") == pytest.approx(2.0 / 2)
    assert loss("semi_hard") == pytest.approx(0.5)
