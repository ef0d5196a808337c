"""A CompreFace in a backup of its database.

Its tables are app (applications), model (services), subject, embedding and img; a row of embedding
is what CompreFace calls an image by its image_id, and img has the file if it was saved. pg_dump
writes them by name, so whose an image is stands after the images: the dump is read twice.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.compreface.migration.copied_rows import Row, copied_rows
from service.compreface.migration.dump_file import plain_dump
from service.compreface.migration.error import MigrationError
from service.compreface.migration.findings import Findings, Reason, can_be_kept
from service.compreface.migration.photo import SavedPhoto

_COLUMNS: Final = {
    "app": ("id", "name"),
    "model": ("api_key", "name", "type", "app_id"),
    "subject": ("id", "api_key", "subject_name"),
    "embedding": ("id", "subject_id", "img_id"),
}
_PHOTOS: Final = "img"
_NEEDED: Final = ("model", "subject", "embedding", _PHOTOS)
_RECOGNITION: Final = "R"
# Of the tables of all versions before 0.6.
_OLD: Final = "face"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionService:
    """A service of the dump. application is None where the dump lacks that table."""

    key: str
    name: str
    application: str | None
    subjects: int
    images: int
    saved: int

    def is_called(self, name: str) -> bool:
        """Whether that is its name, its name with the application's, or its key."""
        return name in (self.name, f"{self.application}/{self.name}", self.key)

    def __str__(self) -> str:
        """For people, without the key."""
        return self.name if self.application is None else f"{self.application}/{self.name}"


class Dump:
    """The images of one recognition service of a dump."""

    def __init__(self, path: Path, rows: sqlite3.Connection, service: RecognitionService) -> None:
        """rows: the small tables, as `opened_dump` reads them."""
        self._path = path
        self._rows = rows
        self._key = service.key
        self.photo_total = service.images
        self.findings = Findings(where=f"CompreFace {service}", subject_count=service.subjects)
        self._leave_out("no_images", "embedding.id IS NULL")
        self._leave_out("image_not_saved", "embedding.id IS NOT NULL AND img_id IS NULL")

    def _leave_out(self, reason: Reason, where: str) -> None:
        found = self._rows.execute(
            "SELECT coalesce(subject_name, ''), embedding.id FROM subject LEFT JOIN embedding "
            f"ON subject_id = subject.id WHERE api_key = ? AND {where} ORDER BY 1, 2",
            [self._key],
        )
        for name, image_id in found:
            self.findings.leave_out(reason, name, *[image_id] if image_id else [])

    def photos(self) -> Iterator[SavedPhoto]:
        """Every saved photo once, in the dump's order. Raises MigrationError."""
        (expected,) = self._rows.execute(
            "SELECT count(img_id) FROM embedding JOIN subject ON subject_id = subject.id "
            "WHERE api_key = ?",
            [self._key],
        ).fetchone()
        found = 0
        with plain_dump(self._path, [_PHOTOS]) as dump:
            for row in copied_rows(dump, [_PHOTOS]):
                whose = self._rows.execute(
                    "SELECT embedding.id, coalesce(subject_name, '') FROM embedding JOIN subject "
                    "ON subject_id = subject.id WHERE img_id = ? AND api_key = ? ORDER BY 1",
                    [row.text("id"), self._key],
                ).fetchall()
                for image_id, subject in whose:
                    found += 1
                    if can_be_kept(subject):
                        data = row.binary("content")
                        yield SavedPhoto(image_id=image_id, subject=subject, data=data)
                    else:
                        self.findings.leave_out("name_refused", subject, image_id)
        if found != expected:
            raise MigrationError(
                f"The dump {self._path} names {expected} saved images and has {found}: rows of "
                "public.img are missing. Make it anew, of the whole database."
            )


@contextmanager
def opened_dump(path: Path, wanted: str | None) -> Iterator[Dump]:
    """The service called `wanted`, by its name or key; None: the only one that saved photos.

    Raises MigrationError.
    """
    # Without a name: a file of its own that nobody sees, and in memory as long as it is small.
    with closing(sqlite3.connect("")) as rows:
        try:
            _read_small_tables(path, rows)
            yield Dump(path, rows, _chosen(_services(rows), wanted))
        except sqlite3.OperationalError as error:
            raise MigrationError(
                f"The dump's tables cannot be kept meanwhile ({error}): make room where temporary "
                "files are, or name another folder by TMPDIR."
            ) from error


def _read_small_tables(path: Path, rows: sqlite3.Connection) -> None:
    for table, columns in _COLUMNS.items():
        rows.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
    seen: set[str] = set()
    with plain_dump(path, [*_COLUMNS, _PHOTOS]) as dump:
        for row in copied_rows(dump, _COLUMNS, began=seen.add):
            _insert(rows, row)
    missing = [table for table in _NEEDED if table not in seen]
    if missing and _OLD in seen and "embedding" in missing:
        raise MigrationError(
            f"The dump {path} is of a CompreFace older than 0.6: start a newer one on that "
            "database, which changes its tables, and make the dump anew."
        )
    if missing:
        named = ", ".join(f"public.{table}" for table in missing)
        raise MigrationError(
            f"The dump {path} has no rows for {named}: it is cut off, of other tables, or not of a "
            "CompreFace. pg_dump of the whole database has them."
        )
    rows.execute("CREATE INDEX embedding_img ON embedding (img_id)")
    rows.execute("CREATE INDEX embedding_subject ON embedding (subject_id)")
    rows.execute("CREATE INDEX subject_id ON subject (id)")


def _insert(rows: sqlite3.Connection, row: Row) -> None:
    columns = _COLUMNS[row.table]
    marks = ", ".join("?" * len(columns))
    rows.execute(f"INSERT INTO {row.table} VALUES ({marks})", [row.text(c) for c in columns])


def _services(rows: sqlite3.Connection) -> list[RecognitionService]:
    found = rows.execute(
        "SELECT model.api_key, model.name, app.name, count(DISTINCT subject.id), "
        "count(embedding.id), count(img_id) FROM model LEFT JOIN app ON app.id = app_id "
        "LEFT JOIN subject ON subject.api_key = model.api_key "
        "LEFT JOIN embedding ON subject_id = subject.id WHERE type = ? "
        "GROUP BY model.api_key ORDER BY app.name, model.name",
        [_RECOGNITION],
    )
    return [
        RecognitionService(
            key=key, name=name, application=application, subjects=subjects, images=images,
            saved=saved,
        )
        for key, name, application, subjects, images, saved in found
    ]  # fmt: skip


def _chosen(services: list[RecognitionService], wanted: str | None) -> RecognitionService:
    """Raises MigrationError, which lists them."""
    if wanted is None:
        # The demo that every CompreFace comes with is one, too, and seldom has saved any.
        found = [service for service in services if service.saved] or services
    else:
        found = [service for service in services if service.is_called(wanted)]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(
        f"{one} ({one.subjects} subjects, {one.saved} of {one.images} images saved)"
        for one in services
    )
    if not services:
        raise MigrationError("The dump has no recognition service, so there are no subjects in it.")
    if wanted is None:
        raise MigrationError(
            f"The dump has several recognition services: {listed}. Say which one by "
            "--compreface-service, and import each into a collection of its own."
        )
    if not found:
        # Not repeated: it may be a key.
        raise MigrationError(
            f"The dump has no recognition service of that name or key. There are: {listed}."
        )
    raise MigrationError(
        f"Several recognition services are called so: {listed}. Name application/service, or the "
        "key."
    )
