"""A service that was told to end: not ready any more, though it still answers what comes."""

from contract.errors import OneGlanceError


class EndingError(OneGlanceError):
    """The service takes no new connections and is about to be gone."""

    def __init__(self) -> None:
        super().__init__("The service is shutting down: ask another replica, or come again.")
