"""Durable writes, and starting, of a gallery in a file: from an empty one to a million templates.

    python -m benchmarks.enrol --templates 100000 1000000 --size 128

Bars: an enrolment alone is acknowledged in p50 <= 5 ms, 32 callers at once reach 1,000 templates/s,
a removal takes p50 <= 5 ms at 1,000,000 templates, and opening up to the first answer takes 3 s at
100,000 and 30 s at 1,000,000 templates, without a snapshot, too. The log is synced at each commit;
the time of a bare fsync is printed beside. Files are in the page cache.
The figure is the last line; the exit status is not 0 if a bar does not hold.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery
from index.memory_searcher import snapshot_path
from index.records import Embeddings

CALLERS = 32
ENROLMENTS_A_CALLER = 100
ALONE = 500
REMOVALS = 200
TEMPLATES_A_SUBJECT = 4
WRITE_LIMIT_MS = 5.0
RATE_LIMIT = 1_000
START_LIMIT_S = {100_000: 3.0, 1_000_000: 30.0}
_BATCH = 10_000


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def unit_rows(count: int, size: int, seed: int) -> Embeddings:
    """Unit embeddings, float32 (count, size)."""
    rows = np.random.default_rng(seed).standard_normal((count, size), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def median_ms(calls: int, call: Callable[[int], object]) -> tuple[float, float]:
    """p50 and p99 of a call, milliseconds."""
    took = []
    for i in range(calls):
        start = time.perf_counter()
        call(i)
        took.append((time.perf_counter() - start) * 1000)
    return statistics.median(took), float(np.percentile(took, 99))


def fsync_ms(folder: Path) -> float:
    """Median of writing 64 KiB and syncing it: about what a commit writes."""
    with (folder / "fsync").open("wb") as file:

        def once(_: int) -> None:
            file.write(bytes(65_536))
            file.flush()
            os.fsync(file.fileno())

        return median_ms(100, once)[0]


def measure_callers(gallery: Gallery, size: int) -> float:
    """Templates/s of CALLERS threads that each enrol one photo after the other."""
    rows = unit_rows(CALLERS * ENROLMENTS_A_CALLER, size, seed=1)

    def work(caller: int) -> None:
        for i in range(caller, len(rows), CALLERS):
            gallery.enroll(rows[i : i + 1])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(CALLERS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(rows) / (time.perf_counter() - start)


def fill(path: Path, contract: EmbeddingContract, count: int) -> None:
    """A gallery of `count` templates, by plain statements; Gallery.verify looks it over."""
    with Gallery.open(path, contract) as gallery:
        database = gallery.galleries.database
        for first in range(0, count, _BATCH):
            rows = unit_rows(min(_BATCH, count - first), contract.size, seed=first)
            with database.writing() as c:
                _insert(c.raw, first, rows)  # type: ignore[attr-defined]
            say(f"  {first + len(rows):,} templates")
        with database.writing() as c:
            c.execute(
                "UPDATE collections SET revision = 1, template_count = ?, subject_count = ?",
                (count, count // TEMPLATES_A_SUBJECT),
            )


def _insert(raw: object, first: int, rows: Embeddings) -> None:
    at = "2026-01-01T00:00:00.000Z"
    numbers = range(first, first + len(rows))
    subjects = [n // TEMPLATES_A_SUBJECT for n in numbers if n % TEMPLATES_A_SUBJECT == 0]
    raw.executemany(  # type: ignore[attr-defined]
        "INSERT INTO subjects (number, collection_number, id, metadata, created_at)"
        " VALUES (?, 1, ?, '{}', ?)",
        [(n + 1, f"s{n}", at) for n in subjects],
    )
    raw.executemany(  # type: ignore[attr-defined]
        "INSERT INTO templates (number, id, collection_number, subject_number, contract_number,"
        " created_at, embedding) VALUES (?, ?, 1, ?, 1, ?, ?)",
        [
            (n + 1, os.urandom(16).hex(), n // TEMPLATES_A_SUBJECT + 1, at, row.tobytes())
            for n, row in zip(numbers, rows, strict=True)
        ],
    )


def start_s(path: Path, contract: EmbeddingContract, count: int) -> float:
    """Seconds from Gallery.open to the first answer; the gallery is closed again."""
    probe = unit_rows(1, contract.size, seed=0)
    start = time.perf_counter()
    gallery = Gallery.open(path, contract)
    found = gallery.search(probe, top_k=1).candidates[0][0]
    took = time.perf_counter() - start
    assert gallery.template_count == count
    assert found.subject.id == "s0"
    gallery.close()
    return took


def measure_large(folder: Path, contract: EmbeddingContract, count: int) -> bool:
    """Starts, and writes, with `count` templates; whether the bars hold."""
    path = folder / f"{count}.sqlite3"
    say(f"filling a gallery with {count:,} templates of {contract.size} numbers")
    fill(path, contract, count)
    snapshot = snapshot_path(path, 1)
    snapshot.unlink(missing_ok=True)
    without = start_s(path, contract, count)
    with_snapshot = start_s(path, contract, count) if snapshot.exists() else float("nan")
    size = snapshot.stat().st_size if snapshot.exists() else 0
    with Gallery.open(path, contract) as gallery:
        rows = unit_rows(ALONE, contract.size, seed=7)
        enrol = median_ms(ALONE, lambda i: gallery.enroll(rows[i : i + 1]))
        remove = median_ms(REMOVALS, lambda i: gallery.remove_subject(f"s{i * 7}"))
        gallery.verify()
    limit = START_LIMIT_S.get(count, float("inf"))
    print(
        f"{count:,} templates x {contract.size}: start {without:.2f} s without snapshot, "
        f"{with_snapshot:.2f} s with ({size / 1e6:,.0f} MB; limit {limit} s); enrol p50 "
        f"{enrol[0]:.2f} p99 {enrol[1]:.2f} ms; remove p50 {remove[0]:.2f} p99 {remove[1]:.2f} ms; "
        f"file {path.stat().st_size / 1e6:,.0f} MB"
    )
    return (
        max(without, with_snapshot) <= limit
        and enrol[0] <= WRITE_LIMIT_MS
        and remove[0] <= WRITE_LIMIT_MS
    )


def main() -> int:
    """Run all; 0 if every bar holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--templates", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--size", type=int, default=128, help="numbers an embedding (default: 128)")
    parser.add_argument("--folder", type=Path, help="where the files are made (default: temporary)")
    options = parser.parse_args()
    contract = EmbeddingContract(id="benchmark:enrol", size=options.size, d_max=2.0)
    with tempfile.TemporaryDirectory(prefix="oneglance-enrol-", dir=options.folder) as name:
        folder = Path(name)
        bare = fsync_ms(folder)
        with Gallery.open(folder / "small.sqlite3", contract) as gallery:
            rows = unit_rows(ALONE, contract.size, seed=2)
            alone = median_ms(ALONE, lambda i: gallery.enroll(rows[i : i + 1]))
            rate = measure_callers(gallery, contract.size)
            gallery.verify()
        print(f"64 KiB and fsync: p50 {bare:.2f} ms")
        print(f"enrolment alone: p50 {alone[0]:.2f} p99 {alone[1]:.2f} ms")
        held = [measure_large(folder, contract, count) for count in options.templates]
    holds = all(held) and alone[0] <= WRITE_LIMIT_MS and rate >= RATE_LIMIT
    print(
        f"{'holds' if holds else 'FAILS'}: enrolment alone p50 {alone[0]:.2f} ms (bar "
        f"{WRITE_LIMIT_MS:g}), {CALLERS} callers {rate:,.0f} templates/s (bar {RATE_LIMIT:,})"
    )
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
