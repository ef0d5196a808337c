"""The crops of one caller who waits for their embeddings."""

import threading

from service.embedder import Embeddings, Pixels
from service.turn import Turn


class WaitingCrops:
    """Crops uint8 (B, H, W, 3) in a line; `turn` is the request that they are of, if of one."""

    def __init__(self, crops_BHW3: Pixels, turn: Turn | None) -> None:
        self.crops_BHW3, self._turn = crops_BHW3, turn
        self._told = threading.Event()
        self._result: Embeddings | BaseException | None = None

    def __len__(self) -> int:
        return len(self.crops_BHW3)

    def check(self) -> None:
        """Raises what Turn.check raises where the request's turn is over."""
        if self._turn is not None:
            self._turn.check()

    def wait(self) -> None:
        """Until lead(), give() or fail() was called by another thread."""
        self._told.wait()

    def lead(self) -> None:
        """Let its caller compute the next batch."""
        self._told.set()

    def give(self, embeddings_BD: Embeddings) -> None:
        """Its embeddings."""
        self._result = embeddings_BD
        self._told.set()

    def fail(self, error: BaseException) -> None:
        """It has none, for this reason."""
        self._result = error
        self._told.set()

    @property
    def has_result(self) -> bool:
        """Whether give() or fail() was called."""
        return self._result is not None

    def result(self) -> Embeddings:
        """Its embeddings. Raises what it failed by."""
        assert self._result is not None
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result
