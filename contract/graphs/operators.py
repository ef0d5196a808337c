"""What each of torch's operators is in ONNX: one table.

Those that bundles have. An operator that is not here, or one of its ways that is not, is refused in
words; what comes of them all is compared with TorchScript before it is used (parity.py).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from contract.graphs.drawing import Drawing, UnsupportedOperatorError

Operator = Callable[..., str]


def _two(kind: str) -> Operator:
    def operator(draw: Drawing, a: Any, b: Any, *, alpha: float = 1) -> str:
        if alpha != 1:
            raise UnsupportedOperatorError(f"{kind} times {alpha}")
        return draw.node(kind, *draw.alike(a, b))

    return operator


def _one(kind: str) -> Operator:
    return lambda draw, a: draw.node(kind, draw.name(a))


def _over(kind: str) -> Operator:
    """Over dimensions, all of the crops' if none is named."""

    def operator(draw: Drawing, a: Any, dims: Sequence[int], keep: bool = False) -> str:
        return draw.node(kind, draw.name(a), draw.whole(dims), keepdims=int(keep))

    return operator


def _norm(
    draw: Drawing, a: Any, order: float = 2, dims: Sequence[int] = (), keep: bool = False
) -> str:
    if order != 2:
        raise UnsupportedOperatorError(f"a norm of order {order}")
    return _over("ReduceL2")(draw, a, dims, keep)


def _clip(draw: Drawing, a: Any, least: Any = None, most: Any = None) -> str:
    limits = ("" if limit is None else draw.number(limit, a) for limit in (least, most))
    return draw.node("Clip", draw.name(a), *limits)


def _same(draw: Drawing, a: Any, **_: Any) -> str:
    return draw.name(a)


def _cast(draw: Drawing, a: Any, *, dtype: torch.dtype | None = None, **_: Any) -> str:
    return draw.name(a) if dtype is None else draw.node("Cast", draw.name(a), to=draw.kind(dtype))


def _view(draw: Drawing, a: Any, shape: Sequence[int]) -> str:
    # What comes first in both is the batch, which may be of any size: 0 takes it over.
    kept = len(shape) > 0 and a.dim() > 0 and a.shape[0] == shape[0]
    return draw.node("Reshape", draw.name(a), draw.whole([0, *shape[1:]] if kept else shape))


def _restrided(draw: Drawing, a: Any, shape: Sequence[int], steps: Sequence[int]) -> str:
    """The same numbers in the same order, said anew: what averages over pixels come with."""
    moved = any(n > 1 and a.stride(i) != steps[i] for i, n in enumerate(shape))
    if tuple(shape) != tuple(a.shape) or moved:
        raise UnsupportedOperatorError("as_strided, another order of its numbers")
    return draw.name(a)


def _slice(
    draw: Drawing, a: Any, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> str:  # fmt: skip
    if start is None and end is None and step == 1:
        return draw.name(a)
    ends = [end if end is not None else torch.iinfo(torch.int64).max]
    return draw.node(
        "Slice", draw.name(a), *map(draw.whole, ([start or 0], ends, [dim], [step]))
    )  # fmt: skip


def _flip(draw: Drawing, a: Any, dims: Sequence[int]) -> str:
    least = [torch.iinfo(torch.int64).min] * len(dims)
    return draw.node(
        "Slice", draw.name(a), draw.whole([-1] * len(dims)), draw.whole(least), draw.whole(dims),
        draw.whole([-1] * len(dims)),
    )  # fmt: skip


def _pad(mode: str) -> Operator:
    """torch counts from the last dimension, a pair for each; ONNX all starts, then all ends."""

    def operator(draw: Drawing, a: Any, pairs: Sequence[int], value: float = 0.0) -> str:
        if not any(pairs):
            return draw.name(a)
        rank = a.dim()
        pads = [0] * (2 * rank)
        for i in range(len(pairs) // 2):
            pads[rank - 1 - i], pads[2 * rank - 1 - i] = pairs[2 * i], pairs[2 * i + 1]
        filled = [draw.number(value, a)] if mode == "constant" else []
        return draw.node("Pad", draw.name(a), draw.whole(pads), *filled, mode=mode)

    return operator


def _resize(
    draw: Drawing, a: Any, sides: Sequence[int], align_corners: bool, *scales: float | None
) -> str:
    if align_corners or any(scale is not None for scale in scales):
        raise UnsupportedOperatorError("an enlargement by corners or by a factor")
    return draw.node(
        "Resize", draw.name(a), "", "", draw.whole(sides),
        axes=[2, 3], mode="linear", coordinate_transformation_mode="half_pixel",
    )  # fmt: skip


def _convolution(
    draw: Drawing, a: Any, weight: Any, bias: Any, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], transposed: bool, _output_padding: Sequence[int], groups: int,
) -> str:  # fmt: skip
    if transposed:
        raise UnsupportedOperatorError("a transposed convolution")
    weights = [draw.name(part) for part in (weight, bias) if part is not None]
    return draw.node(
        "Conv", draw.name(a), *weights,
        strides=list(stride), pads=[*padding] * 2, dilations=list(dilation), group=groups,
    )  # fmt: skip


def _batch_norm(
    draw: Drawing, a: Any, gain: Any, shift: Any, mean: Any, variance: Any, training: bool,
    _momentum: float, eps: float,
) -> str:  # fmt: skip
    if training:
        raise UnsupportedOperatorError("a normalisation by the batch")
    gain = torch.ones_like(mean) if gain is None else gain
    shift = torch.zeros_like(mean) if shift is None else shift
    named = (draw.name(part) for part in (a, gain, shift, mean, variance))
    return draw.node("BatchNormalization", *named, epsilon=eps)


def _max_pool(
    draw: Drawing, a: Any, kernel: Sequence[int], stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0), dilation: Sequence[int] = (1, 1), ceil_mode: bool = False,
) -> str:  # fmt: skip
    return draw.node(
        "MaxPool", draw.name(a),
        kernel_shape=list(kernel), strides=list(stride or kernel), pads=[*padding] * 2,
        dilations=list(dilation), ceil_mode=int(ceil_mode),
    )  # fmt: skip


