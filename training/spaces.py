"""Embedding spaces as tensor maps, the same in training and in the exported model.

Every map keeps the direction of a vector and changes its length alone: y = x * (length / |x|).
`through_norm` says what goes backward. True is the derivative of the map. False takes |x| and the
new length for constants, as the paper does: the gradient is multiplied by length / |x| and keeps
its part along x. On the sphere that part says nothing of where y should go: losses that pull
together shorten x by it, and the shorter x is the larger are its gradients (docs/measurements.md,
"Gradients through the norm").

Lengths are formed without squaring large or small numbers, so that every finite vector, from the
smallest subnormal to the largest float, gets its exact place. What has no direction, the zero
vector, stays zero in every space.

Shapes: B batch, D embedding size.
"""

import torch
from torch import Tensor

# Below this length the backward pass divides by it instead of by |x|: the gradient of a (nearly)
# zero vector stays finite.
SHORTEST = 1e-6


def to_space(x_BD: Tensor, space: str, scale: float, through_norm: bool = True) -> Tensor:
    """Raw network output, any float (B, D), into one of the five spaces of radius `scale` > 0.

    Works under torch.jit.script. Raises ValueError for a space that there is not.
    """
    if space == "l2":
        return l2(x_BD, scale, through_norm)
    if space == "unit_range":
        return unit_range(x_BD, scale, through_norm)
    if space == "unit_bounce":
        return unit_bounce(x_BD, scale, through_norm)
    if space == "bounce_limit":
        return bounce_limit(x_BD, scale, through_norm)
    if space == "none":
        return x_BD
    raise ValueError(
        "space must be l2, unit_range, unit_bounce, bounce_limit or none, not " + space + "."
    )


def l2(x_BD: Tensor, scale: float, through_norm: bool = True) -> Tensor:
    """Onto the sphere of radius `scale`: c_s * x / |x|. Slides, "Embedding spaces"."""
    norm_B1, unit_BD = _polar(x_BD)
    length_B1, slope_B1 = torch.full_like(norm_B1, scale), torch.zeros_like(norm_B1)
    return _with_length(x_BD, norm_B1, unit_BD, length_B1, slope_B1, through_norm)


def unit_range(x_BD: Tensor, scale: float, through_norm: bool = True) -> Tensor:
    """Into the ball of radius `scale`: x where |x| <= c_s, else c_s * x / |x|.

    Slides, "Embedding spaces": short vectors stay short, bit by bit.
    """
    norm_B1, unit_BD = _polar(x_BD)
    length_B1, slope_B1 = torch.full_like(norm_B1, scale), torch.zeros_like(norm_B1)
    pulled_BD = _with_length(x_BD, norm_B1, unit_BD, length_B1, slope_B1, through_norm)
    return torch.where(norm_B1 <= scale, x_BD, pulled_BD)


def unit_bounce(x_BD: Tensor, scale: float, through_norm: bool = True) -> Tensor:
    """Into the ball of radius `scale`; what is longer bounces between its surface and its centre.

    With n = |x|, k = floor(n / c_s) and r = n - k * c_s the new length is r for even k and c_s - r
    for odd k: a triangle wave of n, continuous at every multiple of c_s.

    Where we differ: the slides' formula is garbled by typesetting, this is its reading without
    jumps; the research code takes (r - c_s) * x / n for even k, which turns the direction round
    and jumps. Beyond 1 / eps times c_s (float32: 8e6) floats have no fraction left to bounce by;
    the length is then anything in [0, c_s], the direction still that of x.
    """
    norm_B1, unit_BD = _polar(x_BD)
    # remainder() is exact in floats; k itself is never formed.
    phase_B1 = torch.remainder(norm_B1, 2.0 * scale)
    bounced_B1 = torch.where(phase_B1 <= scale, phase_B1, 2.0 * scale - phase_B1)
    slope_B1 = torch.where(phase_B1 <= scale, 1.0, -1.0).to(norm_B1.dtype)
    bounced_BD = _with_length(x_BD, norm_B1, unit_BD, bounced_B1, slope_B1, through_norm)
    return torch.where(norm_B1 <= scale, x_BD, bounced_BD)


def bounce_limit(x_BD: Tensor, scale: float, through_norm: bool = True) -> Tensor:
    """`unit_bounce` with one bounce: k = 0 keeps x, k = 1 bounces, k >= 2 gives the zero vector.

    So the new length is n up to c_s, 2 * c_s - n up to 2 * c_s, then 0. Where we differ: the slides
    do not have it; the research code sends k >= 2 to nearly 0, we to 0, and then no gradient comes
    through either.
    """
    norm_B1, unit_BD = _polar(x_BD)
    bounced_B1 = (2.0 * scale - norm_B1).clamp_min(0.0)
    slope_B1 = torch.where(norm_B1 < 2.0 * scale, -1.0, 0.0).to(norm_B1.dtype)
    bounced_BD = _with_length(x_BD, norm_B1, unit_BD, bounced_B1, slope_B1, through_norm)
    return torch.where(norm_B1 <= scale, x_BD, bounced_BD)


def _polar(x_BD: Tensor) -> tuple[Tensor, Tensor]:
    """|x| (B, 1) and x / |x| (B, D), both without gradient; the zero vector has direction zero.

    |x| beyond the largest float is returned as the largest float.
    """
    fixed_BD = x_BD.detach()
    peak_B1 = fixed_BD.abs().amax(dim=1, keepdim=True)
    # Magnitudes in [0, 1]: their squares neither overflow nor all vanish.
    shrunk_BD = fixed_BD / torch.where(peak_B1 == 0, torch.ones_like(peak_B1), peak_B1)
    shrunk_norm_B1 = torch.linalg.vector_norm(shrunk_BD, dim=1, keepdim=True)
    # Infinity becomes the largest float; NaN stays NaN for the trainer to see.
    norm_B1 = torch.nan_to_num(peak_B1 * shrunk_norm_B1, nan=float("nan"))
    return norm_B1, shrunk_BD / shrunk_norm_B1.clamp_min(1.0)


def _with_length(
    x_BD: Tensor,
    norm_B1: Tensor,
    unit_BD: Tensor,
    length_B1: Tensor,
    slope_B1: Tensor,
    through_norm: bool,
    shortest: float = SHORTEST,
) -> Tensor:
    """unit * length, whose gradient is multiplied by length / max(|x|, shortest).

    slope_B1: derivative of the length by |x|, which `through_norm` takes for the part along x.
    """
    # As a default value, because TorchScript sees no constants of the module.
    factor_B1 = length_B1 / norm_B1.clamp_min(shortest)
    # x - x is zero: it carries the gradient and no value.
    carrier_BD = x_BD - x_BD.detach()
    if through_norm:
        along_BD = unit_BD * (unit_BD * carrier_BD).sum(dim=1, keepdim=True)
        carried_BD = (carrier_BD - along_BD) * factor_B1 + along_BD * slope_B1
    else:
        carried_BD = carrier_BD * factor_B1
    return unit_BD * length_B1 + carried_BD
