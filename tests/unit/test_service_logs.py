"""The log: lines for people or JSON, each request with its id."""

import json
import logging
from collections.abc import Iterator

import pytest

from service.logs import configure, for_uvicorn
from service.options import LogFormat


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level


def lines(kind: LogFormat, capsys: pytest.CaptureFixture[str]) -> list[str]:
    # Those of pytest, which nobody has in a service.
    logging.getLogger().handlers = []
    configure(kind)
    log = logging.getLogger("service.request_metrics")
    log.info("%s %s", "GET", "/v1/jobs", extra={"request_id": "abc", "status": 200})
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("failed")
    return capsys.readouterr().err.splitlines()


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (json.loads(line) for line in lines("json", capsys))
    assert first.pop("time")
    assert first == {
        "level": "INFO",
        "logger": "service.request_metrics",
        "message": "GET /v1/jobs",
        "request_id": "abc",
        "status": 200,
    }
    assert (second["level"], second["message"]) == ("ERROR", "failed")
    assert "ValueError: two\nlines" in second["exc_info"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines("text", capsys)[0].endswith(" INFO GET /v1/jobs")


def test_uvicorn_says_no_addresses_of_callers() -> None:
    assert for_uvicorn()["loggers"]["uvicorn.access"]["level"] == "WARNING"
