"""The processes that benchmarks/kill_gallery.py starts: one works until it is killed, one restarts.

Each line goes to the pipe in one write, so the parent reads it whole or not at all.
"""

import json
import os
import random
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

import index.memory_searcher
from benchmarks.gallery_check import found_in, opened
from benchmarks.gallery_script import State, choose_call, perform
from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery
from index.records import Embeddings

RESTARTED: Final = EmbeddingContract(id="proof:restart", size=128, d_max=2.0)
THREADS: Final = 4
SUBJECTS_ABOUT: Final = 40
# What threads may do side by side: the rest is about the collection as a whole.
SIDE_BY_SIDE: Final = ("enrol", "remove", "remove_template", "merge")


def say(*words: object) -> None:
    """Write one line of JSON to the pipe."""
    os.write(sys.stdout.fileno(), (json.dumps(words) + "\n").encode())


def serve() -> None:
    """Fork a worker for each line [path, first number of a call, threads] that is read.

    So Python is started and everything imported only once. A worker says `born` with its process
    id at first; `ended` is said once it is gone and all that it said is in the pipe.
    """
    index.memory_searcher.SNAPSHOT_FROM_ROWS = 1  # So that snapshots are part of it.
    say("ready")
    for line in sys.stdin:
        path, number, threads = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                say("born", os.getpid())
                work(Path(path), number, threads)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        say("ended", os.waitstatus_to_exitcode(status))


def work(path: Path, number: int, threads: int) -> None:
    """Call without end; `began` before each call, `done` once it has returned."""
    with opened(path) as gallery:
        state = found_in(path)
        say("opened")
        if threads == 1:
            _call(gallery, 0, state, number, 1)
        workers = [
            threading.Thread(target=_call, args=(gallery, i, _own(state, i), number + i, threads))
            for i in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def _own(state: State, thread: int) -> State:
    """The part of a state that one of THREADS may change."""
    own = {s: rows for s, rows in state.subjects.items() if int(s[1:]) % THREADS == thread}
    return State(searched=state.searched, subjects=own)


def _call(gallery: Gallery, thread: int, state: State, number: int, step: int) -> None:
    choose = random.Random(number)
    try:
        while True:
            call = choose_call(state, choose, number, subjects=SUBJECTS_ABOUT // step)
            if step == 1 or call.kind in SIDE_BY_SIDE:
                say("began", thread, asdict(call))
                ids = perform(gallery, call)
                say("done", thread, *ids)
                state = state.after(call, ids)
            number += step
    except BaseException as error:  # noqa: BLE001 - the parent wants to know
        say("failed", repr(error))
        os._exit(1)


def fill(path: Path, templates: int) -> None:
    """Make a gallery to restart with."""
    with Gallery.open(path, RESTARTED) as gallery:
        for seed in range(templates // 10):
            gallery.enroll(_rows(seed))


def restart(path: Path) -> None:
    """Say how many seconds opening and one search take, and how many templates there are."""
    probe = _rows(0)[:1]
    start = time.perf_counter()
    with Gallery.open(path, RESTARTED) as gallery:
        found = gallery.search(probe, top_k=1)
        seconds = time.perf_counter() - start
        say(seconds, gallery.template_count, found.candidates[0][0].similarity)


def _rows(seed: int) -> Embeddings:
    rows = np.random.default_rng(seed).standard_normal((10, RESTARTED.size)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    {"serve": serve, "restart": lambda: restart(Path(sys.argv[2]))}[sys.argv[1]]()
