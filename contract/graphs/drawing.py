"""An ONNX graph while it is drawn: nodes, and the numbers that it keeps."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from contract.bundle import sha256_of
from contract.errors import OneGlanceError

KINDS: Final[dict[torch.dtype, int]] = {
    torch.bool: TensorProto.BOOL,
    torch.uint8: TensorProto.UINT8,
    torch.int64: TensorProto.INT64,
    torch.float32: TensorProto.FLOAT,
    torch.float64: TensorProto.DOUBLE,
}


class UnsupportedOperatorError(OneGlanceError):
    """A model computes something that we cannot say in ONNX."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The model computes {what}, which cannot be made an ONNX graph: serve it with "
            "embedder_runtime torchscript."
        )


class Drawing:
    """Names stand for what depends on the crops; all else are numbers that are known."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self._kept: dict[str, Any] = {}
        self._names: dict[int, str] = {}

    @property
    def kept(self) -> list[Any]:
        """The numbers that the graph keeps."""
        return list(self._kept.values())

    def enter(self, tensor: Tensor, name: str) -> None:
        """From now on `name` stands for `tensor`; one without a name must not be used."""
        self._names[id(tensor)] = name

    def depends(self, tensor: Tensor) -> bool:
        """Whether its numbers depend on the crops."""
        return id(tensor) in self._names

    def name(self, tensor: Tensor) -> str:
        """What stands for it in the graph."""
        if not self.depends(tensor):
            return self.stored(tensor)
        name = self._names[id(tensor)]
        if not name:
            raise UnsupportedOperatorError("with a further result of an operator")
        return name

    def kind(self, dtype: torch.dtype) -> int:
        """ONNX's word for it."""
        if dtype not in KINDS:
            raise UnsupportedOperatorError(f"in {dtype}")
        return KINDS[dtype]

    def node(self, kind: str, *inputs: str, **options: Any) -> str:
        """Draws a node, and gives the name of its first output."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **options))
        return name

    def alike(self, a: Any, b: Any) -> tuple[str, str]:
        """Two values, at least one a tensor, as one kind of numbers, as torch takes them."""
        dtypes = {value.dtype for value in (a, b) if isinstance(value, Tensor)}
        if len(dtypes) != 1:
            raise UnsupportedOperatorError(f"with {' and '.join(sorted(map(str, dtypes)))} at once")
        like = a if isinstance(a, Tensor) else b
        return self._value(a, like), self._value(b, like)

    def number(self, value: float, like: Tensor) -> str:
        """One number, of the kind of another value."""
        return self.stored(torch.tensor(value, dtype=like.dtype))

    def whole(self, values: Sequence[int]) -> str:
        """Whole numbers, as sizes and places are given."""
        return self.stored(torch.tensor(list(values), dtype=torch.int64))

    def stored(self, tensor: Tensor) -> str:
        """The name of numbers that the graph keeps, equal ones once."""
        found: npt.NDArray[Any] = np.ascontiguousarray(tensor.detach().numpy())
        if tensor.dim() == 0:
            found = found.reshape(())
        key = f"{found.dtype}:{found.shape}:{sha256_of(found.tobytes())}"
        if key not in self._kept:
            self._kept[key] = numpy_helper.from_array(found, f"kept_{len(self._kept)}")
        name: str = self._kept[key].name
        return name

    def _value(self, value: Any, like: Tensor) -> str:
        return self.name(value) if isinstance(value, Tensor) else self.number(value, like)
