"""A gallery's life, recorded: what benchmarks/power_loss.py cuts off at any moment.

Each scene does its calls on a gallery whose files are seen by benchmarks/lossy_vfs.py, and puts a
mark into the journal where a call begins and where it was acknowledged.
"""

import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.gallery_check import checkpoint_often, opened
from benchmarks.gallery_script import Began, Done, State, choose_call, perform
from benchmarks.lossy_vfs import Recorder, RecordingVfs
from index.gallery import Gallery

CALLS: Final = 150
THREADS: Final = 4
CHECKPOINT_PAGES: Final = 12
# Below the folder that is recorded; a folder that is made on the way has to be safe as well.
NAME: Final = Path("new folder") / "gallery.db"


def one_after_another(path: Path, recorder: Recorder, vfs: str, seed: int, pragmas: str) -> None:
    """All kinds of calls, with checkpoints in between, readers that hold these up, restarts."""
    choose = random.Random(seed)
    state, number = State(), 0
    while number < CALLS:
        with opened(path, vfs) as gallery, ExitStack() as reader:
            _set(gallery, pragmas)
            for _ in range(choose.randrange(5, 60)):
                number += 1
                call = choose_call(state, choose, number)
                recorder.mark(Began(0, call))
                ids = perform(gallery, call)
                recorder.mark(Done(0, tuple(ids)))
                state = state.after(call, ids)
                if number % 10 == 3:
                    reader.enter_context(gallery.galleries.database.reading()).execute(
                        "SELECT count(*) FROM templates"
                    )
                elif number % 10 == 8:
                    reader.close()


def side_by_side(path: Path, recorder: Recorder, vfs: str, seed: int, pragmas: str) -> None:
    """Threads whose writes share commits, each with subjects of its own."""
    with opened(path, vfs) as gallery:
        _set(gallery, pragmas)
        errors: list[BaseException] = []

        def work(thread: int) -> None:
            choose, state = random.Random(seed * THREADS + thread), State()
            for number in range(CALLS // THREADS):
                call = choose_call(state, choose, thread + THREADS * number, subjects=5)
                if call.kind == "begin":
                    continue
                recorder.mark(Began(thread, call))
                ids = perform(gallery, call)
                recorder.mark(Done(thread, tuple(ids)))
                state = state.after(call, ids)

        def tried(thread: int) -> None:
            try:
                work(thread)
            except BaseException as error:  # noqa: BLE001 - told by the thread that waits
                errors.append(error)

        threads = [threading.Thread(target=tried, args=(i,)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]


def _set(gallery: Gallery, pragmas: str) -> None:
    # A removal does not wait for the readers of this scene, who end only after it.
    checkpoint_often(gallery, CHECKPOINT_PAGES, f"PRAGMA busy_timeout = 1; {pragmas}")


Scene = Callable[[Path, Recorder, str, int, str], None]
SCENES: Final[tuple[Scene, ...]] = (one_after_another, side_by_side)


def recorded(scene: Scene, folder: Path, seed: int, pragmas: str) -> Recorder:
    """The journal of a scene; pragmas: for the connection that writes."""
    recorder = Recorder(folder)
    vfs = RecordingVfs("recording", recorder)
    with recorder.watching():
        scene(folder / NAME, recorder, vfs.name, seed, pragmas)
    return recorder
