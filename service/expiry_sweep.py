"""Removing who has expired, in the background.

From its expires_at on a subject is not found; the sweep erases it.
"""

import logging
import threading

from contract.errors import GalleryError
from index.gallery import Gallery

log = logging.getLogger(__name__)


class ExpirySweep:
    """A thread that sweeps a gallery every `every_s` seconds, until close()."""

    def __init__(self, gallery: Gallery, *, every_s: float) -> None:
        self._gallery, self._every_s = gallery, every_s
        self._closing = threading.Event()
        # A daemon: a process that ends without close() must not wait for it.
        self._thread = threading.Thread(target=self._run, name="expiry-sweep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the sweep under way and end; a second call does nothing."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(self._every_s):
            self._sweep()

    def _sweep(self) -> None:
        try:
            gone = self._gallery.remove_expired()
        except GalleryError as error:
            log.error("the sweep for expired subjects failed and is tried again: %s", error)
        # Whatever it is, the next sweep must come: who has expired would stay for good.
        except Exception:
            log.exception("the sweep for expired subjects failed and is tried again")
        else:
            if gone:
                log.info("%d expired subjects were removed", len(gone))
