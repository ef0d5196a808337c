"""Kill -9 of PostgreSQL, many times, while two replicas enrol, remove and merge in it.

    python -m benchmarks.kill_postgres --rounds 20

The server and all of its processes are killed at a random moment and started again. Then, read by
plain SQL and asked over the very Gallery objects that lost their connections:
- what was acknowledged is there, bit for bit, and found by both replicas by its own embedding;
  what was acknowledged as removed is neither there nor found;
- each call in flight is done wholly or not at all, and was told as GalleryUnavailableError;
- the revision is the number of writes that are there, and both replicas say the same;
- the database and its tables check out.
The figure is the last line; the exit status is not 0 if anything failed.
"""

import argparse
import random
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import psycopg

from benchmarks.gallery_check import NEAR_ONE, REMOVED_PROBES, Findings, as_rows, settle
from benchmarks.gallery_script import CONTRACTS, CROP, FIRST, Call, State, perform
from benchmarks.postgres_server import PostgresServer, postgres_running
from contract.errors import GalleryError, GalleryUnavailableError
from index import postgres_hnsw
from index.galleries import Galleries
from index.gallery import Gallery
from index.postgres import PostgresDatabase
from index.postgres_pool import RawConnection
from index.protection.secrets import GallerySecrets
from index.tables.collections import DEFAULT_COLLECTION

LIFE_S: Final = (0.1, 0.8)
REPLICAS: Final = 2
THREADS: Final = 3  # of each replica
SUBJECTS_ABOUT: Final = 12  # of each thread
END_LIMIT_S: Final = 15.0
RECOVERY_LIMIT_S: Final = 5.0
# Small, so that approximate indexes are built, used and killed, too.
HNSW_FROM: Final = 40
KINDS: Final = {"enrol": 8, "remove": 3, "remove_template": 2, "merge": 2}


class AsynchronousDatabase(PostgresDatabase):
    """One that breaks the promise: it acknowledges what is not yet written."""

    def _connect(self) -> RawConnection:
        raw = super()._connect()
        raw.execute("SET synchronous_commit = off")
        return raw


