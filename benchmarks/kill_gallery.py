"""Kill -9 under enrolments and removals, many times over one gallery; then the time of a restart.

    python -m benchmarks.kill_gallery --rounds 200

A child enrols and removes without pause and says each acknowledgement. The parent kills it at a
random moment, opens the gallery again and compares it with every acknowledgement so far:
- each acknowledged template is in the file, byte for byte, and found by its own embedding with
  its id at similarity 1 within 1e-6; nothing acknowledged as removed is in the file or found;
- the one call in flight is wholly done or wholly not; revision and search index agree with it.
The figure is the last line; the exit status is not 0 if anything failed.
"""

import argparse
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import numpy as np

from benchmarks.kill_gallery_child import CONTRACT, embeddings_of
from contract.errors import GalleryError
from index.gallery import Gallery

LIFE_MAX_S = 0.3
NEAR_ONE = 1e-6
RESTART_TEMPLATES = 10_000
RESTART_LIMIT_S = 5.0
RESTARTS = 3

Rows = list[tuple[str, bytes]]  # template id, float32 embedding


@dataclass
class Ledger:
    """All that was acknowledged so far, and what was found wrong with it."""

    kills: int = 0
    subjects: dict[str, Rows] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    removed_rows: Rows = field(default_factory=list)
    revision: int = 0
    next_operation: int = 1
    acknowledged: int = 0
    finished: int = 0  # calls in flight that turned out to be done
    unfinished: int = 0  # and those that left nothing
    lost: int = 0
    returned: int = 0
    faults: list[str] = field(default_factory=list)

    def enrol(self, subject_id: str, rows: Rows) -> None:
        self.subjects.setdefault(subject_id, []).extend(rows)

    def remove(self, subject_id: str) -> None:
        self.removed_rows += self.subjects.pop(subject_id)
        self.removed.add(subject_id)


@dataclass(frozen=True)
class Call:
    """An operation that the child began."""

    kind: str
    operation: int
    subject_id: str
    count: int

    def blobs(self) -> list[bytes]:
        return [row.tobytes() for row in embeddings_of(self.operation, self.count)]


def spawn(mode: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.kill_gallery_child", mode, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run_and_kill(child: subprocess.Popen[str], ledger: Ledger, life_s: float) -> list[str]:
    """Let the child work for a while, kill it, and return what it said."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.stdin.write(f"{ledger.next_operation}\n")
    child.stdin.flush()
    try:
        said, _ = child.communicate(timeout=life_s)
    except subprocess.TimeoutExpired:
        child.kill()
        said, _ = child.communicate()
    if child.returncode != -signal.SIGKILL:
        ledger.faults.append(f"the child ended by itself with {child.returncode}")
    return said.splitlines()


def book(lines: list[str], ledger: Ledger) -> Call | None:
    """Enter the acknowledged calls in the ledger; the call in flight, if there is one."""
    call = None
    for line in lines:
        words = line.split()
        if words[0] == "start":
            call = Call(words[1], int(words[2]), words[3], int(words[4]))
            ledger.next_operation = call.operation + 1
            continue
        assert call is not None
        assert call.operation == int(words[1])
        ledger.revision = int(words[2])
        ledger.acknowledged += 1
        if call.kind == "enrol":
            ledger.enrol(call.subject_id, list(zip(words[3:], call.blobs(), strict=True)))
        else:
            ledger.remove(call.subject_id)
        call = None
    return call


def truth_of(path: Path) -> tuple[int, dict[str, Rows]]:
    """Revision and all templates by subject, read without any code of index/."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    subjects: dict[str, Rows] = {
        row[0]: [] for row in connection.execute("SELECT id FROM subjects")
    }
    sql = (
        "SELECT s.id, t.id, t.embedding FROM templates t"
        " LEFT JOIN subjects s ON s.number = t.subject_number ORDER BY t.number"
    )
    for subject_id, template_id, blob in connection.execute(sql):
        subjects[subject_id].append((template_id, blob))
    revision = connection.execute("SELECT revision FROM gallery").get
    connection.close()
    return revision, subjects


def settle(call: Call, truth: dict[str, Rows], ledger: Ledger) -> None:
    """Enter the call in flight in the ledger if the file has it whole."""
    before, after = ledger.subjects.get(call.subject_id), truth.get(call.subject_id)
    if before == after:
        ledger.unfinished += 1
    elif call.kind == "remove" and after is None:
        ledger.remove(call.subject_id)
        ledger.revision += 1
        ledger.finished += 1
    elif call.kind == "enrol" and after and after[: len(before or [])] == (before or []):
        added = after[len(before or []) :]
        if [blob for _, blob in added] != call.blobs():
            ledger.faults.append(f"{call} was done by half: {len(added)} of {call.count} templates")
        ledger.enrol(call.subject_id, added)
        ledger.revision += 1
        ledger.finished += 1
    # Else compare() finds the difference and counts it.


