"""How a request is refused before it has reached its route."""

from typing import Final

from starlette.responses import JSONResponse
from starlette.types import Scope

from service.compreface.errors import answer_to
from service.problems import known_problem

# CompreFace's interface answers its errors in its own form.
COMPREFACE: Final = "/api/v1/"


def refusal(scope: Scope, error: Exception) -> JSONResponse:
    """The answer to `error`, in the form of the interface that was asked."""
    if scope["path"].startswith(COMPREFACE):
        return answer_to(error)
    return known_problem(scope, error)
