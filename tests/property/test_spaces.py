"""Embedding spaces against plain arithmetic on each vector, on everything that a float can be."""

import math
import sys
from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from contract.torchscript import torchscript_deprecation_silenced
from training.spaces import to_space

CHECKED = settings(derandomize=True, database=None, max_examples=150, deadline=None)
SPACES = ("l2", "unit_range", "unit_bounce", "bounce_limit", "none")
BALLS = SPACES[:4]
# Short, within the ball, on its surface, a few bounces out, and nothing at all.
COMPONENTS = st.one_of(
    st.sampled_from([0.0, -0.0, 0.5, -1.0, 2.0, 3.0, 5e-324, 1e-310, -1e-30, 1e-12]),
    st.floats(-20, 20),
)
VECTORS = st.lists(COMPONENTS, min_size=1, max_size=5)
HUGE = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5)
SCALES = st.sampled_from([0.5, 1.0, 7.0])


def slow_length(norm: float, space: str, c_s: float) -> float:
    """The new length of a vector, by the k and r of the paper."""
    k = math.floor(norm / c_s)
    r = norm - k * c_s
    bounced = r if k % 2 == 0 else c_s - r
    lengths = {
        "l2": c_s if norm else 0.0,
        "unit_range": min(norm, c_s),
        "unit_bounce": bounced,
        "bounce_limit": bounced if k < 2 else 0.0,
        "none": norm,
    }
    return lengths[space]


def slow_space(x: list[float], space: str, c_s: float) -> list[float]:
    length = slow_length(math.hypot(*x), space, c_s)
    # Subnormal numbers have few digits, so the direction is taken of their exact multiples.
    scaled = [math.ldexp(value, 900) for value in x] if max(map(abs, x)) < 1e-100 else x
    norm = math.hypot(*scaled)
    return [value / norm * length if norm else 0.0 for value in scaled]


