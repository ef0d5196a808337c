"""Where a gallery lies, in words."""

from index.galleries import is_postgres


def in_words(location: str) -> str:
    """A location for logs and messages: a database without its password."""
    if not is_postgres(location):
        return location
    from index.postgres_errors import place_of

    return place_of(location)
