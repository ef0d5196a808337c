"""The exponential triplet loss against a plain loop in double precision."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.losses.config import Reduction
from training.losses.exponential import barrier, exponential_triplet_loss

CHECKED = settings(derandomize=True, database=None, max_examples=100, deadline=None)
REDUCTIONS = st.sampled_from(["inside_log", "outside_log"])
# Extremes and kinks of the formula as well as anything between them.
SHARES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1 - 1e-7, 1 - 1e-6, 1.0]), st.floats(0, 1))
PAIRS = st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=8)


def slow_loss(
    pairs: list[tuple[float, float]], *, c_n: float, c_pos: float, c_neg: float, reduction: str
) -> float:
    """The formula of the paper, one pair at a time, with our bound on the share in the log."""
    too_far = [max(positive - c_n, 0) / (1 - c_n) for positive, _ in pairs]
    too_near = [max(0.5 - negative, 0) / 0.5 for _, negative in pairs]
    total = 0.0
    for weight, shares in ((c_pos, too_far), (c_neg, too_near)):
        if reduction == "inside_log":
            shares = [sum(shares) / len(shares)]
        logs = [-math.log(1 - min(share, 0.999999)) for share in shares]
        total += weight * sum(logs) / len(logs)
    return total


def columns(
    pairs: list[tuple[float, float]], dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    positive_A, negative_A = torch.tensor(pairs, dtype=dtype).T
    return positive_A.clone().requires_grad_(), negative_A.clone().requires_grad_()


@CHECKED
@given(
    pairs=PAIRS,
    reduction=REDUCTIONS,
    c_n=st.sampled_from([0.0, 0.01, 0.25, 0.9]),
    c_pos=st.sampled_from([0.0, 1.0, 2.5]),
    c_neg=st.sampled_from([0.0, 1.0, 0.3]),
)
def test_loss_equals_the_plain_loop(
    pairs: list[tuple[float, float]], reduction: Reduction, c_n: float, c_pos: float, c_neg: float
) -> None:
    found = exponential_triplet_loss(
        *columns(pairs), class_radius=c_n, c_pos=c_pos, c_neg=c_neg, reduction=reduction
    )
    assert found.shape == ()
    oracle = slow_loss(pairs, c_n=c_n, c_pos=c_pos, c_neg=c_neg, reduction=reduction)
    assert float(found.detach()) == pytest.approx(oracle, rel=1e-6, abs=1e-12)


@CHECKED
@given(pairs=PAIRS, reduction=REDUCTIONS, dtype=st.sampled_from([torch.float32, torch.float64]))
def test_loss_and_gradient_are_finite_wherever_distances_are(
    pairs: list[tuple[float, float]], reduction: Reduction, dtype: torch.dtype
) -> None:
    positive_A, negative_A = columns(pairs, dtype)
    loss = exponential_triplet_loss(positive_A, negative_A, class_radius=0.0, reduction=reduction)
    loss.backward()
    assert torch.isfinite(loss)
    assert 0 <= float(loss.detach()) < 2 * 13.9
    for gradient in (positive_A.grad, negative_A.grad):
        assert gradient is not None
        assert torch.isfinite(gradient).all()


@CHECKED
@given(pairs=PAIRS, reduction=REDUCTIONS)
def test_gradient_never_pushes_positives_apart_nor_negatives_together(
    pairs: list[tuple[float, float]], reduction: Reduction
) -> None:
    positive_A, negative_A = columns(pairs)
    exponential_triplet_loss(
        positive_A, negative_A, class_radius=0.1, reduction=reduction
    ).backward()
    assert positive_A.grad is not None
    assert negative_A.grad is not None
    assert (positive_A.grad >= 0).all()
    assert (negative_A.grad <= 0).all()


@pytest.mark.parametrize("reduction", ["inside_log", "outside_log"])
def test_gradient_equals_finite_differences_away_from_kinks(reduction: Reduction) -> None:
    positive_A, negative_A = columns([(0.3, 0.1), (0.5, 0.3), (0.9, 0.7), (0.05, 0.45)])
    assert torch.autograd.gradcheck(
        lambda p, n: exponential_triplet_loss(
            p, n, class_radius=0.1, c_pos=0.7, c_neg=1.3, reduction=reduction
        ),
        (positive_A, negative_A),
    )


def test_golden_values() -> None:
    """By hand: shares 0.5 and 0 of positives, 0.5 and 0 of negatives."""
    positive_A, negative_A = columns([(0.5, 0.25), (0.0, 0.5)])

    def loss(reduction: Reduction) -> float:
        return float(
            exponential_triplet_loss(
                positive_A, negative_A, class_radius=0.0, reduction=reduction
            ).detach()
        )

    assert loss("inside_log") == pytest.approx(2 * math.log(4 / 3), rel=1e-12)
    assert loss("outside_log") == pytest.approx(math.log(2), rel=1e-12)


def test_satisfied_pairs_cost_nothing() -> None:
    loss = exponential_triplet_loss(*columns([(0.2, 0.5), (0.1, 1.0)]), class_radius=0.2)
    assert float(loss.detach()) == 0


@pytest.mark.parametrize("reduction", ["inside_log", "outside_log"])
def test_no_anchors_give_a_differentiable_zero(reduction: Reduction) -> None:
    embeddings = torch.ones(3, requires_grad=True)
    none = torch.zeros(3, dtype=torch.bool)
    loss = exponential_triplet_loss(
        embeddings[none], embeddings[none], class_radius=0.0, reduction=reduction
    )
    loss.backward()
    assert float(loss.detach()) == 0
    assert embeddings.grad is not None
    assert (embeddings.grad == 0).all()


# --- at and beyond the end of the logarithm ---


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reduction", ["inside_log", "outside_log"])
@pytest.mark.parametrize("share", [1 - 1e-6, 1.0, 1.5, 1e30])
def test_the_worst_pairs_keep_a_finite_slope(
    share: float, reduction: Reduction, dtype: torch.dtype
) -> None:
    """Shares beyond 1 come from the space `none`, which is larger than its assumed d_max."""
    share_A = torch.tensor([share, share], dtype=dtype, requires_grad=True)
    loss = barrier(share_A, edge=0.0, end=1.0, reduction=reduction)
    loss.backward()
    # float32 has no 1 - 1e-6: its nearest is 1.3 % further from 1.
    tolerance = 1e-9 if dtype == torch.float64 else 0.02
    assert float(loss.detach()) == pytest.approx(-math.log(1e-6), rel=tolerance)
    assert share_A.grad is not None
    assert share_A.grad.tolist() == pytest.approx([1e6 / 2] * 2, rel=tolerance)


def test_a_mean_beyond_the_end_pulls_on_every_pair() -> None:
    share_A = torch.tensor([0.2, 5.0], dtype=torch.float64, requires_grad=True)
    barrier(share_A, edge=0.0, end=1.0, reduction="inside_log").backward()
    assert share_A.grad is not None
    assert share_A.grad.tolist() == pytest.approx([1e6 / 2] * 2, rel=1e-9)


def test_slope_is_continuous_up_to_the_end() -> None:
    share_A = torch.tensor([0.01, 0.5, 0.99, 1 - 2e-6], dtype=torch.float64, requires_grad=True)
    (4 * barrier(share_A, edge=0.0, end=1.0, reduction="outside_log")).backward()
    assert share_A.grad is not None
    assert share_A.grad.tolist() == pytest.approx([1 / 0.99, 2.0, 100.0, 5e5], rel=1e-6)


@pytest.mark.parametrize("reduction", ["inside_log", "outside_log"])
def test_bfloat16_is_widened(reduction: Reduction) -> None:
    """1 - 1e-6 is 1 in it, and log(0) would follow."""
    far_A = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    near_A = torch.zeros(2, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = exponential_triplet_loss(far_A, near_A, class_radius=0.0, reduction=reduction)
    loss.backward()
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(-2 * math.log(1e-6), rel=0.02)
    assert far_A.grad is not None
    assert near_A.grad is not None
    assert torch.isfinite(torch.cat([far_A.grad, near_A.grad]).float()).all()


def test_positives_and_negatives_may_differ_in_number() -> None:
    positive_P = torch.tensor([0.5], dtype=torch.float64)
    negative_N = torch.tensor([0.25, 0.5, 0.5, 0.5], dtype=torch.float64)
    loss = exponential_triplet_loss(positive_P, negative_N, class_radius=0.0)
    assert float(loss) == pytest.approx(math.log(2) - math.log(1 - 0.125), rel=1e-12)


@pytest.mark.parametrize("class_radius", [-0.1, 1.0, 1.5, math.nan])
def test_a_class_radius_that_is_no_share_is_refused(class_radius: float) -> None:
    with pytest.raises(ValueError, match="lower the overlap"):
        exponential_triplet_loss(*columns([(0.5, 0.5)]), class_radius=class_radius)
