"""Times: RFC 3339 with any offset in, UTC with milliseconds out."""

import re
from datetime import UTC, datetime

import pytest

from index.clock import check_time, now, text_of


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2030-01-31T12:00:00Z", "2030-01-31T12:00:00.000Z"),
        ("2030-01-31t12:00:00.5Z", "2030-01-31T12:00:00.500Z"),
        ("2030-01-31T12:00:00+05:30", "2030-01-31T06:30:00.000Z"),
        ("2030-01-01T00:30:00.123999+01:00", "2029-12-31T23:30:00.123Z"),
        ("2030-01-31 12:00:00-00:00", "2030-01-31T12:00:00.000Z"),
        ("0099-01-01T00:00:00Z", "0099-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999Z"),
        (None, None),
    ],
)
def test_a_time_is_kept_in_utc(given: str | None, kept: str | None) -> None:
    assert check_time(given, what="expires_at") == kept
    assert check_time(kept, what="expires_at") == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "tomorrow",
        "2030-01-31",
        "2030-01-31T12:00:00",
        "2030-02-30T00:00:00Z",
        "1767225600",
        "9999-12-31T23:00:00-02:00",
        "0001-01-01T00:00:00+01:00",
        "2030-01-31T12:00:00Z\n",
    ],
)
def test_what_is_no_moment_is_refused_in_words(given: str) -> None:
    with pytest.raises(ValueError, match=r"expires_at must be a time with its offset from UTC"):
        check_time(given, what="expires_at")


def test_now_is_written_as_every_other_moment() -> None:
    before, read, after = text_of(datetime.now(UTC)), now(), text_of(datetime.now(UTC))
    assert before <= read <= after
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", read)
    assert check_time(read, what="now") == read
