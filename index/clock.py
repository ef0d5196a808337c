"""Times as the gallery writes them: RFC 3339 in UTC with milliseconds, so that text order is
order in time."""

from datetime import UTC, datetime


def now() -> str:
    """This moment."""
    return text_of(datetime.now(UTC))


def text_of(moment: datetime) -> str:
    """An aware moment as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def check_time(given: str | None, *, what: str) -> str | None:
    """RFC 3339 with an offset from UTC, in the form above; None stays None. Raises ValueError."""
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is None:
            raise ValueError("it has no offset from UTC")
        return text_of(moment)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{what} must be a time with its offset from UTC, such as 2030-01-31T12:00:00Z, "
            f"not {given[:40]!r} ({error})."
        ) from error
