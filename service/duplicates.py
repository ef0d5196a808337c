"""Whom new photos show as well, perhaps: other subjects that the service would call a match."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from index.gallery import Gallery
from index.own_subject import OwnSubject, search_others
from index.records import Embeddings
from service.decision import Threshold

# Of each photo; more of them say nothing new to who has to look.
NAMED_MAX: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Another subject and the similarity of the photo that is most like it."""

    subject_id: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """found: nearest first. unknown: why nobody could be told from others; None where it could."""

    found: tuple[Duplicate, ...] = ()
    unknown: str | None = None


def possible_duplicates(
    gallery: Gallery,
    own: OwnSubject | None,
    photos_BD: Embeddings,
    find_threshold: Callable[[], Threshold],
) -> Duplicates:
    """Other subjects at or above the threshold to any of the photos, float32 (B, D).

    Up to NAMED_MAX for each photo. Without a threshold nobody can be told, unless there is nobody.
    """
    best: dict[str, float] = {}
    for candidates in search_others(gallery, own, photos_BD, top_k=NAMED_MAX):
        for candidate in candidates:
            known = best.get(candidate.subject.id, 0.0)
            best[candidate.subject.id] = max(known, candidate.similarity)
    if not best:
        return Duplicates()
    threshold = find_threshold()
    if threshold.value is None:
        return Duplicates(unknown=threshold.note or "The service has no threshold.")
    found = [
        Duplicate(subject_id=who, similarity=similarity)
        for who, similarity in best.items()
        if similarity >= threshold.value
    ]
    return Duplicates(found=tuple(sorted(found, key=lambda d: (-d.similarity, d.subject_id))))
