"""`make serve` alone, from whatever this checkout has to a service that answers and ends cleanly.

    python -m benchmarks.serve

On a fresh clone the time includes making the environment: this module needs nothing but Python.
The seconds are the last line; the exit status is not 0 if the service did not become ready, or did
not end when asked.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.server import ServerError, free_port, wait_ready

ROOT = Path(__file__).parent.parent
READY_LIMIT_S = 20 * 60.0
STOP_LIMIT_S = 60.0
LAST_WORDS = "Application shutdown complete"


def start(folder: Path, port: int) -> subprocess.Popen[str]:
    """`make serve` in a session of its own, its words in a file."""
    environment = {
        # Not this make's: `make proof-serve` would hand its own options and jobs on.
        **{k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")},
        "ONEGLANCE_HOST": "127.0.0.1",
        "ONEGLANCE_PORT": str(port),
        "ONEGLANCE_GALLERY": str(folder / "gallery.sqlite3"),
    }
    with (folder / "log").open("w", encoding="utf-8") as words:
        return subprocess.Popen(
            ["make", "serve"],
            cwd=ROOT,
            env=environment,
            stdout=words,
            stderr=words,
            text=True,
            start_new_session=True,
        )


def stop(make: subprocess.Popen[str]) -> None:
    """Ask make and the server to end, as a terminal or a service manager would; see that they do.

    Raises ServerError; nothing of the session is left then, either.
    """
    os.killpg(make.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_LIMIT_S
    while session_is_there(make):
        if time.monotonic() > deadline:
            os.killpg(make.pid, signal.SIGKILL)
            raise ServerError(f"It had not ended {STOP_LIMIT_S:.0f} s after SIGTERM.")
        time.sleep(0.1)


def session_is_there(make: subprocess.Popen[str]) -> bool:
    """Make or anything that it started is still running."""
    make.poll()
    try:
        os.killpg(make.pid, 0)
    except ProcessLookupError:
        return False
    return True


def main() -> int:
    """Start, wait, stop; 0 if all went well."""
    with tempfile.TemporaryDirectory(prefix="oneglance-serve-") as name:
        folder, port = Path(name), free_port()
        print(f"make serve on port {port} ...", file=sys.stderr)
        begun = time.perf_counter()
        make = start(folder, port)
        try:
            ready = wait_ready(f"http://127.0.0.1:{port}", make, READY_LIMIT_S)
            seconds = time.perf_counter() - begun
            stop(make)
            words = (folder / "log").read_text(encoding="utf-8")
            if LAST_WORDS not in words or "Traceback" in words:
                raise ServerError("It did not end cleanly.")
        except ServerError as error:
            if session_is_there(make):
                os.killpg(make.pid, signal.SIGKILL)
            said = (folder / "log").read_text(encoding="utf-8")
            print(f"serve: {error} It said:\n{said}", file=sys.stderr)
            return 1
    bundle = ready["bundle"]["id"]
    print(f"ready with bundle {bundle}, ended cleanly on SIGTERM")
    print(f"`make serve` answered /readyz after {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
