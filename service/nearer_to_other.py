"""What `strict` asks beyond the face: a photo is nearer to its own subject than to any other."""

from dataclasses import dataclass

from index.gallery import Gallery
from index.own_subject import OwnSubject, search_others, similarity_to_own
from index.records import Candidate, Embeddings


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A photo, by its place among those that were looked at, that is nearer to `other`."""

    place: int
    own_similarity: float
    other: Candidate


def strays(gallery: Gallery, own: OwnSubject | None, photos_BD: Embeddings) -> list[Stray]:
    """The new photos, float32 (B, D), that look more like another subject than like their own.

    The one that does so by most is put aside first, and the rest judged without it: a single wrong
    photo must not take the right ones of its request with it. A photo to which no other of its
    subject can be compared stays.
    """
    left = list(range(len(photos_BD)))
    others = search_others(gallery, own, photos_BD, top_k=1)
    found = []
    while left:
        ours = similarity_to_own(gallery, own, photos_BD[left])
        doubts = [
            Stray(place=place, own_similarity=similarity, other=others[place][0])
            for place, similarity in zip(left, ours, strict=True)
            if similarity is not None and others[place] and others[place][0].similarity > similarity
        ]
        if not doubts:
            break
        worst = max(doubts, key=lambda stray: stray.other.similarity - stray.own_similarity)
        found.append(worst)
        left.remove(worst.place)
    return sorted(found, key=lambda stray: stray.place)
