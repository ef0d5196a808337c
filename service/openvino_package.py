"""The package openvino, without what it says to others.

It brings openvino-telemetry along, which sends Google Analytics an event at each import unless
somebody has declined on that machine. Where that package cannot be imported it takes a stub that
sends nothing: so it is made one that cannot.
"""

import sys
from typing import Any


def import_openvino() -> Any:
    """The module. Raises ImportError where it is not installed."""
    modules: dict[str, Any] = sys.modules
    modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino
