"""A run's log with the time of each epoch, which survives a kill: the times lie in log.jsonl.

Checkpoints of a table are written after whole epochs only, so an epoch that was cut off is done
again from its start and its time is that of the attempt that counts.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path

from training.paper_table.record import Epoch
from training.run_log import LOG_NAME, RunLog


class TimedLog(RunLog):
    """Adds `core_s` and `wall_s`, seconds since the last epoch ended, to a validation."""

    def __init__(self, run: Path) -> None:
        super().__init__(run)
        self._core_s, self._wall_s = time.process_time(), time.monotonic()

    def start(self, step: int) -> None:
        super().start(step)
        self._core_s, self._wall_s = time.process_time(), time.monotonic()

    def epoch(self, step: int, values: Mapping[str, float | int | None]) -> None:
        if "validation" in values:
            core_s, wall_s = time.process_time(), time.monotonic()
            values = {**values, "core_s": core_s - self._core_s, "wall_s": wall_s - self._wall_s}
            self._core_s, self._wall_s = core_s, wall_s
        super().epoch(step, values)


def timed_epochs(run: Path) -> tuple[Epoch, ...]:
    """The epochs of the run in a folder, ascending; of one done twice the last attempt."""
    found: dict[int, Epoch] = {}
    for line in (run / LOG_NAME).read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
        except ValueError:  # a line that a kill cut off
            continue
        if "core_s" in values:
            found[values["epoch"]] = Epoch(
                epoch=values["epoch"],
                validation=values["validation"],
                core_s=round(values["core_s"], 2),
                wall_s=round(values["wall_s"], 2),
            )
    return tuple(found[number] for number in sorted(found))
