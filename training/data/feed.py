"""Images of a pack (or their maps), batch by batch, gathered by a thread while the last batch is
computed.

Shapes: B batch, N images of the pack.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Indices = npt.NDArray[np.int64]


class Feed:
    """Iterates tensors of B images, one for each of `batches`, in their order.

    images: (N, ...) of any numbers, mapped from disk or in memory.
    batches: indices into `images`, int64 (B,) each.
    prefetch: batches that are gathered ahead of the one that is asked for; each is a fresh tensor.
    May be iterated again. Iterating raises IndexError for an index that no image has.
    """

    def __init__(
        self, images: npt.NDArray[Any], batches: Sequence[Indices], *, prefetch: int
    ) -> None:
        if prefetch < 0:
            raise ValueError(f"prefetch must not be negative, not {prefetch}.")
        self._images = np.asarray(images)  # np.take is slower on the subclass for mapped files
        self._batches = batches
        self._prefetch = prefetch

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Tensor]:
        waiting: deque[Future[Tensor]] = deque()
        with ThreadPoolExecutor(1, "feed") as thread:
            try:
                for batch in self._batches:
                    waiting.append(thread.submit(self._gathered, batch))
                    if len(waiting) > self._prefetch:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                thread.shutdown(cancel_futures=True)

    def _gathered(self, batch: Indices) -> Tensor:
        if len(batch) and not 0 <= batch.min() <= batch.max() < len(self._images):
            raise IndexError(
                f"A batch asks for image {batch.max()} or {batch.min()} of {len(self._images)}."
            )
        images = np.empty((len(batch), *self._images.shape[1:]), dtype=self._images.dtype)
        # With "raise" numpy would gather into a buffer of its own first.
        np.take(self._images, batch, axis=0, out=images, mode="clip")
        return torch.from_numpy(images)
