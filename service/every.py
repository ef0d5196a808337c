"""A thread that does something again and again beside the requests."""

import logging
import threading
from collections.abc import Callable

from contract.errors import OneGlanceError
from index.actor import acting

log = logging.getLogger(__name__)


class Every:
    """Calls `work` every `every_s` seconds until close(): whatever it raises, the next call comes.

    name: of the thread. failed: what is said in the log when it raises. at_once: the first call
    comes without a wait.
    """

    def __init__(
        self,
        work: Callable[[], object],
        *,
        every_s: float,
        name: str,
        failed: str,
        at_once: bool = False,
    ) -> None:
        self._work, self._every_s, self._failed = work, every_s, failed
        self._closing = threading.Event()
        # A daemon: a process that ends without close() must not wait for it.
        self._thread = threading.Thread(target=self._run, args=(at_once,), name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the call under way and end; a second call does nothing."""
        self._closing.set()
        self._thread.join()

    def _run(self, at_once: bool) -> None:
        if at_once:
            self._call()
        while not self._closing.wait(self._every_s):
            self._call()

    def _call(self) -> None:
        try:
            # Nobody asks for it, whoever's request has begun this.
            with acting(None):
                self._work()
        except OneGlanceError as error:
            log.error("%s: %s", self._failed, error)
        except Exception:
            log.exception("%s", self._failed)