class Worker:
    """Calls about subjects that nobody else touches, and what they must have led to."""

    def __init__(self, number: int, gallery: Gallery) -> None:
        self.prefix = f"w{number}-"
        self.state = State()
        self.in_flight: Call | None = None
        self.acknowledged = 0
        self.fault = ""
        self._gallery = gallery
        self._choose = random.Random(number)
        self._seed = number * 1_000_000
        self._thread = threading.Thread()

    def start(self) -> None:
        """Work until a call fails."""
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until it has noticed that the server is gone."""
        self._thread.join(END_LIMIT_S)
        if self._thread.is_alive():
            self.fault = f"a call hangs for {END_LIMIT_S:g} s after the kill: {self.in_flight}"

    def _work(self) -> None:
        while True:
            self._seed += 1
            self.in_flight = call = self._next_call()
            try:
                ids = perform(self._gallery, call)
            except GalleryUnavailableError:
                return
            except Exception as error:  # noqa: BLE001 - anything else is a finding
                self.fault = f"{call}: {type(error).__name__}: {error}"
                return
            self.state = self.state.after(call, ids)
            self.in_flight = None
            self.acknowledged += 1

    def _next_call(self) -> Call:
        there = sorted(self.state.subjects)
        kinds = {
            kind: weight
            for kind, weight in KINDS.items()
            if kind == "enrol"
            or (kind == "merge" and len(there) > 1)
            or (kind == "remove" and there)
            or (kind == "remove_template" and self.state.templates())
        }
        if len(there) > SUBJECTS_ABOUT:
            kinds["remove"] = 10
        (kind,) = self._choose.choices(list(kinds), weights=list(kinds.values()))
        subject, other = f"{self.prefix}{self._seed}", ""
        if kind == "remove_template":
            subject = self._choose.choice(self.state.templates())
        elif kind == "merge":
            subject, other = self._choose.sample(there, 2)
        elif there and (kind == "remove" or self._choose.random() < 0.3):
            subject = self._choose.choice(there)
        count = self._choose.choice((1, 2, 3, 9)) if kind == "enrol" else 0
        crops = kind == "enrol" and self._choose.random() < 0.5
        return Call(kind, self._seed, subject, other, count, crops=crops)


def found_in(dsn: str) -> State:
    """What is in the database, read by plain SQL without any code of index/."""
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        state = State()
        for (revision,) in connection.execute("SELECT revision FROM collections"):
            state.revision = revision
        for (subject,) in connection.execute("SELECT id FROM subjects"):
            state.subjects[subject] = {}
        rows = connection.execute(
            "SELECT s.id, t.id, c.id, t.embedding::real[] FROM templates t"
            " LEFT JOIN subjects s ON s.number = t.subject_number"
            " LEFT JOIN contracts c ON c.number = t.contract_number ORDER BY t.number"
        )
        for subject, template, contract, embedding in rows:
            blob = np.array(embedding, dtype="<f4").tobytes()
            state.subjects[subject][template, contract] = blob
        crops = connection.execute(
            "SELECT s.id, c.template_id, c.image FROM crops c"
            " LEFT JOIN subjects s ON s.number = c.subject_number"
        )
        for subject, template, image in crops:
            state.subjects[subject][template, CROP] = image
    return state


def compare(found: State, workers: Sequence[Worker], findings: Findings) -> None:
    """Enter the calls in flight that were done, and count what differs from the database."""
    for worker in workers:
        mine = {s: rows for s, rows in found.subjects.items() if s.startswith(worker.prefix)}
        calls = [worker.in_flight] if worker.in_flight else []
        worker.state, done = settle(worker.state, calls, State(subjects=mine))
        worker.in_flight = None
        findings.done += len(done)
        findings.undone += len(calls) - len(done)
        there, expected = State(subjects=mine).rows().items(), worker.state.rows().items()
        back = worker.state.removed.keys() & {blob for _, blob in there}
        findings.lost += len(expected - there)
        findings.returned += len(back)
        if mine != worker.state.subjects:
            findings.faults.append(
                f"{worker.prefix}: {len(expected - there)} templates lost, "
                f"{len(there - expected)} too many, {len(back)} returned; in flight {calls}"
            )
    writes = sum(worker.state.revision for worker in workers)
    if found.revision != writes:
        findings.faults.append(f"revision {found.revision} after {writes} writes")


def ask(gallery: Gallery, found: State, workers: Sequence[Worker]) -> list[str]:
    """What a replica that was not opened anew answers otherwise than it should."""
    wanted = {
        blob: (subject, template)
        for subject, rows in found.subjects.items()
        for (template, under), blob in rows.items()
        if under != CROP
    }
    gone = [
        blob
        for worker in workers
        for blob in [*worker.state.removed][-REMOVED_PROBES:]
        if len(blob) == 4 * CONTRACTS[FIRST].size
    ]
    faults = []
    if gallery.revision != found.revision:
        faults.append(f"a replica is at revision {gallery.revision}, not {found.revision}")
    blobs = [*wanted, *gone]
    if blobs:
        probes = as_rows(blobs, CONTRACTS[FIRST].size)
        for blob, candidates in zip(blobs, gallery.search(probes, top_k=1).candidates, strict=True):
            near = [
                (c.subject.id, c.template_id) for c in candidates if c.similarity > 1 - NEAR_ONE
            ]
            if near != ([wanted[blob]] if blob in wanted else []):
                faults.append(f"{wanted.get(blob, 'a removed one')} is found as {near}")
    try:
        gallery.verify()
    except GalleryError as error:
        faults.append(str(error))
    return faults


def recovered(gallery: Gallery) -> float:
    """Seconds until the gallery answers again after its server does."""
    start = time.perf_counter()
    while True:
        try:
            gallery.stored()
        except GalleryUnavailableError:
            if time.perf_counter() - start > RECOVERY_LIMIT_S:
                raise
            time.sleep(0.01)
        else:
            return time.perf_counter() - start


def run(
    rounds: int, seed: int, *, asynchronous: bool = False, in_memory: bool = False
) -> tuple[Findings, int, list[float]]:
    """Findings, calls acknowledged, and how many seconds each recovery took."""
    choose = random.Random(seed)
    findings = Findings()
    waits: list[float] = []
    kind = AsynchronousDatabase if asynchronous else PostgresDatabase
    postgres_hnsw._LOOK_EVERY_S = 0.2
    with postgres_running(in_memory=in_memory) as server, ExitStack() as stack:
        dsn = server.create_database()
        replicas = []
        for _ in range(REPLICAS):
            database = kind.open(dsn, hnsw_from_templates=HNSW_FROM)
            galleries = Galleries(
                database,
                tier="auto",
                scoring="best",
                secrets=GallerySecrets(Path("no.secret"), protects_new=False),
            )
            stack.callback(galleries.close)
            view = galleries.view(DEFAULT_COLLECTION, CONTRACTS[FIRST])
            replicas.append(Gallery(galleries, *view))
        workers = [Worker(i, replicas[i % REPLICAS]) for i in range(REPLICAS * THREADS)]
        for number in range(1, rounds + 1):
            one_round(server, dsn, replicas, workers, findings, waits, choose.uniform(*LIFE_S))
            if findings.bad():
                break
            acknowledged = sum(worker.acknowledged for worker in workers)
            print(f"{number} kills, {acknowledged} calls acknowledged", file=sys.stderr)
    return findings, sum(worker.acknowledged for worker in workers), waits


def one_round(
    server: PostgresServer,
    dsn: str,
    replicas: Sequence[Gallery],
    workers: Sequence[Worker],
    findings: Findings,
    waits: list[float],
    life_s: float,
) -> None:
    """Work for a while, kill, restart, compare."""
    for worker in workers:
        worker.start()
    time.sleep(life_s)
    server.kill9()
    for worker in workers:
        worker.join()
    findings.faults += [worker.fault for worker in workers if worker.fault]
    server.start()
    waits += [recovered(gallery) for gallery in replicas]
    found = found_in(dsn)
    compare(found, workers, findings)
    for gallery in replicas:
        findings.faults += ask(gallery, found, workers)[:5]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all; 0 if nothing was lost, returned or otherwise wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20, help="kills (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of everything (default: 0)")
    parser.add_argument(
        "--asynchronous",
        action="store_true",
        help="acknowledge before the server's log is written: then it must fail",
    )
    options = parser.parse_args(arguments)
    findings, acknowledged, waits = run(
        options.rounds, options.seed, asynchronous=options.asynchronous
    )
    for fault in findings.faults[:20]:
        print(f"FAULT {fault}", file=sys.stderr)
    print(
        f"{acknowledged} calls of {REPLICAS} replicas acknowledged; in flight when killed: "
        f"{findings.done} wholly done, {findings.undone} wholly not"
    )
    print(
        f"a gallery answers again {statistics.median(waits) * 1000:.0f} ms after its server does "
        f"(at most {max(waits) * 1000:.0f} ms)"
    )
    others = f", {len(findings.faults)} faults" if findings.faults else ""
    print(
        f"{len(waits) // REPLICAS} kills of PostgreSQL: {findings.lost} lost, "
        f"{findings.returned} returned{others}"
    )
    return int(findings.bad())


if __name__ == "__main__":
    sys.exit(main())
