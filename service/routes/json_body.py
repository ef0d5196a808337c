"""Operations that take their request as a form, or as JSON with the images in Base64.

Two routes of one path, told apart by the Content-Type: the JSON one is declared first, and the form
one, which the description shows, names the JSON one's model by `json_too`.
"""

from typing import Any, Final

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import Match
from starlette.types import Scope

from service.request_error import UnsupportedMediaTypeError

FORM: Final = "multipart/form-data"
JSON: Final = "application/json"


class JsonRoute(APIRoute):
    """A route of requests whose body says to be JSON."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any route, and only then."""
        if scope["type"] != "http" or _kind(Request(scope)) != JSON:
            return Match.NONE, {}
        return super().matches(scope)


def json_too(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a form's route: a JSON body of this model is taken, too."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"content": {JSON: {"schema": schema}}}}


async def check_form(request: Request) -> None:
    """A dependency of the form's route. Raises UnsupportedMediaTypeError: the body is none.

    A request that does not say what it is hears what it lacks.
    """
    kind = _kind(request)
    if kind not in ("", FORM):
        raise UnsupportedMediaTypeError(kind, (FORM, JSON))


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
