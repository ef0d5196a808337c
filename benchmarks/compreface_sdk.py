"""CompreFace's unmodified SDK against a server, from outside of its environment."""

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

CHILD = Path(__file__).with_name("compreface_child.py")


class SdkError(Exception):
    """The SDK is not installed, is not as it was published, or a call of it raised."""


class Sdk:
    """Its methods by name, each with the answer that the SDK gives to its callers."""

    def __init__(self, environment: Path, url: str) -> None:
        """environment: a virtual one with the SDK. Raises SdkError."""
        python = environment / "bin" / "python"
        if not python.exists():
            raise SdkError(f"There is no {python}: run make proof-compreface.")
        address = urlsplit(url)
        self._process = subprocess.Popen(
            # -P: the SDK's package has the name of a module beside the child.
            [str(python), "-P", str(CHILD), f"http://{address.hostname}", str(address.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NO_PROXY": "*"},
        )
        changed = self._line()["changed"]
        if changed:
            self.close()
            raise SdkError(f"The SDK is not as it was published: {changed}.")

    def call(self, of: str, method: str, *, key: str = "any-key", **arguments: Any) -> Any:
        """What `method` of the SDK's service or collection `of` returns. Raises SdkError."""
        assert self._process.stdin is not None
        call = {"key": key, "of": of, "method": method, "arguments": arguments}
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        return self._line()

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SdkError("The SDK's process ended: its words are above.")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
