"""The subject that an enrolment would add to: how similar new photos are to it, and to others.

Shapes: B new photos, M stored templates, D embedding size.
"""

from dataclasses import dataclass

import numpy as np

from contract.similarity import pairwise_similarity
from index.gallery import Gallery
from index.records import Candidate, Embeddings
from index.scoring import compared_rows
from index.tables import subjects, templates
from index.writes.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OwnSubject:
    """A stored subject and the templates that are searched, float32 (M, D), plain, oldest first."""

    id: str
    embeddings_MD: Embeddings


def find_own(
    gallery: Gallery, *, subject_id: str | None, external_id: str | None
) -> OwnSubject | None:
    """Whom `Gallery.enroll` would add to, by the same rule; None for who would be new."""

    def find(scope: Scope) -> OwnSubject | None:
        known = None
        if subject_id is not None:
            known = subjects.find_by_id(scope.c, gallery.number, subject_id)
        elif external_id is not None:
            known = subjects.find_by_external_id(scope.c, gallery.number, external_id)
        if known is None:
            return None
        rows = [t.embedding for t in templates.templates_of(scope.c, scope.searched, known.number)]
        rows_MD = np.array(rows, dtype=np.float32).reshape(-1, scope.searched.size)
        # Compared with photos that are not stored.
        plain_MD = scope.searched.protection.plain(rows_MD)
        return OwnSubject(id=known.subject.id, embeddings_MD=plain_MD)

    return gallery.read(find)


def similarity_to_own(
    gallery: Gallery, own: OwnSubject | None, photos_BD: Embeddings
) -> list[float | None]:
    """Of each new photo, float32 (B, D), to its subject as all the other photos would make it.

    These are the stored templates and the other new photos; None where there is neither. Exact,
    and scored as the gallery's searches score a subject: by its best template, or by their mean.
    """
    d_max = gallery.contract.d_max
    found: list[float | None] = []
    for i, photo in enumerate(photos_BD):
        others = np.delete(photos_BD, i, axis=0)
        if own is not None:
            others = np.concatenate([own.embeddings_MD, others])
        if not len(others):
            found.append(None)
            continue
        rows = compared_rows(others, gallery.scoring)
        found.append(float(pairwise_similarity(photo[None], rows, d_max).max()))
    return found


def search_others(
    gallery: Gallery, own: OwnSubject | None, photos_BD: Embeddings, *, top_k: int
) -> list[tuple[Candidate, ...]]:
    """The `top_k` most similar subjects of each photo but its own, best first."""
    result = gallery.search(photos_BD, top_k=top_k + (own is not None))
    return [
        tuple(c for c in candidates if own is None or c.subject.id != own.id)[:top_k]
        for candidates in result.candidates
    ]
