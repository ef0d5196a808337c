"""Damaged image files through decoder and detector, as the service does it, until one ends us.

    python -m benchmarks.fuzz_images_child FIRST END PLACE

Files FIRST to END - 1. The file PLACE always holds the number under way, as eight bytes; what was
found is a line of JSON (fuzz_record.Piece) after each PIECE files, so that a stop costs no more.
"""

import json
import mmap
import os
import struct
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks.fuzz_record import Piece
from benchmarks.image_mutations import Mutants
from benchmarks.image_seeds import seeds
from benchmarks.measured_child import reset_peak, resident_mb
from contract.detection.base import FaceDetector
from contract.detection.yunet import YunetDetector
from contract.errors import ImageError
from contract.images import DEFAULT_LIMITS
from service.cropping import AlignedFace
from service.photo import Photo

SECONDS_AT_MOST: Final = 2.0
SEARCHED_PX: Final = 1_024
PIECE: Final = 500
_SHOWN: Final = 20


def seen(data: bytes, detector: FaceDetector) -> str:
    """What becomes of a file: its faces, cut out, or our refusal."""
    try:
        photo = Photo(data, DEFAULT_LIMITS, searched_px=SEARCHED_PX)
    except ImageError as error:
        return type(error).__name__
    faces = [photo.in_whole(face) for face in detector.detect(photo.seen)]
    for face in faces[:5]:
        photo.crop(face, AlignedFace())
    return "with a face" if faces else "without a face"


def run(first: int, end: int, place: mmap.mmap) -> Iterator[Piece]:
    """All of them, piece by piece; the memory is that of all pieces so far."""
    detector, mutants = YunetDetector(), Mutants()
    for data in seeds().values():
        seen(data, detector)
    reset_peak()
    before = resident_mb()
    for start in range(first, end, PIECE):
        yield _piece(range(start, min(start + PIECE, end)), detector, mutants, place, before)


def _piece(
    numbers: range, detector: FaceDetector, mutants: Mutants, place: mmap.mmap, before_mb: float
) -> Piece:
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    slowest, slowest_s = numbers.start, 0.0
    parent = os.getppid()
    for number in numbers:
        place[:8] = struct.pack("<Q", number)
        if os.getppid() != parent:
            raise SystemExit("nobody waits for this any more")
        words, data = mutants.make(number)
        start = time.process_time()
        try:
            outcomes[seen(data, detector)] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is looked for
            wrong.append(f"file {number} ({words}): {error!r}")
        spent = time.process_time() - start
        if spent > slowest_s:
            slowest, slowest_s = number, spent
        if spent > SECONDS_AT_MOST:
            wrong.append(f"file {number} ({words}): {spent:.1f} s of the processor")
    return Piece(
        first=numbers.start,
        end=numbers.stop,
        outcomes=dict(outcomes),
        wrongs=len(wrong),
        wrong=wrong[:_SHOWN],
        slowest=slowest,
        slowest_s=slowest_s,
        growth_mb=resident_mb("VmHWM") - before_mb,
    )


def main(first: int, end: int, place: Path) -> int:
    """0 if it came to the end."""
    # As the service, which does not show them, either.
    warnings.simplefilter("ignore")
    with place.open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
        for piece in run(first, end, shared):
            print(json.dumps(asdict(piece)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
