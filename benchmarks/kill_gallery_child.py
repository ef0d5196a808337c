"""The processes that benchmarks/kill_gallery.py starts: one works until it is killed, one restarts.

Each line goes to the pipe in one write, so the parent reads it whole or not at all.
"""

import os
import random
import sys
import time
from pathlib import Path

import numpy as np

from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery
from index.records import Embeddings

CONTRACT = EmbeddingContract(id="benchmark:kill", size=128, d_max=2.0)
# Many templates at once make a write of many pages, and a checkpoint every hundred writes or so.
TEMPLATES_PER_ENROLMENT = (1, 2, 3, 5, 60)
SUBJECTS_ABOUT = 40


def embeddings_of(operation: int, count: int) -> Embeddings:
    """The unit embeddings (count, D) that an operation enrols, known from its number alone."""
    rows = np.random.default_rng(operation).standard_normal((count, CONTRACT.size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def say(*words: object) -> None:
    """Write one line to the pipe."""
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


def work(path: Path) -> None:
    """Enrol and remove for ever; `start ...` before each call, `done ...` once it returned.

    Waits for the number of the first operation on standard input, so that starting Python is over
    when the work begins.
    """
    say("ready")
    operation = int(sys.stdin.readline())
    choose = random.Random(operation)
    gallery = Gallery.open(path, CONTRACT)
    there = [subject.id for subject in gallery.subjects(limit=1000).subjects]
    while True:
        what = choose.random() * (2 if len(there) > SUBJECTS_ABOUT else 1)
        if there and what > 0.75:
            subject_id = there.pop(choose.randrange(len(there)))
            say("start remove", operation, subject_id, 0)
            say("done", operation, gallery.remove_subject(subject_id))
        else:
            new = what < 0.6 or not there
            subject_id = f"s{operation}" if new else choose.choice(there)
            count = choose.choice(TEMPLATES_PER_ENROLMENT)
            rows = embeddings_of(operation, count)
            say("start enrol", operation, subject_id, count)
            done = gallery.enroll(rows, subject_id=subject_id)
            say("done", operation, done.revision, *done.template_ids)
            there += [subject_id] * new
        operation += 1


def restart(path: Path) -> None:
    """Say how many seconds opening and one search take, and how many templates there are."""
    probe = embeddings_of(0, 1)
    start = time.perf_counter()
    gallery = Gallery.open(path, CONTRACT)
    found = gallery.search(probe, top_k=1)
    seconds = time.perf_counter() - start
    say(seconds, gallery.template_count, found.candidates[0][0].similarity)


if __name__ == "__main__":
    {"work": work, "restart": restart}[sys.argv[1]](Path(sys.argv[2]))
