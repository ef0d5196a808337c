"""Programs that wheels of ours bring, run as a user would."""

import os
import subprocess
import sys
from pathlib import Path


def tool(name: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment; what it said and how it ended. environment: added."""
    command = [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
