"""A real `oneglance serve` in a process of its own, and what it uses of the machine.

Needs nothing but Python, so that it can watch `make serve` make its environment.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_LIMIT_S = 300.0
STOP_LIMIT_S = 30.0
POLL_S = 0.2
RESET_PEAK = "5"  # proc(5), clear_refs: the peak starts anew from what is resident now.


class ServerError(Exception):
    """A server did not start, or did not end."""


def free_port() -> int:
    """A port of this machine that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve_command(*options: object) -> list[str]:
    """`oneglance serve` of this environment."""
    command = Path(sys.executable).with_name("oneglance")
    return [str(command), "serve", *map(str, options)]


def wait_ready(url: str, process: subprocess.Popen[str], limit_s: float) -> dict[str, Any]:
    """What /readyz answers with its first 200. Raises ServerError: it ended, or time is up."""
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(f"The server ended with status {process.returncode}.")
        try:
            with ask(f"{url}/readyz", timeout=10) as answer:
                ready: dict[str, Any] = json.load(answer)
                return ready
        except OSError:  # Nobody listens yet, or 503: both are OSErrors of urllib.
            time.sleep(POLL_S)
    raise ServerError(f"The server was not ready after {limit_s:.0f} s.")


@dataclass(frozen=True)
class Server:
    """A server that answers at `url`."""

    url: str
    process: subprocess.Popen[str]

    def resident_kb(self, key: str = "VmRSS") -> int:
        """Memory of the process in kB: VmRSS is resident now, VmHWM the peak of it."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        line = next(line for line in status.splitlines() if line.startswith(f"{key}:"))
        return int(line.split()[1])

    def reset_peak(self) -> bool:
        """Let VmHWM start anew; False where the kernel does not let us."""
        try:
            Path(f"/proc/{self.process.pid}/clear_refs").write_text(RESET_PEAK, encoding="ascii")
        except OSError:
            return False
        return True


@contextmanager
def serving(gallery_path: Path, log: Path, *further: object) -> Iterator[Server]:
    """A ready server on a free port, its words in the file `log`; ended in the end.

    further: options of `oneglance serve`.
    """
    port = free_port()
    options = ("--host", "127.0.0.1", "--port", port, "--gallery", gallery_path, *further)
    with log.open("w", encoding="utf-8") as words:
        process = subprocess.Popen(
            serve_command(*options), stdout=words, stderr=words, text=True, env=dict(os.environ)
        )
    try:
        server = Server(f"http://127.0.0.1:{port}", process)
        try:
            wait_ready(server.url, process, READY_LIMIT_S)
        except ServerError as error:
            raise ServerError(f"{error} It said:\n{log.read_text(encoding='utf-8')}") from error
        yield server
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
