"""Write docs/openapi.json, the API as the running service describes it.

python -m benchmarks.openapi
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from service.app import create_app
from service.metrics import Metrics
from service.runtime import Runtime
from service.settings import Settings

SNAPSHOT = Path(__file__).parent.parent / "docs" / "openapi.json"


def schema() -> dict[str, Any]:
    """The OpenAPI document. It depends on no bundle and no gallery, so none is loaded."""
    parts = SimpleNamespace(
        settings=Settings(), metrics=Metrics(), keyring=None, workers=None, tracing=None
    )
    runtime = cast(Runtime, parts)
    return create_app(runtime).openapi()


def main() -> int:
    """Write the snapshot."""
    text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    SNAPSHOT.parent.mkdir(exist_ok=True)
    SNAPSHOT.write_text(text, encoding="utf-8")
    print(f"{SNAPSHOT}: {len(text)} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
