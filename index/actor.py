"""Who writes, for the audit log: the id of an API key, wherever the work goes that it asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_actor: ContextVar[str | None] = ContextVar("actor", default=None)


def actor() -> str | None:
    """Id of the key that asked for what this code does.

    None where none was needed: in a service without keys, in a command on the gallery itself, and
    in what nobody asked for, such as a sweep.
    """
    return _actor.get()


@contextmanager
def acting(key_id: str | None) -> Iterator[None]:
    """Let actor() be this one meanwhile."""
    token = _actor.set(key_id)
    try:
        yield
    finally:
        _actor.reset(token)


def as_present_actor(call: Callable[P, T]) -> Callable[P, T]:
    """`call` on behalf of the present actor, in whatever thread and however late."""
    key_id = actor()

    def on_behalf(*args: P.args, **kwargs: P.kwargs) -> T:
        with acting(key_id):
            return call(*args, **kwargs)

    return on_behalf
