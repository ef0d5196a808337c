"""How often each key may ask: counted in this process's memory, not shared with other replicas."""

import math
import time
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from contract.errors import RateLimitedError

NO_LIMIT: Final = 0


class RateLimit:
    """`per_minute` requests a key, in any minute as nearly as two counters can tell."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        if per_minute != NO_LIMIT:
            self._item = RateLimitItemPerMinute(per_minute)
            self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def count(self, key_id: str) -> None:
        """One more request of a key. Raises RateLimitedError, which does not count."""
        if self._per_minute == NO_LIMIT or self._limiter.hit(self._item, key_id):
            return
        reset_at = self._limiter.get_window_stats(self._item, key_id).reset_time
        raise RateLimitedError(
            per_minute=self._per_minute, retry_after_s=max(1, math.ceil(reset_at - time.time()))
        )
