"""Who works on a run: several workers share a table without doing anything twice."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def claimed(claim: Path) -> Iterator[bool]:
    """Whether the run whose claim is the file `claim` is this process's while the context lasts.

    The lock is the operating system's, and goes when its process ends in whatever way: what a
    killed worker had begun is taken on by the next. The file holds the process id, for people.
    """
    claim.parent.mkdir(parents=True, exist_ok=True)
    with claim.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield True
