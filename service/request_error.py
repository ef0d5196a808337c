"""What a caller can only mend in the request itself."""

from collections.abc import Sequence


class RequestError(ValueError):
    """The request is wrong in a way that its schema cannot say. `field` names where."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class UnsupportedMediaTypeError(ValueError):
    """The body is of a media type that the operation does not read. taken: those that it reads."""

    def __init__(self, given: str, taken: Sequence[str]) -> None:
        super().__init__(
            f"The body says to be {given[:100]!r}: send {' or '.join(taken)}, and say so in the "
            "header Content-Type."
        )
        self.taken = tuple(taken)
