"""API keys of a gallery's database: kept beside the collections, in no export of one."""

from collections.abc import Callable, Sequence
from typing import Final

from contract.errors import KeyExistsError, KeyNotFoundError, TooManyKeysError
from index.clock import now
from index.database import Connection
from index.galleries import Galleries
from index.tables import api_keys, audit
from index.tables.api_keys import StoredKey
from index.write_queue import Shown

# Each is held in memory by every process, and all are listed in one answer.
KEYS_MAX: Final = 1_000

# Raises a GalleryError where it must not come to these keys.
Check = Callable[[Sequence[StoredKey]], None]


def stored_keys(galleries: Galleries) -> list[StoredKey]:
    """All keys, oldest first. Raises GalleryUnavailableError."""
    galleries.queue.check_usable()
    with galleries.database.reading() as c:
        return api_keys.all_keys(c)


def add_key(galleries: Galleries, key: StoredKey, *, check: Check) -> list[StoredKey]:
    """Keep a new key; all keys that there are then. check: looks at these before they are kept.

    Raises what `check` raises, KeyExistsError, TooManyKeysError or GalleryUnavailableError.
    """

    def work(c: Connection) -> tuple[list[StoredKey], Shown]:
        api_keys.lock_keys(c)
        present = api_keys.all_keys(c)
        if any(key.id == other.id for other in present):
            raise KeyExistsError(key.id)
        if len(present) >= KEYS_MAX:
            raise TooManyKeysError(KEYS_MAX)
        after = [*present, key]
        check(after)
        api_keys.insert_key(c, key)
        # Not its name, which may be a person's.
        audit.log_service(
            c,
            "create_key",
            at=now(),
            key_id=key.id,
            scopes=key.scopes,
            collections=key.collections,
            expires_at=key.expires_at,
        )
        return after, Shown()

    return galleries.queue.run(work, lambda change: None)


def remove_key(galleries: Galleries, key_id: str, *, check: Check) -> list[StoredKey]:
    """Remove a key; all keys that there are then. check: looks at these before it is removed.

    Raises what `check` raises, KeyNotFoundError or GalleryUnavailableError.
    """

    def work(c: Connection) -> tuple[list[StoredKey], Shown]:
        api_keys.lock_keys(c)
        after = [key for key in api_keys.all_keys(c) if key.id != key_id]
        if not api_keys.remove_key(c, key_id):
            raise KeyNotFoundError(key_id)
        check(after)
        audit.log_service(c, "delete_key", at=now(), key_id=key_id)
        return after, Shown()

    return galleries.queue.run(work, lambda change: None)
