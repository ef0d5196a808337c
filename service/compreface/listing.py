"""The faces of a collection, a page at a time, as CompreFace counts pages."""

from dataclasses import dataclass

from contract.errors import SubjectNotFoundError
from index.gallery import Gallery
from service.compreface.mapping import all_subjects, image_id_of, known, name_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesPage:
    """faces: pairs of image id and subject's name. total: of all pages together."""

    faces: tuple[tuple[str, str], ...]
    total: int


def faces_page(gallery: Gallery, *, page: int, size: int, subject: str | None) -> FacesPage:
    """Page number `page` >= 0 of `size` faces, of one subject or of all.

    By number of faces before it, so what is removed meanwhile moves the pages after it.
    """
    only = known(gallery, subject) if subject else None
    if subject and only is None:
        return FacesPage(faces=(), total=0)
    faces: list[tuple[str, str]] = []
    skip = page * size
    for found in [only] if only else all_subjects(gallery):
        if skip >= found.template_count:
            skip -= found.template_count
            continue
        try:
            templates = gallery.templates(found.id)[skip:]
        except SubjectNotFoundError:
            # Removed since it was listed.
            continue
        skip = 0
        faces += [(image_id_of(template.id), name_of(found)) for template in templates]
        if len(faces) >= size:
            break
    total = only.template_count if only else gallery.template_count
    return FacesPage(faces=tuple(faces[:size]), total=total)
