"""What an export reads: pages of subjects, described first, then with embeddings and crops.

Each page is a transaction of its own: a long one would keep what is erased meanwhile in the files.
Shapes: N templates, D embedding size.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from contract.errors import GalleryError
from index.gallery import Gallery
from index.portable.frames import SubjectLine, TemplateLine
from index.tables import pages
from index.writes.scope import Scope

PAGE_SUBJECTS: Final = 1_000
_FLOAT_BYTES: Final = 4


@dataclass(slots=True)
class Described:
    """A subject as its line will say it, and how many bytes its binary part takes."""

    number: int
    line: SubjectLine
    binary_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Subjects with what belongs to them. binary: embeddings, then crops, see the format."""

    described: list[Described] = field(default_factory=list)
    binary: bytes = b""

    @property
    def template_count(self) -> int:
        """Of all its subjects."""
        return sum(len(subject.line.templates) for subject in self.described)


def described_subjects(gallery: Gallery, *, crops: bool) -> Iterator[Described]:
    """All subjects that have not expired, in the order of creation, without their embeddings."""
    after = 0
    while True:

        def page(scope: Scope, after: int = after) -> tuple[int, list[Described]]:
            return _describe(scope, after, crops=crops)

        after, found = gallery.read(page)
        yield from found
        if not after:
            return


def whole_pages(
    gallery: Gallery, *, after: int, crops: bool, max_bytes: int
) -> Iterator[tuple[int, Page]]:
    """The subjects numbered above `after`, some at a time, each with the number that it ends at.

    max_bytes: of a page's binary part, unless one subject alone has more.
    """
    while True:

        def page(scope: Scope, after: int = after) -> tuple[int, Page]:
            last, found = _describe(scope, after, crops=crops)
            kept, room = 0, max_bytes
            for subject in found:
                room -= subject.binary_bytes
                if room < 0 and kept:
                    break
                kept += 1
            if kept < len(found):
                last, found = found[kept - 1].number, found[:kept]
            return last, _filled(scope, found, crops=crops)

        after, found = gallery.read(page)
        if found.described:
            yield after, found
        if not after:
            return


def _describe(scope: Scope, after: int, *, crops: bool) -> tuple[int, list[Described]]:
    """A page, and the number at which it ends: 0 where nobody comes after it."""
    if scope.collection.contract_number != scope.searched.contract:
        raise GalleryError(
            f"The collection {scope.collection.id!r} was re-embedded meanwhile: export it again."
        )
    rows = pages.subjects_of_page(
        scope.c, scope.collection.number, after=after, limit=PAGE_SUBJECTS
    )
    if not rows:
        return 0, []
    found = {}
    for row in rows:
        s = row.subject
        if not s.has_expired(scope.at):
            line = SubjectLine(
                id=s.id,
                name=s.name,
                external_id=s.external_id,
                metadata=dict(s.metadata),
                created_at=s.created_at,
                expires_at=s.expires_at,
                consent_ref=s.consent_ref,
                templates=[],
            )
            found[row.number] = Described(row.number, line)
    held = pages.templates_of_page(
        scope.c, scope.searched, first=rows[0].number, last=rows[-1].number
    )
    for template in held:
        subject = found.get(template.subject_number)
        if subject:
            length = template.crop_bytes if crops else None
            subject.line.templates.append(
                TemplateLine(
                    id=template.id, created_at=template.created_at, crop_bytes=length or None
                )
            )
            subject.binary_bytes += scope.searched.size * _FLOAT_BYTES + (length or 0)
    last = rows[-1].number if len(rows) == PAGE_SUBJECTS else 0
    return last, list(found.values())


def _filled(scope: Scope, described: list[Described], *, crops: bool) -> Page:
    """With embeddings and crops, all of the same moment."""
    if not described:
        return Page()
    c, of = scope.c, scope.searched
    first, last = described[0].number, described[-1].number
    # Who has expired may lie between them, and is left out.
    kept = {subject.number for subject in described}
    embeddings = pages.embeddings_of_page(c, of, first=first, last=last, kept=kept)
    embeddings = of.protection.plain(embeddings)
    pictures: list[bytes] = []
    if crops:
        pictures = pages.crops_of_page(c, of, first=first, last=last, kept=kept)
    return Page(described=described, binary=embeddings.astype("<f4").tobytes() + b"".join(pictures))


def jsonl_of(lines: Iterable[SubjectLine]) -> bytes:
    """Lines as a block's JSON part."""
    return b"".join(
        json.dumps(
            line.model_dump(), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
        + b"\n"
        for line in lines
    )
