"""What the database knows of a protection: which secret, by a name that tells nothing of it, and a
salt. `rotation-1:<secret id, 16 hex digits>:<salt, 32 hex digits>`, or nothing at all."""

import re
import secrets
from dataclasses import dataclass
from typing import Final, Self

from contract.errors import GalleryError
from index.protection.rotation import SALT_BYTES

_SCHEME: Final = "rotation-1"
_FORM: Final = re.compile(rf"{_SCHEME}:([0-9a-f]{{16}}):([0-9a-f]{{{2 * SALT_BYTES}}})")


@dataclass(frozen=True, slots=True)
class Label:
    """secret_id: of the secret. salt: of this one generation of embeddings."""

    secret_id: str
    salt: bytes

    @classmethod
    def new(cls, secret_id: str) -> Self:
        """Of embeddings that have nothing in common with any others."""
        return cls(secret_id, secrets.token_bytes(SALT_BYTES))

    @classmethod
    def parsed(cls, text: str) -> Self:
        """From what is stored. Raises GalleryError."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise GalleryError(
                f"Templates are protected in a way that this OneGlance does not know ({text[:40]!r}"
                "): use the release that the gallery was last opened with, or a newer one."
            )
        return cls(found[1], bytes.fromhex(found[2]))

    def __str__(self) -> str:
        return f"{_SCHEME}:{self.secret_id}:{self.salt.hex()}"
