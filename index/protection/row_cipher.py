"""Stored rows sealed by AES-256-GCM, and plain ones told from them.

    "1GRow" 1 | id of the key, 8 bytes | nonce, 12 random bytes | ciphertext | tag, 16 bytes

The AES key is SHA-256("oneglance row key 1" | secret). What a row is (an embedding, a picture) is
authenticated with it. No embedding has as many bytes as a sealed one, and no picture such a head.
"""

import hashlib
import secrets
import threading
from typing import Final, Literal

from contract.errors import GalleryError, GallerySecretError, GalleryUnavailableError
from index.protection.secrets import GallerySecrets

Kind = Literal["embedding", "crop"]

_MAGIC: Final = b"1GRow\x01"
_DOMAIN: Final = b"oneglance row key 1"
_KEY_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
HEAD_BYTES: Final = len(_MAGIC) + _KEY_ID_BYTES
_OVERHEAD_BYTES: Final = HEAD_BYTES + _NONCE_BYTES + _TAG_BYTES


class RowCipher:
    """Seals by the newest key, opens what any key has sealed. Any thread may call anything."""

    def __init__(self, keys: GallerySecrets | None) -> None:
        """keys: None seals nothing. None is made before something is to be sealed: where a key is
        lost, another one in its place would look as if all were well.

        Raises GalleryError (no `cryptography` here) or GallerySecretError (not to be read).
        """
        self.keys = keys
        self._lock = threading.Lock()
        self._made: dict[str, _Aead] = {}
        self._current = ""
        for key_id in keys.ids()[:1] if keys is not None else ():
            self._aead(key_id)
            self._current = key_id

    @property
    def seals(self) -> bool:
        """Whether what is written is sealed."""
        return self.keys is not None

    @property
    def newest_id(self) -> str:
        """Id of the key that rows are sealed by now."""
        return self._current

    @property
    def head(self) -> bytes:
        """What the rows begin with that are sealed by the newest key; no row where there is none
        yet."""
        return _MAGIC + bytes.fromhex(self._current)

    def take_newest(self) -> None:
        """Seal by what is the newest key now; made where there is none yet."""
        if self.keys is not None:
            newest = self.keys.current()
            self._aead(newest)
            self._current = newest

    def seal(self, data: bytes, kind: Kind) -> bytes:
        """As it is stored."""
        if self.keys is None:
            return data
        if not self._current:
            self.take_newest()
        nonce, head = secrets.token_bytes(_NONCE_BYTES), self.head
        sealed = self._aead(self._current).encrypt(nonce, data, head + kind.encode())
        return head + nonce + sealed

    def open(self, stored: bytes, kind: Kind) -> bytes:
        """What was given to `seal`, or is stored as it is.

        Raises GallerySecretError (its key is not there) or GalleryUnavailableError (changed).
        """
        if not stored.startswith(_MAGIC):
            return stored
        key_id = stored[len(_MAGIC) : HEAD_BYTES].hex()
        if self.keys is None:
            raise GallerySecretError(
                f"Rows of this gallery are encrypted by the key {key_id}: name its file by "
                "row_key_file. Without it they cannot be read, and there is no way back."
            )
        aead = self._aead(key_id)
        nonce, sealed = stored[HEAD_BYTES:][:_NONCE_BYTES], stored[HEAD_BYTES + _NONCE_BYTES :]
        try:
            return aead.decrypt(nonce, sealed, stored[:HEAD_BYTES] + kind.encode())
        except aead.changed as error:
            raise GalleryUnavailableError(
                "An encrypted row of this gallery is damaged, or was changed by somebody: bring "
                "back a copy of it."
            ) from error

    def plain_bytes(self, stored_bytes: int, head: bytes) -> int:
        """Length of what `open` would give for a row of that length that begins so."""
        return stored_bytes - _OVERHEAD_BYTES if head.startswith(_MAGIC) else stored_bytes

    def _aead(self, key_id: str) -> "_Aead":
        with self._lock:
            if key_id not in self._made:
                assert self.keys is not None
                secret = self.keys.get(key_id, of="A row of this gallery")
                self._made[key_id] = _Aead(hashlib.sha256(_DOMAIN + secret).digest())
            return self._made[key_id]


class _Aead:
    """AES-256-GCM of `cryptography`, which only galleries need that are encrypted."""

    def __init__(self, key: bytes) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise GalleryError(
                f"Encrypted rows need the package cryptography ({error}): "
                "pip install 'oneglance[encryption]'."
            ) from error
        self.changed = InvalidTag
        aead = AESGCM(key)
        self.encrypt, self.decrypt = aead.encrypt, aead.decrypt