def row(x: list[float], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor([x], dtype=dtype, requires_grad=True)


@CHECKED
@given(x=VECTORS, space=st.sampled_from(SPACES), scale=SCALES)
def test_spaces_equal_plain_arithmetic(x: list[float], space: str, scale: float) -> None:
    found = to_space(row(x), space, scale)
    assert found.dtype == torch.float64
    # A length near 0 after many bounces is a difference of two rounded numbers.
    expected = pytest.approx(slow_space(x, space, scale), rel=1e-9, abs=1e-13)
    assert found[0].tolist() == expected


@CHECKED
@given(x=VECTORS, space=st.sampled_from(SPACES), scale=SCALES)
def test_gradient_is_that_of_the_map_with_its_lengths_frozen(
    x: list[float], space: str, scale: float
) -> None:
    """Without `through_norm` gradcheck cannot hold: it moves x and with it the norm.

    With both lengths constants y = x * (length / |x|), whose derivative is that factor. Vectors
    shorter than 1e-6 count as that long in it.
    """
    upstream = [float(i + 1) for i in range(len(x))]
    x_1D = row(x)
    y_1D = to_space(x_1D, space, scale, through_norm=False)
    y_1D.backward(torch.tensor([upstream], dtype=torch.float64))
    norm = math.hypot(*x)
    length = scale if space == "l2" else slow_length(norm, space, scale)
    inside = space == "none" or (norm <= scale and space != "l2")
    factor = 1.0 if inside else length / max(norm, 1e-6)
    assert x_1D.grad is not None
    assert x_1D.grad[0].tolist() == pytest.approx(
        [factor * u for u in upstream], rel=1e-9, abs=1e-9
    )


@CHECKED
@given(x=VECTORS, space=st.sampled_from(SPACES), scale=SCALES)
def test_gradient_through_the_norm_is_the_derivative_of_the_map(
    x: list[float], space: str, scale: float
) -> None:
    norm = math.hypot(*x)
    # Not at a kink, where the length has two slopes, nor where the direction turns at a breath.
    assume(norm > 0.01 and abs(norm / scale - round(norm / scale)) > 1e-3)
    assert gradcheck(lambda x_1D: to_space(x_1D, space, scale), (row(x),), eps=1e-7, atol=1e-4)


def test_on_the_sphere_nothing_goes_back_along_the_vector_but_without_the_norm() -> None:
    for through_norm, along in ((True, 0.0), (False, 2.0)):
        x_1D = row([0.3, -0.4])
        y_1D = to_space(x_1D, "l2", 1.0, through_norm)
        y_1D.backward(y_1D.detach())
        assert x_1D.grad is not None
        assert float(x_1D.grad.norm()) == pytest.approx(along, abs=1e-12)


@CHECKED
@given(x=HUGE, space=st.sampled_from(BALLS), scale=SCALES)
def test_any_finite_vector_lands_in_the_ball_in_its_direction(
    x: list[float], space: str, scale: float
) -> None:
    x_1D = row(x)
    y = to_space(x_1D, space, scale)
    y.sum().backward()
    found = y[0].tolist()
    assert math.hypot(*found) <= scale * (1 + 1e-12)
    assert x_1D.grad is not None
    assert torch.isfinite(x_1D.grad).all()
    largest = max(abs(value) for value in x)
    length = math.hypot(*found)
    if largest and length > 1e-9:
        direction = [value / largest for value in x]
        norm = math.hypot(*direction)
        assert [value / length for value in found] == pytest.approx(
            [value / norm for value in direction], rel=1e-9, abs=1e-12
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("space", SPACES)
def test_extremes_are_finite_forward_and_backward(space: str, dtype: torch.dtype) -> None:
    largest, smallest = torch.finfo(dtype).max, torch.finfo(dtype).smallest_normal
    subnormal = smallest * torch.finfo(dtype).eps
    values = [largest, 1e30, 1.0, 1e-30, smallest, subnormal, 0.0]
    x_BD = torch.tensor([[v, -v, v] for v in values], dtype=dtype, requires_grad=True)
    y_BD = to_space(x_BD, space, 2.0)
    y_BD.sum().backward()
    assert torch.isfinite(y_BD).all()
    assert x_BD.grad is not None
    assert torch.isfinite(x_BD.grad).all()
    assert (y_BD[-1] == 0).all()
    if space in ("l2", "unit_range"):
        on_sphere = 2.0 / math.sqrt(3) * torch.tensor([1.0, -1.0, 1.0], dtype=dtype)
        assert torch.allclose(y_BD[:2], on_sphere.expand(2, 3), rtol=1e-6)
    if space == "l2":
        assert torch.allclose(y_BD[2:-1], on_sphere.expand(4, 3), rtol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_scripted_equals_eager_bit_by_bit(space: str) -> None:
    """The exported model is scripted; large, small and zero vectors take every branch."""
    with torchscript_deprecation_silenced():
        scripted: Callable[[Tensor, str, float], Tensor] = torch.jit.script(to_space)
    x_BD = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    x_BD *= torch.logspace(-45, 38, 64)[:, None]
    x_BD[0] = 0
    for scale in (0.5, 1.0, 7.0):
        assert torch.equal(scripted(x_BD, space, scale), to_space(x_BD, space, scale))


@pytest.mark.parametrize("space", ["unit_bounce", "bounce_limit"])
def test_bouncing_is_continuous(space: str) -> None:
    """Golden lengths along one direction, and no jump anywhere on the way."""
    norms = torch.linspace(0, 5, 5001, dtype=torch.float64)
    direction = torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    lengths = to_space(norms[:, None] * direction, space, 1.0).norm(dim=1)
    assert float(lengths.diff().abs().max()) <= 0.001 + 1e-9
    beyond = 0.5 if space == "unit_bounce" else 0.0
    golden = [0.0, 0.5, 1.0, 0.5, 0.0, beyond, 2 * beyond, beyond]
    assert lengths[:4000:500].tolist() == pytest.approx(golden, abs=1e-9)


def test_inside_the_ball_nothing_moves() -> None:
    x_BD = 0.1 * torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    for space in ("unit_range", "unit_bounce", "bounce_limit", "none"):
        assert torch.equal(to_space(x_BD, space, 1.0), x_BD)


@pytest.mark.parametrize("space", BALLS)
def test_what_is_no_number_stays_none(space: str) -> None:
    """The trainer stops on it; it must not turn into a finite embedding."""
    y_BD = to_space(torch.tensor([[math.nan, 1.0], [math.inf, 1.0]]), space, 1.0)
    assert torch.isnan(y_BD).any(dim=1).all()


def test_narrow_floats_keep_their_type() -> None:
    y_BD = to_space(torch.tensor([[3.0, 4.0]], dtype=torch.float16), "l2", 1.0)
    assert y_BD.dtype == torch.float16
    assert y_BD[0].tolist() == pytest.approx([0.6, 0.8], rel=1e-3)


def test_an_unknown_space_is_refused() -> None:
    with pytest.raises(ValueError, match="space must be"):
        to_space(torch.ones(1, 2), "sphere", 1.0)


def test_the_largest_float_is_larger_than_its_norm_would_be() -> None:
    """The case that the scaling in _polar is for."""
    x = [sys.float_info.max, sys.float_info.max]
    assert math.isinf(float(torch.tensor(x, dtype=torch.float64).square().sum()))
    assert to_space(row(x), "l2", 1.0)[0].tolist() == pytest.approx([math.sqrt(0.5)] * 2)
