"""The text of an API key: `og_<key id>_<secret>`, or one that somebody brings along.

The secret is 256 random bits, so its SHA-256 is stored as it is: nobody can try them all, and a
slow hash, made for passwords that people choose, would only make each request slow.
"""

import hashlib
import re
import secrets
from typing import Final

OWN: Final = re.compile("og_([0-9a-f]{16})_[0-9a-f]{64}")
RESERVED: Final = "og_"
_ID_DIGITS: Final = 16
_HEX: Final = re.compile("[0-9a-fA-F]+")
_PRINTABLE: Final = re.compile("[!-~]+")
BITS_MIN: Final = 128
# Of 32 random hex digits fewer than so many differ once in more than a million keys.
DIFFERENT_MIN: Final = 8
CHARS_MAX: Final = 512


def new_key() -> str:
    """A key that nobody can guess."""
    return f"{RESERVED}{secrets.token_hex(_ID_DIGITS // 2)}_{secrets.token_hex(32)}"


def id_of(key: str) -> str:
    """What a key is called where everybody may read it."""
    own = OWN.fullmatch(key)
    # So much of a hash says nothing of a key that cannot be guessed.
    return own[1] if own else sha256_of(key)[:_ID_DIGITS]


def sha256_of(key: str) -> str:
    """64 hex digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def check_brought_key(key: str) -> str:
    """A key that was made elsewhere. Raises ValueError, which does not repeat it: it is weak."""
    # Digits of a UUID are four bits each, other characters are taken for as many.
    digits = key.replace("-", "")
    bits = len(digits) * (4 if _HEX.fullmatch(digits) else 5)
    if not _PRINTABLE.fullmatch(key) or len(key) > CHARS_MAX:
        raise ValueError(
            f"The key must be up to {CHARS_MAX} letters, digits and signs, without spaces."
        )
    if key.startswith(RESERVED) and not OWN.fullmatch(key):
        raise ValueError(f"Keys that begin with {RESERVED} are made here: bring another one.")
    if bits < BITS_MIN or len(set(digits.lower())) < DIFFERENT_MIN:
        raise ValueError(
            f"The key is too easy to guess: take one of {BITS_MIN} random bits, such as a random "
            "UUID, or leave it out and have one made."
        )
    return key
