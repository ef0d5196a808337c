"""The rows that cross the gallery's seams, outwards and inwards.

Shapes: B probes, M templates of one enrolment, N templates, D embedding size.
A *number* is the store's own name for a row: an integer that is never given out twice, not even
after its row is gone, so that a late reference can only miss, never hit another row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
Embeddings = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An enrolled person or thing.

    template_count: of the embeddings that are searched now. created_at, expires_at: RFC 3339, UTC;
    from expires_at on the subject is no longer found, and a sweep removes it. consent_ref: the
    caller's own reference to a consent.
    """

    id: str
    name: str | None
    external_id: str | None
    metadata: Mapping[str, JSON]
    template_count: int
    created_at: str
    expires_at: str | None = None
    consent_ref: str | None = None

    def has_expired(self, at: str) -> bool:
        """Whether it is over at a time, RFC 3339 in UTC."""
        return self.expires_at is not None and self.expires_at <= at


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectPage:
    """Some subjects, oldest first. next_after: where the next page begins, None at the end."""

    subjects: tuple[Subject, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What may be said of a template without its embedding. has_crop: its picture is stored."""

    id: str
    subject_id: str
    created_at: str
    has_crop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """An acknowledged enrolment. created: the subject is new. template_ids: in the given order."""

    subject: Subject
    created: bool
    template_ids: tuple[str, ...]
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A subject that a probe may show, with its score in [0, 1] and its most similar template."""

    subject: Subject
    similarity: float
    template_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """For each probe its candidates, best first, as the gallery was at `revision`."""

    candidates: tuple[tuple[Candidate, ...], ...]
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSubject:
    """A subject and its number in the store."""

    number: int
    subject: Subject


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredTemplate:
    """A template as it is stored. embedding: float32 (D,)."""

    number: int
    subject_number: int
    id: str
    created_at: str
    embedding: Embeddings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TemplateBatch:
    """Templates as store and search index exchange them.

    numbers, subject_numbers: int64 (N,). embeddings: float32 (N, D), finite.
    """

    numbers: Numbers
    subject_numbers: Numbers
    embeddings: Embeddings

    def __post_init__(self) -> None:
        if not len(self.numbers) == len(self.subject_numbers) == len(self.embeddings):
            raise ValueError("A batch needs one number, one subject and one embedding a template.")

    def __len__(self) -> int:
        return len(self.numbers)

    @classmethod
    def empty(cls, size: int) -> Self:
        """No template of `size` numbers."""
        none = np.zeros(0, dtype=np.int64)
        rows = np.zeros((0, size), dtype=np.float32)
        return cls(numbers=none, subject_numbers=none, embeddings=rows)

    @classmethod
    def of(cls, templates: Sequence[StoredTemplate], size: int) -> Self:
        """Stored templates as one batch."""
        rows = [template.embedding for template in templates]
        return cls(
            numbers=np.array([t.number for t in templates], dtype=np.int64),
            subject_numbers=np.array([t.subject_number for t in templates], dtype=np.int64),
            embeddings=np.array(rows, dtype=np.float32).reshape(-1, size),
        )
