"""The service's own functions in a process of their own, as a request calls them, without HTTP."""

import os
import sys
from pathlib import Path

import numpy as np
from child_loop import serve

from service.identification import identify
from service.recognizer import Timing
from service.runtime import build_runtime
from service.settings import Settings


class Contender:
    def __init__(self, folder):
        settings = Settings(gallery=str(Path(folder) / "gallery.sqlite3"))
        self._served = build_runtime(settings).default
        self._recognizer = self._served.bundle.recognizer

    def enroll(self, name, data):
        row = np.array(self.embed(data), dtype=np.float32)
        self._served.gallery.enroll(row[None], name=name)

    def identify(self, data, everybody):
        found = identify(
            self._recognizer,
            self._served.gallery,
            data,
            timing=Timing(),
            find_threshold=self._served.thresholds.threshold,
            top_k=1,
            max_faces=0 if everybody else 1,
            min_quality=0,
        )
        who = [face.decision.subject for face in found.faces]
        return [None if candidate is None else candidate.subject.name for candidate in who]

    def embed(self, data):
        pixels, faces = self._recognizer.detect(data, Timing())
        found = self._recognizer.embed(pixels, faces[:1], Timing())
        return found[0].embedding.tolist() if found else None


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    serve(Contender(sys.argv[1]))
