"""The way of crops to a CUDA device and of embeddings back, beside what else the device does.

Memory that the system cannot move (pinned) is copied by the device itself. On a stream of its own
a batch waits for no other network's work, and the end of a batch is waited for without Python's
lock. Shapes: B batch, D embedding size.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class Stream(Protocol):
    """A device's line of work. What is begun in `inside` is done in that order, and later."""

    def inside(self) -> AbstractContextManager[object]:
        """Begin work on the stream in this block."""
        ...

    def pinned(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Host memory that the device copies from and to."""
        ...

    def upload(self, host: Tensor) -> Tensor:
        """Begin to copy pinned memory to the device."""
        ...

    def wait(self) -> None:
        """Until all that was begun is done."""
        ...


class CudaStream:
    """A stream of the present CUDA device."""

    def __init__(self) -> None:
        # Weights were copied on another stream: there is no order between the two but this one.
        torch.cuda.synchronize()
        self._stream = torch.cuda.Stream()

    def inside(self) -> AbstractContextManager[object]:
        """Begin work on the stream in this block."""
        context: AbstractContextManager[object] = torch.cuda.stream(self._stream)
        return context

    def pinned(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Host memory that the device copies from and to."""
        return torch.empty(tuple(shape), dtype=dtype, pin_memory=True)

    def upload(self, host: Tensor) -> Tensor:
        """Begin to copy pinned memory to the device."""
        return host.to("cuda", non_blocking=True)

    def wait(self) -> None:
        """Until all that was begun is done."""
        self._stream.synchronize()


class CudaLane:
    """Computes batches on a stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def embed(
        self, model: Callable[[Tensor], Tensor], crops_BHW3: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float32]:
        """float32 (B, D) of uint8 (B, H, W, 3), B at least 1."""
        crops = self._stream.pinned(crops_BHW3.shape, torch.uint8)
        crops.numpy()[...] = crops_BHW3
        with self._stream.inside():
            on_device = model(self._stream.upload(crops)).float()
            embeddings = self._stream.pinned(on_device.shape, torch.float32)
            embeddings.copy_(on_device, non_blocking=True)
        self._stream.wait()
        result: npt.NDArray[np.float32] = embeddings.numpy()
        return result
