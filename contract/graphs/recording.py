"""A bundle's model as a straight line of torch's operators, as crops go through it.

TorchScript has branches and loops, of which a bundle takes one way each: they are gone here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from contract.manifest import InputSpec

# Not 1, which broadcasts where another batch would not.
RECORDED_BATCH = 2


@dataclass(frozen=True, slots=True)
class Step:
    """One operator that was computed. name: torch's, as in `add`, in place or not."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: tuple[Any, ...]

    def tensors(self) -> Iterator[Tensor]:
        """All that go in."""
        for value in self.args:
            parts = value if isinstance(value, list | tuple) else [value]
            yield from (part for part in parts if isinstance(part, Tensor))


@dataclass(frozen=True, slots=True)
class Recording:
    """The steps between `crops`, (RECORDED_BATCH, H, W, 3), and `result`, in order.

    A tensor is told by its identity; one that no step makes is a number of the model's own.
    """

    crops: Tensor
    steps: Sequence[Step]
    result: Tensor


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.steps: list[Step] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: it is not in use, and to skip it would load it: 3 s and 150 MB."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple) else (result,)
        # Without the overload, as in add.Tensor, and the mark of a step in place, as in relu_.
        name = str(func).split(".")[1].removesuffix("_")
        # The steps hold every tensor: an identity is used once.
        self.steps.append(Step(name, args, kwargs or {}, results))
        return result


def recorded(model: torch.jit.ScriptModule, pixels: InputSpec) -> Recording:
    """What `model`, on the CPU in evaluation mode, does to a batch of crops."""
    crops_BHW3 = torch.zeros((RECORDED_BATCH, pixels.height, pixels.width, 3), dtype=torch.uint8)
    # The optimiser would make operators of its own.
    as_written = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]
    with torch.no_grad(), as_written, _Recorder() as recorder:
        result = model(crops_BHW3)
    return Recording(crops_BHW3, recorder.steps, result)
