"""The proxy that is shipped in docker/, in a process of its own before replicas of this machine."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.server import ServerError, free_port

CADDYFILE: Final = Path(__file__).parents[1] / "docker" / "Caddyfile"
START_LIMIT_S: Final = 30.0
STOP_LIMIT_S: Final = 30.0


@contextmanager
def proxying(ports: Sequence[int], folder: Path) -> Iterator[str]:
    """The proxy's URL, before replicas on these ports of the loopback address; ended in the end.

    folder: where its words go, and what it keeps. Raises ServerError: it does not start.
    """
    port = free_port()
    environment = {
        **os.environ,
        "ONEGLANCE_SITE": f":{port}",
        "ONEGLANCE_REPLICAS": " ".join(f"127.0.0.1:{replica}" for replica in ports),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    log = folder / "caddy.log"
    command = [str(Path(sys.executable).with_name("caddy")), "run", "--config", str(CADDYFILE)]
    with log.open("wb") as words:
        process = subprocess.Popen(command, env=environment, stdout=words, stderr=words)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            # Answered by the proxy itself.
            ask(f"{url}/metrics", timeout=5)
        except urllib.error.HTTPError:
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerError(f"Caddy does not start. It said:\n{log.read_text()}") from error
            time.sleep(0.05)
