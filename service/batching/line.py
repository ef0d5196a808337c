"""Crops that wait for the device, in the order in which they came."""

import threading
from collections import deque

from contract.errors import OneGlanceError
from service.batching.waiting_crops import WaitingCrops


class Line:
    """One of those who wait leads: computes the next batch, then lets another lead.

    So there is no thread between a caller and the device, and nobody waits while it is idle.
    """

    def __init__(self, *, max_crops: int) -> None:
        """max_crops: of one batch."""
        self._max_crops = max_crops
        self._lock = threading.Lock()
        self._waiting: deque[WaitingCrops] = deque()
        self._busy = False

    def join(self, crops: WaitingCrops) -> bool:
        """Wait in line, or lead at once where nobody does. Whether to lead."""
        with self._lock:
            self._waiting.append(crops)
            leads, self._busy = not self._busy, True
            return leads

    def next_batch(self) -> list[WaitingCrops]:
        """Those of the front that fit into one batch, without those whose turn is over.

        For who leads, whose own are the first.
        """
        batch: list[WaitingCrops] = []
        room = self._max_crops
        with self._lock:
            while self._waiting and len(self._waiting[0]) <= room:
                crops = self._waiting.popleft()
                try:
                    crops.check()
                except OneGlanceError as error:
                    crops.fail(error)
                    continue
                batch.append(crops)
                room -= len(crops)
        return batch

    def hand_over(self) -> None:
        """Let the first of those who wait lead."""
        with self._lock:
            self._busy = bool(self._waiting)
            if self._busy:
                self._waiting[0].lead()
