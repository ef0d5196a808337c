"""Exporting and importing a collection: templates a second, and whether every bit arrives.

python -m benchmarks.portable [--templates 100000] [--each 2]
"""

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery
from index.portable.exporting import export_collection
from index.portable.importing import import_file
from index.records import Subject
from index.writes.restoring import ToRestore, restore

CONTRACT = EmbeddingContract(id="bench:portable", size=128, d_max=2.0)
IMPORT_BAR_PER_S = 10_000
AT = "2026-01-01T00:00:00.000Z"
BLOCK = 1_000

T = TypeVar("T")


def people(templates: int, each: int) -> Iterator[list[ToRestore]]:
    """Subjects with `each` unit embeddings, some at a time."""
    rng = np.random.default_rng(0)
    for start in range(0, templates // each, BLOCK):
        some = []
        for i in range(start, min(start + BLOCK, templates // each)):
            rows = rng.standard_normal((each, CONTRACT.size)).astype(np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            subject = Subject(
                id=f"s{i}",
                name=f"Näme {i}",
                external_id=f"x{i}",
                metadata={"number": i},
                template_count=0,
                created_at=AT,
            )
            some.append(
                ToRestore(
                    subject=subject,
                    template_ids=[uuid.uuid4().hex for _ in rows],
                    created_at=[AT] * each,
                    embeddings=rows,
                    crops=[None] * each,
                )
            )
        yield some


def timed(what: str, templates: int, work: Callable[[], T]) -> tuple[T, float]:
    """The result, and templates a second of wall time."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what}: {templates / wall:,.0f} templates/s ({wall:.1f} s, {cpu:.1f} s of CPU)")
    return result, templates / wall


def body(path: Path) -> bytes:
    """The file without its header and trailer, in which a time is."""
    return path.read_bytes().partition(b"\n")[2].rpartition(b'{"blocks":')[0]


def main() -> int:
    """Fill a gallery, export it, import it into another, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--templates", type=int, default=100_000)
    parser.add_argument("--each", type=int, default=2, help="templates of a subject")
    args = parser.parse_args()
    count = args.templates // args.each * args.each
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Gallery.open(folder / "a.sqlite3", CONTRACT) as first:
            for some in people(count, args.each):
                first.write(lambda scope, some=some: restore(scope, some))  # type: ignore[misc]
            file = folder / "a.gallery"
            timed("export", count, lambda: list(export_collection(first, file)))
        with Gallery.open(folder / "b.sqlite3", CONTRACT) as second:
            _, speed = timed("import", count, lambda: list(import_file(second, file)))
            timed("import again", count, lambda: list(import_file(second, file)))
            list(export_collection(second, folder / "b.gallery"))
        same = body(file) == body(folder / "b.gallery")
    print(f"load of the machine {os.getloadavg()[0]:.1f}, every byte arrived: {same}")
    if not same or speed < IMPORT_BAR_PER_S:
        print(f"FAIL: the bar is {IMPORT_BAR_PER_S:,} templates/s imported, all bytes the same")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
