"""Calls come as lines of JSON, answers go as such lines: the same loop in every environment.

Needs nothing but Python. A contender has `enroll(name, data)`, `identify(data, everybody)`, which
gives the names of the largest face or of all, None for who is not known, and `embed(data)`, which
gives the embedding of the largest face as a list of numbers, or None without one.
"""

import json
import resource
import sys
import time
from pathlib import Path


def _read(path):
    return Path(path).read_bytes()


def _identify(contender, paths, everybody):
    """Each photo in turn: milliseconds by the clock and of this core, and who was found."""
    found = []
    for data in map(_read, paths):
        clock, core = time.perf_counter(), time.thread_time()
        names = contender.identify(data, everybody)
        core, clock = time.thread_time() - core, time.perf_counter() - clock
        found.append({"ms": clock * 1000, "core_ms": core * 1000, "names": names})
    return found


def _memory(reset):
    """Megabytes resident now and at the peak since the last reset; 0 where that is not told."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, peak = (int(status[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
    if reset:
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"now_mb": now, "peak_mb": peak}


def serve(contender):
    """Answer until there are no more calls: {"do", "arguments"}."""
    calls = {
        "enroll": lambda people: [contender.enroll(name, _read(p)) for name, p in people.items()],
        "identify": lambda paths, everybody: _identify(contender, paths, everybody),
        "embed": lambda paths: [contender.embed(data) for data in map(_read, paths)],
        "memory": _memory,
    }
    for line in sys.stdin:
        call = json.loads(line)
        sys.stdout.write(json.dumps(calls[call["do"]](**call["arguments"])) + "\n")
        sys.stdout.flush()
