"""A real server with 1,000 subjects, and photos of faces to ask it about."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.lfw_people import LfwPeople, data_root
from benchmarks.load.callers import Callers
from benchmarks.load.prepared import identify_request
from benchmarks.overhead import fill
from benchmarks.server import Server, serving
from contract.bundle import load_bundle
from index.gallery import Gallery
from service.settings import SHIPPED_BUNDLE

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


def photos_of_lfw() -> Sequence[bytes]:
    """250 x 250 pixels, one face mostly. Raises DataMissingError."""
    with LfwPeople(data_root()) as people:
        return [people.read(photos[0]) for photos in [*people.photos.values()][:PHOTOS]]


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
