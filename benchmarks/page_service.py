"""The service for who looks at its page: over a socket, in this process, with drawn faces."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from benchmarks.block_detector import BlockDetector
from benchmarks.server import free_port
from service.app import create_app
from service.embedder import Embedder
from service.runtime import Runtime, build_runtime
from service.settings import Settings

START_LIMIT_S = 30.0


@contextmanager
def page_service(
    gallery: Path, bundle_path: Path, *, embedder: Embedder | None = None, **settings: Any
) -> Iterator[tuple[str, Runtime]]:
    """Its address and its runtime. To the quality policies drawn faces are none: they are off."""
    given = {
        "bundle_path": bundle_path,
        "gallery": str(gallery),
        "worker_threads": 2,
        "quality": "off",
        **settings,
    }
    runtime = build_runtime(Settings(**given), detector=BlockDetector(), embedder=embedder)
    port = free_port()
    config = uvicorn.Config(create_app(runtime), host="127.0.0.1", port=port, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise RuntimeError("The service for the page did not start.")
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}", runtime
    finally:
        # The application closes the runtime at its end.
        server.should_exit = True
        thread.join()
