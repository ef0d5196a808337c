"""Images of the pack from tasks, in the order of the tasks, here or in several processes."""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from contract.errors import ImageError
from contract.images import DEFAULT_LIMITS, decode_image
from training.data.crops import Crop
from training.data.sources.base import Pixels, Task, UnusableError
from training.data.sources.files import Files, open_files, read_member
from training.parent import end_with_parent

CHUNK = 8  # tasks that travel together
CHUNKS_AHEAD = 3  # of each worker; what is done and waits for its turn is in memory


class PreparationError(RuntimeError):
    """The work broke off; what was done is kept."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a task: a crop, or the reason in words that there is none.

    digest: of the content of the file or the pixels, empty where it could not be read.
    """

    crop: Pixels | None
    digest: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """All that a process needs to work: the source's files and what is done to each image."""

    files: Path | None
    crop: Crop


def work(job: Job, tasks: Iterable[Task], *, workers: int) -> Generator[Done, None, None]:
    """What becomes of each task, in their order, a few at a time.

    workers: processes; 1 works in this one.
    Raises PreparationError if a worker was killed or met what nobody expects.
    """
    if workers == 1:
        bench = _Bench(job)
        return (bench.done(task) for task in tasks)
    return _shared(job, tasks, workers)


def _shared(job: Job, tasks: Iterable[Task], workers: int) -> Generator[Done, None, None]:
    tasks = iter(tasks)
    waiting: deque[Future[list[Done]]] = deque()
    # Not forked: threads of torch would not be there in the child, and its locks would.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(job,)
    ) as pool:
        try:
            while chunk := list(islice(tasks, CHUNK)):
                with _interrupts_later():
                    waiting.append(pool.submit(_done, chunk))
                if len(waiting) > CHUNKS_AHEAD * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            raise PreparationError(
                "A worker process was killed, most likely since the memory was full. What is done "
                "is kept: run the same command again, with fewer --workers."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal, but only the first is to answer it.

    `submit` starts the workers, which inherit from here that they never hear of it. A worker that
    is half started would say so, at length, if this process broke off; and blocking the signal
    here is not enough, as another thread (tqdm has one) can take it, which wakes this one.
    """
    main = threading.current_thread() is threading.main_thread()
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number)) if main else None
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        if main:
            signal.signal(signal.SIGINT, before)
    if heard:
        signal.raise_signal(signal.SIGINT)


class _Bench:
    """One process at work; files and detector are opened at its first task."""

    def __init__(self, job: Job) -> None:
        self._files: Files | None = open_files(job.files) if job.files else None
        self._cut = job.crop.open()

    def done(self, task: Task) -> Done:
        digest = ""
        try:
            image, digest = pixels_of(task, self._files)
            return Done(self._cut(image, task.landmarks), digest)
        except (ImageError, UnusableError) as reason:
            return Done(None, digest, str(reason))
        except Exception as error:
            raise PreparationError(f"{task.member}: {type(error).__name__}: {error}") from error


def pixels_of(task: Task, files: Files | None) -> tuple[Pixels, str]:
    """The image of a task, uint8 (H, W, 3) RGB, and the digest of its content.

    files: of the source, for tasks that name one. Raises ImageError or UnusableError.
    """
    if task.pixels is not None:
        return task.pixels, _digest(task.pixels.tobytes())
    assert files is not None
    data = read_member(files, task.member, max_bytes=DEFAULT_LIMITS.max_bytes + 1)
    return decode_image(data), _digest(data)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


# --- in a worker process ---

_job: Job
_bench: _Bench | None = None


def _start(job: Job) -> None:
    global _job
    _job = job
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is loaded, with the detector
    end_with_parent()


def _done(tasks: list[Task]) -> list[Done]:
    global _bench
    if _bench is None:
        _bench = _Bench(_job)
    return [_bench.done(task) for task in tasks]
