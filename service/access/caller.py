"""Who asks: what the key of the present request allows."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from contract.errors import CollectionForbiddenError, ScopeMissingError
from index.actor import acting
from service.access.owned_id import is_of
from service.access.scopes import OPERATIONS, WHOLE_SERVICE, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A key as requests meet it. collections: ids that it is for; None for all."""

    key_id: str
    scopes: frozenset[Scope]
    collections: frozenset[str] | None

    def check_operation(self, operation: str) -> None:
        """Raise ScopeMissingError, or CollectionForbiddenError where all collections are meant."""
        needed = OPERATIONS[operation]
        if needed and "admin" not in self.scopes and self.scopes.isdisjoint(needed):
            raise ScopeMissingError(needed)
        if operation in WHOLE_SERVICE and self.collections is not None:
            raise CollectionForbiddenError(None)

    def check_collection(self, collection_id: str) -> None:
        """Raise CollectionForbiddenError, whether there is such a collection or not."""
        if not self.sees(collection_id):
            raise CollectionForbiddenError(collection_id)

    def owns(self, owned: str) -> bool:
        """Whether an owned_id is of one of the key's collections."""
        return self.collections is None or any(is_of(owned, id_) for id_ in self.collections)

    def sees(self, collection_id: str | None) -> bool:
        """Whether the key is for that collection; None is of no collection, or of all."""
        return self.collections is None or collection_id in self.collections


# Of a service that has no keys: whoever reaches it may do everything.
ANYBODY: Final = Caller(key_id="", scopes=frozenset({"admin"}), collections=None)

_present: ContextVar[Caller] = ContextVar("caller")


def present_caller() -> Caller:
    """Who asks by the request that this code answers, on the event loop.

    Raises LookupError outside of a request, and in a worker thread: what a request may do is
    found out before its work begins.
    """
    return _present.get()


@contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Let present_caller() be this one meanwhile, and name its key in the audit log."""
    token = _present.set(caller)
    try:
        with acting(caller.key_id or None):
            yield
    finally:
        _present.reset(token)
