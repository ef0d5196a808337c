"""The chain of the audit log: what an entry's hash is of, and whether entries still make one chain.

An entry is told as JSON. Its `sha256` is that of the UTF-8 bytes of the same object without
`sha256`, in the canonical form of RFC 8785: keys sorted, no spaces, nothing escaped that need not
be. One of its keys is `previous_sha256`, the hash of the entry before, so nothing can be changed,
put in, left out or moved without changing all that follows.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contract.errors import AuditBrokenError

# What stands for the entry before the first one.
NO_SHA256: Final = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """The newest entry. place: 0 where there is none, else 1 or more."""

    place: int
    sha256: str


def sha256_of(entry: Mapping[str, Any]) -> str:
    """What the `sha256` of an entry has to be, 64 hex digits.

    entry: strings, whole numbers, lists and objects of them.
    """
    content = {name: value for name, value in entry.items() if name != "sha256"}
    # Strings, whole numbers and ASCII keys alone: of those this is RFC 8785.
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # An odd string that somebody has put in is a fault of the chain, and not of ours.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_chain(entries: Iterable[Mapping[str, Any]], *, noted: str | None = None) -> AuditHead:
    """Whether entries, from the first one on, make one chain; its head.

    noted: the hash of a head that was written down before, which must be in the chain.
    Raises AuditBrokenError for the first entry that does not fit.
    """
    head = AuditHead(place=0, sha256=NO_SHA256)
    found = noted is None or noted == NO_SHA256
    for entry in entries:
        place = head.place + 1
        if entry.get("place") != place:
            raise AuditBrokenError(place, f"the entry there says place {entry.get('place')}")
        if entry.get("previous_sha256") != head.sha256:
            raise AuditBrokenError(place, "it does not follow the entry before")
        if entry.get("sha256") != sha256_of(entry):
            raise AuditBrokenError(place, "its content is not what its sha256 was made of")
        head = AuditHead(place=place, sha256=entry["sha256"])
        found = found or head.sha256 == noted
    if not found:
        raise AuditBrokenError(
            head.place + 1,
            f"the chain ends without the noted sha256 {noted}: it was cut or replaced",
        )
    return head
