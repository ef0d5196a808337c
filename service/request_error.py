"""What a caller can only mend in the request itself."""


class RequestError(ValueError):
    """The request is wrong in a way that its schema cannot say. `field` names where."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
