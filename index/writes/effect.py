"""What a write has changed, for whatever is derived from the truth."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from index.records import StoredTemplate


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The templates that are searched, before and after one write.

    removed: numbers. added: new ones, and those whose subject is another now (then among
    `removed`, too). subjects: numbers of all subjects whose templates changed.
    erases: something was removed for good, so no copy of it should stay.
    """

    revision: int
    subjects: frozenset[int] = frozenset()
    removed: Sequence[int] = ()
    added: Sequence[StoredTemplate] = field(default=())
    erases: bool = False
