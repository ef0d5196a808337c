"""Damaged files in processes that are watched: one that ends or stands still is found out."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.fuzz_record import FuzzRecord, Piece, shared

# A file takes milliseconds: who does not move for so long never will, however busy the machine is.
STUCK_S: Final = 60.0
POLL_S: Final = 0.5


def fuzz(record: FuzzRecord, numbers: range, *, workers: int, folder: Path) -> None:
    """Those of `numbers` that the record has not, by so many processes side by side."""
    ranges = shared(record.left(numbers.start, numbers.stop), workers)
    with ThreadPoolExecutor(workers) as threads:
        watched = [
            threads.submit(_through, part, record, folder / str(number))
            for number, part in enumerate(ranges)
        ]
    for one in watched:
        one.result()


def _through(numbers: range, record: FuzzRecord, folder: Path) -> None:
    """All of them: past a file that ends its process goes another process on."""
    folder.mkdir()
    while left := record.left(numbers.start, numbers.stop):
        _watched(left[0], record, folder)


def _watched(numbers: range, record: FuzzRecord, folder: Path) -> None:
    """One process, its pieces added as they come; a file that ended it is one of them."""
    place, words = folder / "place", folder / "words"
    place.write_bytes(numbers.start.to_bytes(8, "little"))
    command = [sys.executable, "-m", "benchmarks.fuzz_images_child"]
    with words.open("w", encoding="utf-8") as said, words.open(encoding="utf-8") as heard:
        process = subprocess.Popen(
            [*command, str(numbers.start), str(numbers.stop), str(place)], stdout=said
        )
        try:
            before, since, status, unheard = b"", time.monotonic(), None, ""
            while status is None:
                time.sleep(POLL_S)
                # In this order: what it said before it ended is heard.
                status = process.poll()
                *lines, unheard = (unheard + heard.read()).split("\n")
                for line in lines:
                    record.add(Piece(**json.loads(line)))
                    print(f"{record.files} files, {len(record.wrong)} wrong", file=sys.stderr)
                now = place.read_bytes()
                if now != before:
                    before, since = now, time.monotonic()
                elif time.monotonic() - since > STUCK_S:
                    process.kill()
        finally:
            process.kill()
            process.wait()
    if status != 0:
        number = int.from_bytes(place.read_bytes(), "little")
        ended = f"file {number}: ended the process ({status})"
        record.add(Piece(first=number, end=number + 1, wrongs=1, wrong=[ended], slowest=number))
