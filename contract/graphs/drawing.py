"""An ONNX graph while it is drawn: nodes, and the numbers that it keeps."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.fx import Node

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
    """Names stand for values of the graph. Constants are known while it is drawn: torch tensors."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self._kept: dict[str, Any] = {}
        self._names: dict[Node, str] = {}
        self._constants: dict[Node, torch.Tensor] = {}

    @property
    def kept(self) -> list[Any]:
        """The numbers that the graph keeps."""
        return list(self._kept.values())

    def enter(self, node: Node, value: "str | torch.Tensor") -> None:
        """What stands for a node of torch's: a name, or numbers where they are known."""
        if isinstance(value, torch.Tensor):
            self._constants[node] = value
        else:
            self._names[node] = value

    def is_constant(self, node: Node) -> bool:
        """Whether its numbers are known."""
        return node in self._constants

    def constant(self, node: Node) -> torch.Tensor:
        """The numbers of a node. Raises UnsupportedOperatorError where they depend on the crops."""
        if node not in self._constants:
            raise UnsupportedOperatorError(f"{node.name} from what is in the crops")
        return self._constants[node]

    def name(self, node: Node) -> str:
        """What stands for a node in the graph."""
        if node in self._constants:
            return self.stored(self._constants[node])
        return self._names[node]

    def shape(self, node: Node) -> tuple[int, ...]:
        """Of the recorded batch."""
        return tuple(node.meta["val"].shape)

    def dtype(self, node: Node) -> torch.dtype:
        """Of its numbers."""
        dtype: torch.dtype = node.meta["val"].dtype
        return dtype

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
        """Two values, at least one a node, as one kind of numbers: as torch computes with them."""
        dtypes = {self.dtype(value) for value in (a, b) if isinstance(value, Node)}
        if len(dtypes) != 1:
            raise UnsupportedOperatorError(f"with {' and '.join(sorted(map(str, dtypes)))} at once")
        like = a if isinstance(a, Node) else b
        return self._value(a, like), self._value(b, like)

    def number(self, value: float, like: Node) -> str:
        """One number, of the kind of another value."""
        return self.stored(torch.tensor(value, dtype=self.dtype(like)))

    def whole(self, values: Sequence[int]) -> str:
        """Whole numbers, as sizes and places are given."""
        return self.stored(torch.tensor(list(values), dtype=torch.int64))

    def stored(self, tensor: torch.Tensor) -> str:
        """The name of numbers that the graph keeps, equal ones once."""
        found: npt.NDArray[Any] = np.ascontiguousarray(tensor.detach().numpy())
        if tensor.dim() == 0:
            found = found.reshape(())
        key = f"{found.dtype}:{found.shape}:{hash(found.tobytes())}"
        if key not in self._kept:
            self._kept[key] = numpy_helper.from_array(found, f"kept_{len(self._kept)}")
        name: str = self._kept[key].name
        return name

    def _value(self, value: Any, like: Node) -> str:
        return self.name(value) if isinstance(value, Node) else self.number(value, like)
