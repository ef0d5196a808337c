"""A service that was told to end: not ready any more, though it still answers what comes."""

from contract.errors import OneGlanceError


class Ending:
    """Whether the service was told to end.

    Without the lock that threading.Event has: a signal handler is where this is told, and a second
    signal, which may come in the midst of it, would wait for that lock for ever.
    """

    def __init__(self) -> None:
        self.begun = False

    def begin(self) -> None:
        """It was."""
        self.begun = True


class EndingError(OneGlanceError):
    """The service takes no new connections and is about to be gone."""

    def __init__(self) -> None:
        super().__init__("The service is shutting down: ask another replica, or come again.")
