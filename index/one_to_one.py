"""One probe against one subject, scored as the gallery's searches score it.

Shapes: M stored templates, D embedding size.
"""

from dataclasses import dataclass

import numpy as np

from contract.errors import SubjectNotFoundError
from contract.similarity import pairwise_similarity
from index.checks import check_embeddings
from index.gallery import Gallery
from index.records import Candidate, Embeddings, Subject
from index.scoring import compared_rows
from index.tables import subjects, templates
from index.writes.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """candidate: the subject with its score and nearest template; None if it has no template."""

    subject: Subject
    candidate: Candidate | None


def compare(gallery: Gallery, subject_id: str, probe_D: Embeddings) -> Comparison:
    """A probe, float32 (D,), against all templates of a subject; exact, as `Gallery.search` is.

    Who has expired is not found, as in a search. Raises SubjectNotFoundError,
    GalleryUnavailableError, ValueError.
    """

    def find(scope: Scope) -> Comparison:
        known = subjects.find_by_id(scope.c, gallery.number, subject_id)
        if known is None or known.subject.has_expired(scope.at):
            raise SubjectNotFoundError(subject_id)
        held = templates.templates_of(scope.c, scope.searched, known.number)
        if not held:
            return Comparison(subject=known.subject, candidate=None)
        probe = check_embeddings(probe_D[None], size=scope.searched.size, what="The probe")
        probe = scope.searched.protection.protect(probe)
        rows_MD = np.stack([template.embedding for template in held])
        d_max = gallery.contract.d_max
        nearest = int(pairwise_similarity(probe, rows_MD, d_max)[0].argmax())
        scored = compared_rows(rows_MD, gallery.scoring)
        return Comparison(
            subject=known.subject,
            candidate=Candidate(
                subject=known.subject,
                similarity=float(pairwise_similarity(probe, scored, d_max).max()),
                template_id=held[nearest].id,
            ),
        )

    return gallery.read(find)
