"""Where a CompreFace's photos come from: its address, or a dump of its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.compreface.migration.dump import opened_dump
from service.compreface.migration.error import MigrationError
from service.compreface.migration.live import opened_live
from service.compreface.migration.photo import CompreFace


@contextmanager
def open_source(source: str, *, key: str | None, service: str | None) -> Iterator[CompreFace]:
    """The recognition service that is meant, of a URL or of a file of pg_dump.

    key: of a recognition service; a URL needs it. service: of a dump, by name or key, where it has
    several. Raises MigrationError.
    """
    if source.lower().startswith(("http://", "https://")):
        if service is not None:
            raise MigrationError(
                "Of a running CompreFace the key says which service is meant: leave "
                "--compreface-service out."
            )
        if not key:
            raise MigrationError(
                "A running CompreFace asks for the API key of the recognition service: name it by "
                "--compreface-key or ONEGLANCE_COMPREFACE_KEY."
            )
        with opened_live(source, key) as live:
            yield live
    else:
        with opened_dump(Path(source), service or key) as dump:
            yield dump
