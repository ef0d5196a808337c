"""Whom new photos show as well, perhaps: other subjects that the service would call a match."""

from dataclasses import dataclass
from typing import Final

from index.gallery import Gallery
from index.own_subject import OwnSubject, search_others
from index.records import Embeddings

# Of each photo; more of them say nothing new to who has to look.
NAMED_MAX: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Another subject and the similarity of the photo that is most like it."""

    subject_id: str
    similarity: float


def possible_duplicates(
    gallery: Gallery, own: OwnSubject | None, photos_BD: Embeddings, threshold: float | None
) -> tuple[Duplicate, ...]:
    """Other subjects at or above `threshold` to any of the photos, float32 (B, D), nearest first.

    Without a threshold nobody can be told; up to NAMED_MAX are named for each photo.
    """
    if threshold is None:
        return ()
    best: dict[str, float] = {}
    for candidates in search_others(gallery, own, photos_BD, top_k=NAMED_MAX):
        for candidate in candidates:
            if candidate.similarity >= threshold:
                known = best.get(candidate.subject.id, 0.0)
                best[candidate.subject.id] = max(known, candidate.similarity)
    found = [Duplicate(subject_id=who, similarity=value) for who, value in best.items()]
    return tuple(sorted(found, key=lambda d: (-d.similarity, d.subject_id)))
