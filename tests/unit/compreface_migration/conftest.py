"""A CompreFace whose people and photos are known, and a dump of it."""

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.postgres_server import PostgresServer
from service.compreface.migration.findings import Findings
from service.compreface.migration.photo import SavedPhoto
from service.compreface.migration.source import open_source
from tests.compreface_database import ComprefaceDatabase
from tests.conftest import Face, face_photo

NAMES = (
    "Ada Lovelace",
    "Zoë/Müller",
    'O\'Brien "Bob", Jr.',
    "back\\slash",
    r"\N",
    r"\.",
    "..",
    "/etc",
    "__MACOSX",
    ".hidden",
    "日本 語 👩‍🚀",
    "x" * 128,
    " spaces ",
    "a;b\\x41%s",
)
REFUSED = ("tab\there", "line\nbreak", "y" * 129, "")


@dataclass(frozen=True)
class Made:
    """photos: files by image id by subject, as they were put into the service `staff`."""

    database: ComprefaceDatabase
    key: str
    photos: dict[str, dict[str, bytes | None]]

    @property
    def saved(self) -> set[tuple[str, str, bytes]]:
        return {
            (subject, image_id, data)
            for subject, photos in self.photos.items()
            for image_id, data in photos.items()
            if data is not None and subject not in REFUSED
        }


def new_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture(scope="module")
def made(postgres_server: PostgresServer) -> Made:
    """A CompreFace with one service that saved photos."""
    database = ComprefaceDatabase(postgres_server)
    key = database.add_service("staff", "Door")
    photos: dict[str, dict[str, bytes | None]] = {
        name: {new_id(): face_photo(seed), new_id(): face_photo(Face(seed, noise=5))}
        for seed, name in enumerate(NAMES)
    }
    photos |= {name: {new_id(): face_photo(90)} for name in REFUSED}
    # Every byte there is, and what a backslash could be taken for.
    photos["bytes"] = {new_id(): bytes(range(256)) * 3 + b"\\x41\\000\\\\\n\\.\n\\N\t"}
    photos["half"] = {new_id(): face_photo(50), new_id(): None}
    photos["unsaved"] = {new_id(): None, new_id(): None}
    photos["nobody"] = {}
    for name, of_subject in photos.items():
        database.add_subject(key, name, of_subject)
    return Made(database, key, photos)


@pytest.fixture(scope="module")
def plain(made: Made, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The dump as pg_dump makes it without options."""
    return made.database.dump(tmp_path_factory.mktemp("dump") / "plain.sql").read_bytes()


def photos_of(source: Path, **options: Any) -> tuple[list[SavedPhoto], Findings]:
    with open_source(str(source), key=None, service=options.get("service")) as compreface:
        return list(compreface.photos()), compreface.findings


def check(made: Made, source: Path) -> None:
    """The dump gives what was put in, each photo once."""
    photos, findings = photos_of(source)
    assert len(photos) == len(made.saved)
    assert {(p.subject, p.image_id, p.data) for p in photos} == made.saved
    assert findings.left_out == {
        "image_not_saved": {
            "half": sorted(i for i, data in made.photos["half"].items() if data is None),
            "unsaved": sorted(made.photos["unsaved"]),
        },
        "no_images": {"nobody": []},
        "name_refused": {name: list(made.photos[name]) for name in REFUSED},
    }
    assert findings.subject_count == len(made.photos)
