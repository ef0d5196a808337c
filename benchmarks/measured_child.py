"""What one piece of work costs, measured in a process of its own that ends with it."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_RESET_PEAK = "5"  # proc(5), clear_refs: the peak starts anew from what is resident now.


@dataclass(frozen=True, slots=True)
class Cost:
    """outcome: what the work said. cpu_s: of the processor. growth_mb: the largest resident memory
    above that before."""

    outcome: str
    cpu_s: float
    growth_mb: float


def cost_of(work: Callable[[], str]) -> Cost:
    """Fork, do it there. Call before any thread is started.

    Raises ChildProcessError: the process ended without a word.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.write(writing, json.dumps(_measured(work)).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    if not said:
        raise ChildProcessError(f"it ended by {os.waitstatus_to_exitcode(status)}")
    return Cost(*json.loads(said))


def resident_mb(key: str = "VmRSS") -> float:
    """Of this process: VmRSS is resident now, VmHWM the peak of it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) / 1024


def reset_peak() -> None:
    """Let VmHWM start anew."""
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def _measured(work: Callable[[], str]) -> tuple[str, float, float]:
    reset_peak()
    before, start = resident_mb(), time.process_time()
    outcome = work()
    return outcome, time.process_time() - start, resident_mb("VmHWM") - before
