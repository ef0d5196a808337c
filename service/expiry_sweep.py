"""Removing who has expired, in the background.

From its expires_at on a subject is not found; the sweep erases it.
"""

import logging

from index.gallery import Gallery
from service.every import Every

log = logging.getLogger(__name__)


class ExpirySweep:
    """A thread that sweeps a gallery every `every_s` seconds, until close()."""

    def __init__(self, gallery: Gallery, *, every_s: float) -> None:
        self._gallery = gallery
        self._sweeping = Every(
            self._sweep,
            every_s=every_s,
            name="expiry-sweep",
            failed="the sweep for expired subjects failed and is tried again",
        )

    def close(self) -> None:
        """Finish the sweep under way and end; a second call does nothing."""
        self._sweeping.close()

    def _sweep(self) -> None:
        gone = self._gallery.remove_expired()
        if gone:
            log.info("%d expired subjects were removed", len(gone))
