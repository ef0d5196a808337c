"""Which methods a path has: what a 405 names, over all of its routes and not the first alone."""

from typing import Any, Final

from fastapi import FastAPI
from starlette.routing import Match
from starlette.types import Scope

METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def allowed_methods(app: FastAPI, scope: Scope) -> list[str]:
    """Methods that the path of `scope` answers otherwise than with 405, in alphabetical order."""
    return [method for method in METHODS if _takes(app, {**scope, "method": method})]


def _takes(app: FastAPI, scope: dict[str, Any]) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in app.routes)
