"""PostgreSQL's errors to ours, in words that name the database and never its password."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from contract.errors import GalleryError, GalleryFullError, GalleryUnavailableError

# By the longest beginning of the SQLSTATE; all that is not here is our own mistake.
_UNAVAILABLE: Final = {
    "08": "lost its connection: try again",
    "23503": "was written by another at the same moment: try again",
    "23505": "was written by another at the same moment: try again",
    "25006": "takes no writes: name the primary server, or let this role write",
    "25P03": "gave up on us after a long pause: try again",
    "40": "was written by another at the same moment: try again",
    "42501": "may not be used so: give this role the right to",
    "42P01": "has not all of its tables: bring back a copy of it",
    "53": "has no memory or no connections left: look at the server's limits",
    "55P03": "is held by another writer for too long: try again",
    "57014": "took longer over a statement than it may: try again, or look at the server's load",
    "57P": "is stopping or starting: try again",
    "58": "reports a fault of its storage: look at the server's log",
    "XX": "reports damage or a fault: look at the server's log, or bring back a copy of it",
}
_FULL: Final = ("53100", "53400")
# Without a SQLSTATE it is the client library that speaks.
_UNREACHABLE: Final = "cannot be reached: look at the server, its address, role and password"
_LOST: Final = "lost its connection: try again"


def place_of(dsn: str) -> str:
    """The database of a DSN in words, without its password. Raises GalleryError for no DSN."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.Error:
        # libpq's words repeat the part that it stumbled over, which may be the password.
        raise GalleryError(
            "The address of the gallery's database cannot be read: write it as "
            "postgresql://role:password@host:5432/database, and : / @ % inside of a part as %3A, "
            "%2F, %40 and %25."
        ) from None
    database = parts.get("dbname") or parts.get("user") or "postgres"
    server = ":".join(str(parts[key]) for key in ("host", "port") if parts.get(key))
    return f"PostgreSQL database {database!r} on {server or 'this machine'}"


@contextmanager
def server_errors(
    place: str, *, connecting: bool = False, committing: bool = False
) -> Iterator[None]:
    """Raise psycopg's errors as GalleryFullError or GalleryUnavailableError about `place`.

    ValueError for what PostgreSQL cannot store or compare with, such as text with a zero byte.
    committing: the block asks for the commit, so a lost connection leaves the outcome unknown.
    """
    try:
        yield
    except psycopg.DataError as error:
        raise ValueError(f"PostgreSQL does not take a value: {error}") from error
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if state in _FULL:
            raise GalleryFullError(
                f"There is no room left for the gallery in the {place}: free some, then try again. "
                "What was acknowledged is safe."
            ) from error
        told = _words(state)
        if not state and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            told = _UNREACHABLE if connecting else _LOST
        if told is None:
            raise
        reason = " ".join(str(error).split())
        doubt = " Whether the write under way was stored is not known." if committing else ""
        raise GalleryUnavailableError(
            f"The gallery in the {place} {told} ({reason}).{doubt}"
        ) from error


def damaged(place: str, finding: str) -> GalleryUnavailableError:
    """The error for content that no version of ours has written."""
    return GalleryUnavailableError(
        f"The gallery in the {place} is damaged ({finding}): bring back a copy of it."
    )


def _words(state: str) -> str | None:
    for length in (5, 3, 2):
        if len(state) >= length and state[:length] in _UNAVAILABLE:
            return _UNAVAILABLE[state[:length]]
    return None
