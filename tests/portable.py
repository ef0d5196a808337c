"""A collection's whole content, to compare, and the way to an export file and back."""

from pathlib import Path
from typing import Any

from index.gallery import Gallery
from index.portable.exporting import Exported, export_collection
from index.portable.importing import import_file
from index.tables import templates
from index.writes.restoring import Restored
from tests.conftest import CONTRACT

State = list[tuple[Any, list[tuple[Any, ...]]]]


def state_of(gallery: Gallery) -> State:
    """All subjects in the order of creation, each with its templates, bit for bit."""
    found: State = []
    for subject in gallery.subjects(limit=1_000).subjects:

        def held(scope: Any, subject_id: str = subject.id) -> list[tuple[Any, ...]]:
            rows = scope.c.execute(
                "SELECT number FROM subjects WHERE id = ? AND collection_number = ?",
                (subject_id, gallery.number),
            )
            return [
                (t.id, t.created_at, t.embedding.tobytes(), templates.get_crop(scope.c, t.id))
                for t in templates.templates_of(scope.c, scope.searched, rows[0][0])
            ]

        found.append((subject, gallery.read(held)))
    return found


def file_gallery(folder: Path, name: str = "other.db", **options: Any) -> Gallery:
    return Gallery.open(folder / name, CONTRACT, **options)


def export(gallery: Gallery, path: Path, **options: Any) -> Exported:
    return list(export_collection(gallery, path, **options))[-1]


def imported(gallery: Gallery, path: Path) -> list[Restored]:
    return [item for block in import_file(gallery, path) for item in block.results]


def outcomes(gallery: Gallery, path: Path) -> list[tuple[str, str]]:
    return [(item.subject_id, item.outcome) for item in imported(gallery, path)]