def _average_pool(
    draw: Drawing, a: Any, kernel: Sequence[int], stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0), ceil_mode: bool = False, count_padding: bool = True,
    divisor: int | None = None,
) -> str:  # fmt: skip
    if divisor is not None:
        raise UnsupportedOperatorError("an average by another divisor")
    return draw.node(
        "AveragePool", draw.name(a),
        kernel_shape=list(kernel), strides=list(stride or kernel), pads=[*padding] * 2,
        ceil_mode=int(ceil_mode), count_include_pad=int(count_padding),
    )  # fmt: skip


def _average_pool_to(draw: Drawing, a: Any, sides: Sequence[int]) -> str:
    given = a.shape[2:]
    if any(has % wants for has, wants in zip(given, sides, strict=True)):
        raise UnsupportedOperatorError(
            f"averages of {tuple(given)} pixels over {tuple(sides)} places"
        )
    return _average_pool(draw, a, [has // wants for has, wants in zip(given, sides, strict=True)])


def _linear(draw: Drawing, bias: Any, a: Any, weight: Any) -> str:
    return draw.node("Add", draw.node("MatMul", draw.name(a), draw.name(weight)), draw.name(bias))


def _remainder(draw: Drawing, a: Any, by: float) -> str:
    """With the sign of `by`, which is positive; ONNX's has the sign of `a`."""
    if by <= 0:
        raise UnsupportedOperatorError(f"a remainder by {by}")
    step, zero = draw.number(by, a), draw.number(0, a)
    rest = draw.node("Mod", draw.name(a), step, fmod=1)
    return draw.node("Where", draw.node("Less", rest, zero), draw.node("Add", rest, step), rest)


def _finite(
    draw: Drawing, a: Any, nan: float | None = None, most: Any = None, least: Any = None
) -> str:
    if most is not None or least is not None:
        raise UnsupportedOperatorError("nan_to_num with values of its own for infinity")
    limits = torch.finfo(a.dtype)
    finite = _clip(draw, a, limits.min, limits.max)
    number = draw.number(0.0 if nan is None else nan, a)
    return draw.node("Where", draw.node("IsNaN", draw.name(a)), number, finite)


def _filled(value: float) -> Operator:
    return lambda draw, a, **_: _full(draw, a, value)


def _full(draw: Drawing, a: Any, value: float, **_: Any) -> str:
    return draw.node("Expand", draw.number(value, a), draw.node("Shape", draw.name(a)))


def _expand(draw: Drawing, a: Any, shape: Sequence[int], **_: Any) -> str:
    # Where the batch comes first it stays of any size: 1 takes over what is there.
    kept = a.dim() == len(shape) and a.shape[0] == shape[0]
    sizes = [1, *shape[1:]] if kept else shape
    return draw.node("Expand", draw.name(a), draw.whole([1 if n == -1 else n for n in sizes]))


def _stack(draw: Drawing, parts: Sequence[Any], dim: int = 0) -> str:
    raised = [draw.node("Unsqueeze", draw.name(part), draw.whole([dim])) for part in parts]
    return draw.node("Concat", *raised, axis=dim)


OPERATORS: Final[dict[str, Operator]] = {
    "_adaptive_avg_pool2d": _average_pool_to,
    "_prelu_kernel": _two("PRelu"),
    "_to_copy": _cast,
    "_unsafe_view": _view,
    "abs": _one("Abs"),
    "add": _two("Add"),
    "addmm": _linear,
    "amax": _over("ReduceMax"),
    "as_strided": _restrided,
    "avg_pool2d": _average_pool,
    "cat": lambda draw, parts, dim=0: draw.node("Concat", *map(draw.name, parts), axis=dim),
    "clamp_min": _clip,
    "clone": _same,
    "constant_pad_nd": _pad("constant"),
    "convolution": _convolution,
    "detach": _same,
    "div": _two("Div"),
    "eq": _two("Equal"),
    "expand": _expand,
    "flip": _flip,
    "full_like": _full,
    "hardtanh": lambda draw, a, least=-1.0, most=1.0: _clip(draw, a, least, most),
    "le": _two("LessOrEqual"),
    "linalg_vector_norm": _norm,
    "lt": _two("Less"),
    "max_pool2d_with_indices": _max_pool,
    "mean": _over("ReduceMean"),
    "mm": _two("MatMul"),
    "mul": _two("Mul"),
    "nan_to_num": _finite,
    "native_batch_norm": _batch_norm,
    "neg": _one("Neg"),
    "norm": _norm,
    "ones_like": _filled(1.0),
    "permute": lambda draw, a, dims: draw.node("Transpose", draw.name(a), perm=list(dims)),
    "relu": _one("Relu"),
    "remainder": _remainder,
    "replication_pad2d": _pad("edge"),
    "slice": _slice,
    "stack": _stack,
    "sub": _two("Sub"),
    "sum": _over("ReduceSum"),
    "tanh": _one("Tanh"),
    "upsample_bilinear2d": _resize,
    "view": _view,
    "where": lambda draw, test, a, b: draw.node("Where", draw.name(test), *draw.alike(a, b)),
    "zeros_like": _filled(0.0),
}
