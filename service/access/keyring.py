"""The keys that are good now, in memory: a request costs no look into the database."""

import hmac
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from contract.errors import KeyMissingError, LastAdminKeyError, UnknownKeyError
from index.api_keys import add_key, remove_key, stored_keys
from index.checks import check_subject_id, check_text
from index.clock import check_time, now
from index.galleries import Galleries
from index.tables.api_keys import StoredKey
from service.access.caller import ANYBODY, Caller
from service.access.key_text import check_brought_key, id_of, new_key, sha256_of
from service.access.key_wish import COLLECTIONS_MAX, NAME_MAX_CHARS, KeyWish
from service.access.scopes import in_order
from service.every import Every

log = logging.getLogger(__name__)

# What the key of the settings is called; no stored key has such an id.
SETTINGS_KEY_ID: Final = "settings"


@dataclass(frozen=True, slots=True)
class _Known:
    """until: seconds since 1970."""

    sha256: str
    until: float
    caller: Caller


class Keyring:
    """The keys of one database, and that of the settings. Any thread may call anything."""

    def __init__(
        self,
        galleries: Galleries,
        *,
        admin_key: str | None,
        open_without_keys: bool,
        refresh_s: float | None,
    ) -> None:
        """admin_key: of the settings, stored nowhere. open_without_keys: whoever asks may, while
        there are none. refresh_s: seconds between looks for what others have changed; None where
        nobody else can.

        Raises GalleryUnavailableError.
        """
        self._galleries = galleries
        self._open_without_keys = open_without_keys
        self._settings_key: dict[str, _Known] = {}
        if admin_key is not None:
            caller = Caller(key_id=SETTINGS_KEY_ID, scopes=frozenset({"admin"}), collections=None)
            known = _Known(sha256_of(admin_key), float("inf"), caller)
            self._settings_key[id_of(admin_key)] = known
        self._known: dict[str, _Known] = {}
        # Guards against an older look that comes after a newer one.
        self._changing = threading.Lock()
        self._refresh()
        self._refreshing: Every | None = None
        if refresh_s is not None:
            self._refreshing = Every(
                self._refresh,
                every_s=refresh_s,
                name="keyring",
                failed="the keys could not be looked up and stay as they are",
            )

    @property
    def has_keys(self) -> bool:
        """There is a key, also where all have expired."""
        return bool(self._known)

    @property
    def is_open(self) -> bool:
        """Whoever asks may do everything, since there is no key yet."""
        return self._open_without_keys and not self._known

    def caller_of(self, key: str | None) -> Caller:
        """Who has that key. Raises KeyMissingError or UnknownKeyError."""
        known = self._known
        if not known and self._open_without_keys:
            return ANYBODY
        if not key:
            raise KeyMissingError
        found = known.get(id_of(key))
        # Compared even where the id is known to be none: both take as long.
        is_same = hmac.compare_digest(found.sha256 if found else "0" * 64, sha256_of(key))
        if found is None or not is_same or found.until <= time.time():
            raise UnknownKeyError
        return found.caller

    def create(self, wish: KeyWish) -> tuple[StoredKey, str]:
        """A new key, good from now on, and its text, which is kept nowhere.

        Raises ValueError, LastAdminKeyError (the first one must be able to manage keys),
        KeyExistsError, TooManyKeysError or GalleryUnavailableError.
        """
        key = new_key() if wish.key is None else check_brought_key(wish.key)
        stored = _checked(wish, key)
        with self._changing:
            self._show(add_key(self._galleries, stored, check=self._check_managed))
        log.info("the key %s was made", stored.id)
        return stored, key

    def delete(self, key_id: str) -> None:
        """Let a key be good no more, here from now on.

        Raises KeyNotFoundError, LastAdminKeyError or GalleryUnavailableError.
        """
        with self._changing:
            self._show(remove_key(self._galleries, key_id, check=self._check_left))
        log.info("the key %s was deleted", key_id)

    def all(self) -> list[StoredKey]:
        """Those of the database, oldest first. Raises GalleryUnavailableError."""
        return stored_keys(self._galleries)

    def close(self) -> None:
        """End the looks for what others have changed."""
        if self._refreshing is not None:
            self._refreshing.close()

    def _check_managed(self, keys: Sequence[StoredKey]) -> None:
        if not self._settings_key and not any(map(_manages, keys)):
            raise LastAdminKeyError

    def _check_left(self, keys: Sequence[StoredKey]) -> None:
        # Without any key a service on this machine alone is open again; another one would be shut.
        if keys or not self._open_without_keys:
            self._check_managed(keys)

    def _refresh(self) -> None:
        with self._changing:
            self._show(stored_keys(self._galleries))

    def _show(self, keys: Sequence[StoredKey]) -> None:
        # The settings' own last: what is in the database cannot take its place.
        self._known = {key.id: _known(key) for key in keys} | self._settings_key


def _checked(wish: KeyWish, key: str) -> StoredKey:
    name = check_text(wish.name, what="name", max_chars=NAME_MAX_CHARS)
    assert name is not None
    if not wish.scopes:
        raise ValueError("A key needs a scope, or several.")
    collections = wish.collections
    if collections is not None:
        if not 1 <= len(set(collections)) <= COLLECTIONS_MAX:
            raise ValueError(
                f"A key is for all collections, or for 1 to {COLLECTIONS_MAX} named ones."
            )
        for collection in collections:
            check_subject_id(collection, what="collection id")
    expires_at = check_time(wish.expires_at, what="expires_at")
    created_at = now()
    if expires_at is not None and expires_at <= created_at:
        raise ValueError("expires_at is over: name a time to come.")
    return StoredKey(
        id=id_of(key),
        name=name,
        sha256=sha256_of(key),
        scopes=in_order(wish.scopes),
        # As they were named, each once.
        collections=None if collections is None else tuple(dict.fromkeys(collections)),
        created_at=created_at,
        expires_at=expires_at,
    )


def _manages(key: StoredKey) -> bool:
    """For good, and not only until it expires."""
    return "admin" in key.scopes and key.collections is None and key.expires_at is None


def _known(key: StoredKey) -> _Known:
    until = float("inf")
    if key.expires_at is not None:
        until = datetime.fromisoformat(key.expires_at).timestamp()
    caller = Caller(
        key_id=key.id,
        # A word of a newer version allows nothing here.
        scopes=frozenset(in_order(key.scopes)),
        collections=None if key.collections is None else frozenset(key.collections),
    )
    return _Known(key.sha256, until, caller)
