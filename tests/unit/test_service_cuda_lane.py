"""The lane to a CUDA device, by a stream that does what was begun only when it is waited for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from service.cuda_lane import CudaLane


class LateStream:
    """Host memory is filled with 7 until wait(), as that of a copy that has not come."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self._copies: list[tuple[Tensor, Tensor]] = []

    @contextmanager
    def inside(self) -> Iterator[None]:
        self.steps.append("in")
        yield
        self.steps.append("out")

    def pinned(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        self.steps.append(f"pinned {dtype}")
        host = torch.full(tuple(shape), 7, dtype=dtype)
        return _Late(host, self._copies) if dtype == torch.float32 else host

    def upload(self, host: Tensor) -> Tensor:
        self.steps.append("upload")
        return host.clone()

    def wait(self) -> None:
        self.steps.append("wait")
        for host, source in self._copies:
            host.copy_(source)


class _Late:
    """The host's side of a copy, which is done later."""

    def __init__(self, host: Tensor, copies: list[tuple[Tensor, Tensor]]) -> None:
        self._host, self._copies = host, copies

    def copy_(self, source: Tensor, *, non_blocking: bool) -> None:
        assert non_blocking
        self._copies.append((self._host, source))

    def numpy(self) -> np.ndarray:
        return self._host.numpy()


def model(crops_BHW3: Tensor) -> Tensor:
    """(B, 3), of half precision."""
    return crops_BHW3[:, 0, 0].to(torch.bfloat16)


def test_embeddings_are_read_when_their_copy_has_come() -> None:
    stream = LateStream()
    crops = np.random.default_rng(0).integers(0, 128, (4, 2, 2, 3), dtype=np.uint8)
    embeddings = CudaLane(stream).embed(model, crops)  # type: ignore[arg-type]
    assert embeddings.dtype == np.float32
    assert embeddings.tolist() == crops[:, 0, 0].astype(np.float32).tolist()
    assert stream.steps == [
        "pinned torch.uint8", "in", "upload", "pinned torch.float32", "out", "wait",
    ]  # fmt: skip


def test_crops_may_lie_anywhere_in_memory() -> None:
    whole = np.random.default_rng(1).integers(0, 128, (8, 2, 2, 3), dtype=np.uint8)
    backwards = whole[::-2]
    found = CudaLane(LateStream()).embed(model, backwards)  # type: ignore[arg-type]
    assert found.tolist() == backwards[:, 0, 0].astype(np.float32).tolist()
