"""What a health report says: ids, counts and similarities, no embeddings.

Similarities are to *mean templates*: the mean of some templates at their mean length.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two subjects. nearest_count: how many of its templates have the other nearest."""

    subject_id: str
    template_count: int
    nearest_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateSubjects:
    """Two subjects that are probably one; `first` was enrolled first.

    similarity: between their mean templates. Of three or more ids of one person there are enough
    pairs to connect them, not all pairs.
    """

    first: Side
    second: Side
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MislabelledTemplate:
    """A template that shows another subject than its own.

    looks_like: id of that subject. similarity: to its mean template; own_similarity: to the mean
    of the other templates of its own subject. strangers_nearer: share of all other subjects'
    templates that are at least as near to these as it is.
    """

    template_id: str
    subject_id: str
    looks_like: str
    similarity: float
    own_similarity: float
    strangers_nearer: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlyingTemplates:
    """A template that is like neither the others of its subject nor anybody else.

    template_ids: that one, or all of a subject of which none is like the others, so that nobody can
    tell which is right. own_similarity, strangers_nearer: as above, of the one that fits best.
    """

    template_ids: tuple[str, ...]
    subject_id: str
    own_similarity: float
    strangers_nearer: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """What is probably wrong in a collection, worst first, as it was at `gallery_revision`.

    subject_count, template_count: looked at, expired ones not counted. Subjects of one template,
    single_template_subject_count of them, can be duplicates, but not mislabelled. too_little: why
    nothing was judged, in words; None where it was. duplicate_similarity: mean templates of two
    subjects are called duplicates from here on, None where none are.
    """

    collection_id: str
    gallery_revision: int
    subject_count: int
    template_count: int
    single_template_subject_count: int
    too_little: str | None
    duplicate_similarity: float | None
    duplicates: tuple[DuplicateSubjects, ...]
    mislabelled: tuple[MislabelledTemplate, ...]
    outlying: tuple[OutlyingTemplates, ...]