def compare(gallery: Gallery, revision: int, truth: dict[str, Rows], ledger: Ledger) -> None:
    """Count what the file and the search answer otherwise than the ledger."""
    if not revision == gallery.revision == ledger.revision:
        ledger.faults.append(
            f"revision {revision} in the file, {gallery.revision} in memory, "
            f"{ledger.revision} acknowledged"
        )
    back = ledger.removed & truth.keys()
    ledger.returned += len(back)
    there = {row for rows in truth.values() for row in rows}
    expected = {row for rows in ledger.subjects.values() for row in rows}
    ledger.lost += len(expected - there)
    if back or truth != ledger.subjects:
        ledger.faults.append(f"file and acknowledgements differ ({len(back)} returned)")
    try:
        gallery.verify()
    except GalleryError as error:
        ledger.faults.append(str(error))
    search_all(gallery, ledger)


def search_all(gallery: Gallery, ledger: Ledger) -> None:
    """Search for every template that should be found, and for those removed since last time."""
    wanted = [(s, row) for s, rows in ledger.subjects.items() for row in rows]
    gone, ledger.removed_rows = ledger.removed_rows, []
    blobs = [row[1] for _, row in wanted] + [row[1] for row in gone]
    if not blobs:
        return
    probes = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(-1, CONTRACT.size)
    found = gallery.search(probes, top_k=1).candidates
    for (subject_id, (template_id, _)), candidates in zip(wanted, found, strict=False):
        best = candidates[0] if candidates else None
        if best is None or (best.subject.id, best.template_id) != (subject_id, template_id):
            ledger.lost += 1
        elif abs(best.similarity - 1) > NEAR_ONE:
            ledger.faults.append(f"{subject_id} found at similarity {best.similarity}")
    for candidates in found[len(wanted) :]:
        ledger.returned += sum(c.similarity > 1 - NEAR_ONE for c in candidates)


def kill_rounds(path: Path, rounds: int, choose: random.Random) -> Ledger:
    ledger = Ledger()
    child = spawn("work", path)
    while ledger.kills < rounds and not ledger.faults:  # After a fault, more would repeat it.
        lines = run_and_kill(child, ledger, choose.uniform(0, LIFE_MAX_S))
        ledger.kills += 1
        # The next one starts Python while this one's work is looked at.
        child = spawn("work", path)
        call = book(lines, ledger)
        with Gallery.open(path, CONTRACT) as gallery:
            revision, truth = truth_of(path)
            if call:
                settle(call, truth, ledger)
            compare(gallery, revision, truth, ledger)
            if ledger.kills % 20 == 0:
                print(
                    f"{ledger.kills} kills, {ledger.acknowledged} calls acknowledged, in flight "
                    f"{ledger.finished} done and {ledger.unfinished} not; "
                    f"{gallery.template_count} templates, {len(ledger.faults)} faults",
                    file=sys.stderr,
                )
    child.kill()
    child.communicate()
    return ledger


def measure_restarts(path: Path) -> tuple[float, float]:
    """Median seconds from Gallery.open to the first answer, and of the whole process."""
    with Gallery.open(path, CONTRACT) as gallery:
        for number in range(RESTART_TEMPLATES // 4):
            gallery.enroll(embeddings_of(number, 4))
    inside, whole = [], []
    for _ in range(RESTARTS):
        start = time.perf_counter()
        said, _ = spawn("restart", path).communicate()
        whole.append(time.perf_counter() - start)
        seconds, count, similarity = said.split()
        assert int(count) == RESTART_TEMPLATES
        assert abs(float(similarity) - 1) <= NEAR_ONE
        inside.append(float(seconds))
    return statistics.median(inside), statistics.median(whole)


def main() -> int:
    """Run all; 0 if nothing was lost, returned or otherwise wrong, and restarts are fast."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=200, help="kills (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    options = parser.parse_args()
    rounds: int = options.rounds
    seed: int = options.seed
    with tempfile.TemporaryDirectory(prefix="oneglance-kill-") as folder:
        ledger = kill_rounds(Path(folder) / "gallery.db", rounds, random.Random(seed))
        seconds, process_s = measure_restarts(Path(folder) / "large.db")
    for fault in ledger.faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    print(
        f"{ledger.acknowledged} calls acknowledged; in flight when killed: {ledger.finished} "
        f"wholly done, {ledger.unfinished} wholly not"
    )
    print(f"restart as a whole process, Python and imports included: {process_s:.2f} s")
    failed = bool(ledger.lost or ledger.returned or ledger.faults) or seconds >= RESTART_LIMIT_S
    others = f", {len(ledger.faults)} faults" if ledger.faults else ""
    print(
        f"{ledger.kills} kills: {ledger.lost} lost, {ledger.returned} returned{others}; "
        f"restart with {RESTART_TEMPLATES:,} templates {seconds:.2f} s"
    )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
