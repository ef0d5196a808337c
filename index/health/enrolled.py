"""Whom a health report looks at: templates and whose they are, read at one moment.

Shapes: N templates, S subjects, D embedding size.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from contract.errors import GalleryTooLargeError
from index.gallery import Gallery
from index.records import Embeddings, Numbers
from index.tables import pages, templates
from index.writes.scope import Scope

_PAGE_SUBJECTS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Enrolled:
    """embeddings: float32 (N, D). numbers: of the templates, int64 (N,).

    subject_numbers: int64 (S,), ascending, the order of enrolment. owners: the place in these of
    each template's subject, int64 (N,). counts: of each subject's templates, at least 1, int64
    (S,). d_max: largest distance of the embeddings' space. revision: of the collection.
    """

    embeddings: Embeddings
    numbers: Numbers
    subject_numbers: Numbers
    owners: Numbers
    counts: Numbers
    d_max: float
    revision: int


def read_enrolled(gallery: Gallery, *, max_templates: int) -> Enrolled:
    """Everybody who has not expired and has a template.

    Raises GalleryTooLargeError: more than `max_templates` of them.
    """

    def look(scope: Scope) -> Enrolled:
        found = templates.count_under(scope.c, scope.searched)
        if found > max_templates:
            raise GalleryTooLargeError(templates=found, most=max_templates)
        expired = np.array(_expired(scope), dtype=np.int64)
        numbers, owners, rows = [_none()], [_none()], [_no_rows(scope.searched.size)]
        for batch in templates.all_templates(scope.c, scope.searched):
            kept = ~np.isin(batch.subject_numbers, expired)
            numbers.append(batch.numbers[kept])
            owners.append(batch.subject_numbers[kept])
            rows.append(batch.embeddings[kept])
        return enrolled(
            np.concatenate(rows),
            np.concatenate(owners),
            numbers=np.concatenate(numbers),
            d_max=gallery.contract.d_max,
            revision=scope.collection.revision,
        )

    return gallery.read(look)


def enrolled(
    embeddings_ND: Embeddings,
    subject_numbers_N: Numbers,
    *,
    numbers: Numbers,
    d_max: float,
    revision: int,
) -> Enrolled:
    """From the number of each template's subject, int64 (N,)."""
    known, owners, counts = np.unique(subject_numbers_N, return_inverse=True, return_counts=True)
    return Enrolled(
        embeddings=embeddings_ND,
        numbers=numbers,
        subject_numbers=known,
        owners=owners.astype(np.int64),
        counts=counts.astype(np.int64),
        d_max=d_max,
        revision=revision,
    )


def _expired(scope: Scope) -> list[int]:
    """Numbers of the subjects whose time is over, swept or not."""
    expired: list[int] = []
    after = 0
    while True:
        page = pages.subjects_of_page(
            scope.c, scope.collection.number, after=after, limit=_PAGE_SUBJECTS
        )
        if not page:
            return expired
        after = page[-1].number
        expired += [row.number for row in page if row.subject.has_expired(scope.at)]


def _none() -> Numbers:
    return np.zeros(0, dtype=np.int64)


def _no_rows(size: int) -> Embeddings:
    return np.zeros((0, size), dtype=np.float32)
