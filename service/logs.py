"""How the service's log looks: lines for people, or JSON for what collects logs.

Neither holds photos, embeddings, names, or ids out of a path: lines of requests name the pattern
of their route and a request id.
"""

import logging
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter

from service.options import LogFormat

TEXT: Final = "%(asctime)s %(levelname)s %(message)s"
JSON: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
NAMES: Final = {"asctime": "time", "levelname": "level", "name": "logger"}


def configure(kind: LogFormat) -> None:
    """Log to standard error from now on, unless whoever embeds the service has chosen already."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter(TEXT)
    if kind == "json":
        formatter = JsonFormatter(JSON, rename_fields=NAMES)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def for_uvicorn() -> dict[str, Any]:
    """uvicorn's own log goes the same way; its lines of requests, which hold addresses and ids of
    people, are left out in favour of service/request_metrics.py's."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "loggers": {"uvicorn.access": {"level": "WARNING"}},
    }
