"""The rows that cross the gallery's seams, outwards and inwards.

Shapes: B probes, M templates of one enrolment, N templates, D embedding size.
A *number* is the store's own name for a row: an integer that is never given out twice, not even
after its row is gone, so that a late reference can only miss, never hit another row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
Embeddings = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An enrolled person or thing. created_at: RFC 3339, UTC."""

    id: str
    name: str | None
    external_id: str | None
    metadata: Mapping[str, JSON]
    template_count: int
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectPage:
    """Some subjects, oldest first. next_after: where the next page begins, None at the end."""

    subjects: tuple[Subject, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """An acknowledged enrolment. created: the subject is new. template_ids: in the given order."""

    subject: Subject
    created: bool
    template_ids: tuple[str, ...]
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A subject that a probe may show. similarity in [0, 1] is that of its best template."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTemplate:
    """A template's id with the subject that it belongs to."""

    id: str
    subject: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEnrollment:
    """What a committed enrolment was numbered. template_numbers: int64 (M,)."""

    subject_number: int
    template_numbers: Numbers
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRemoval:
    """What a committed removal took out. template_numbers: int64 (M,)."""

    template_numbers: Numbers
    revision: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A subject found for a probe, with the best of its templates, by number."""

    subject_number: int
    template_number: int
    similarity: float
