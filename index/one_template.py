"""Probes against one template.

Shapes: B probes, D embedding size.
"""

from dataclasses import dataclass

from contract.errors import TemplateNotFoundError
from contract.similarity import pairwise_similarity
from index.checks import check_embeddings
from index.gallery import Gallery
from index.records import Embeddings, Subject
from index.tables import subjects, templates
from index.writes.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateComparison:
    """subject: whose template it is. similarities: of each probe, in [0, 1]."""

    subject: Subject
    similarities: tuple[float, ...]


def compare_with_template(
    gallery: Gallery, template_id: str, probes_BD: Embeddings
) -> TemplateComparison:
    """Probes, float32 (B, D), against a template; exact, as `Gallery.search` is.

    Templates of who has expired are not found, as in a search. Raises TemplateNotFoundError,
    GalleryUnavailableError, ValueError.
    """

    def find(scope: Scope) -> TemplateComparison:
        stored = templates.find_template(scope.c, scope.searched, template_id)
        if stored is None:
            raise TemplateNotFoundError(template_id)
        of = subjects.get_subjects(scope.c, [stored.subject_number])[stored.subject_number]
        if of.has_expired(scope.at):
            raise TemplateNotFoundError(template_id)
        probes = check_embeddings(probes_BD, size=scope.searched.size, what="Probes")
        probes = scope.searched.protection.protect(probes)
        found = pairwise_similarity(probes, stored.embedding[None], gallery.contract.d_max)[:, 0]
        return TemplateComparison(subject=of, similarities=tuple(map(float, found)))

    return gallery.read(find)
