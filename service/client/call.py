"""One call of the API as data: what is sent, and what its answer becomes. Nothing is sent here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from service.client.photo import Photo

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """method, path: as docs/openapi.json has them; `ids` fill the braces of the path.

    params: of the query. json, or data and files: the body; files by form field, not read yet.
    streams: the files may be larger than memory, and are read while they are sent.
    parse: from the body of a successful answer.
    """

    method: str
    path: str
    parse: Callable[[bytes], T]
    ids: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    files: tuple[tuple[str, Photo], ...] = ()
    streams: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The path with its ids. Raises ValueError for an id that would name another path."""
        return self.path.format(**{name: _segment(name, text) for name, text in self.ids.items()})


def _segment(name: str, text: str) -> str:
    if text in ("", ".", "..") or "/" in text:
        raise ValueError(f"{name} must be an id, not {text!r}.")
    return quote(text, safe="")


def fields(**given: str | float | None) -> dict[str, str]:
    """Fields of a form or a query: those that are given."""
    return {name: str(value) for name, value in given.items() if value is not None}


def answer(model: type[M]) -> Callable[[bytes], M]:
    """Parses JSON. What a newer service says besides is left out. Raises ValidationError."""
    return lambda body: model.model_validate_json(body, extra="ignore")


def nothing(_: bytes) -> None:
    """Of an answer without a body."""


def content(body: bytes) -> bytes:
    """The body as it is."""
    return body
