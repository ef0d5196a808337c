"""A real server with 1,000 subjects, and photos of faces to ask it about."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.lfw_people import LfwPeople, data_root
from benchmarks.load.callers import Callers
from benchmarks.load.prepared import identify_request
from benchmarks.server import Server, serving
from contract.bundle import load_bundle
from index.gallery import Gallery
from service.settings import SHIPPED_BUNDLE

SUBJECTS = 1_000
PHOTOS = 160
WARM_S = 3.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Who is asked, and who asks. workers: of the server."""

    server: Server
    callers: Callers
    workers: int


def address_of(url: str) -> tuple[str, int]:
    """Host and port of a URL that names both."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def photos_of_lfw(count: int = PHOTOS) -> Sequence[bytes]:
    """250 x 250 pixels, one face mostly, each of another person. Raises DataMissingError."""
    with LfwPeople(data_root()) as people:
        return [people.read(photos[0]) for photos in [*people.photos.values()][:count]]


def fill(gallery: Gallery) -> None:
    """Subjects that nobody looks like, the same ones each time."""
    rows = np.random.default_rng(0).normal(size=(SUBJECTS, gallery.contract.size))
    for row in rows:
        unit = row / np.linalg.norm(row)
        gallery.enroll(unit[None].astype(np.float32))


@contextmanager
def scene(*, workers: int) -> Iterator[Scene]:
    """A warm server of the shipped bundle. Raises DataMissingError, OneGlanceError, ServerError."""
    requests = [identify_request(photo) for photo in photos_of_lfw()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contract = load_bundle(SHIPPED_BUNDLE).manifest.contract
        with Gallery.open(folder / "gallery.sqlite3", contract) as gallery:
            fill(gallery)
        options = ("--worker-threads", workers)
        with (
            serving(folder / "gallery.sqlite3", folder / "log", *options) as server,
            closing(Callers(address_of(server.url), requests)) as callers,
        ):
            callers.waiting_ones(2 * workers, seconds=WARM_S)
            yield Scene(server, callers, workers)
