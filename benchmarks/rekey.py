"""Bar: 100,000 templates get another secret while callers identify, verify and enrol: no error.

    python -m benchmarks.rekey [--templates 100000]

A real service on a gallery in a file with encrypted rows, then one on a real PostgreSQL. Before,
while and after a job with `new_secret`, and in the file with `new_row_key`, the same pictures are
identified and verified, and others are enrolled; no request is sent twice. Then:
- no caller has seen another status than 200 or 201, and each answer has the same subject, with the
  similarity of before up to the noise of float32;
- every template is there once, whoever was enrolled meanwhile included, and each row is another:
  rows of before and after have no likeness; all are encrypted by the new key;
- `oneglance gallery verify` finds nothing.
Pictures are noise, the bundle is a tiny one with 64 numbers; the other templates are random. Prints
how long the job took and how long callers waited. The exit status is not 0 below the bar.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from benchmarks.pictures import encoded
from benchmarks.postgres_server import postgres_running
from benchmarks.server import serving
from benchmarks.tiny_bundle import WHOLE_SIDE_PX, write_tiny_bundle
from contract.bundle import load_bundle
from index.gallery import Gallery
from index.protection.secrets import GallerySecrets
from index.records import Embeddings, Subject
from index.upkeep import rows_to_encrypt
from index.writes.effect import Effect
from index.writes.restoring import ToRestore, restore
from index.writes.scope import Scope

KNOWN: Final = 20
NEAR: Final = 1e-5
JOB_LIMIT_S: Final = 900.0
BESIDE_S: Final = 2.0
EACH: Final = 4
BLOCK: Final = 500
AT: Final = "2026-01-01T00:00:00.000Z"
Answer = tuple[str | None, float]


@dataclass
class Seen:
    """What callers saw. faults: in words. waits_s: of each request, by phase and kind."""

    answers: Counter[str] = field(default_factory=Counter)
    enrolled: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    waits_s: dict[str, list[float]] = field(default_factory=dict)
    phase: str = "before"
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, took_s: float, fault: str | None = None) -> None:
        """One answer."""
        with self.lock:
            self.answers[f"{kind} {self.phase}"] += 1
            self.waits_s.setdefault(f"{kind} {self.phase}", []).append(took_s)
            if fault is not None:
                self.faults.append(f"{self.phase}: {fault}")


def picture(number: int) -> bytes:
    """Noise that is like no other number's."""
    drawn = np.random.default_rng(number).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    times = WHOLE_SIDE_PX // 8
    return encoded(drawn.repeat(times, axis=0).repeat(times, axis=1))


def fill(gallery: Gallery, templates: int) -> None:
    """Random unit vectors, four a subject."""
    draw = np.random.default_rng(0)
    for first in range(0, templates // EACH, BLOCK):
        people = range(first, min(first + BLOCK, templates // EACH))
        wishes = [_wish(person, draw, gallery.contract.size) for person in people]

        def add(scope: Scope, wishes: list[ToRestore] = wishes) -> tuple[None, Effect]:
            return None, restore(scope, wishes)[1]

        gallery.write(add)


def _wish(person: int, draw: np.random.Generator, size: int) -> ToRestore:
    rows = draw.standard_normal((EACH, size))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    subject = Subject(
        id=f"s{person}", name=None, external_id=None, metadata={}, template_count=0, created_at=AT
    )
    return ToRestore(
        subject=subject,
        template_ids=[f"s{person}-{i}" for i in range(EACH)],
        created_at=[AT] * EACH,
        embeddings=rows.astype(np.float32),
        crops=[None] * EACH,
    )


def rows_of(gallery: Gallery) -> dict[str, list[Embeddings]]:
    """All rows that are stored, by template id."""
    found: dict[str, list[Embeddings]] = {}
    with gallery.galleries.database.reading() as c:
        for rows in c.stream("SELECT id, embedding FROM templates"):
            for template_id, packed in rows:
                row = c.unpack([packed], size=gallery.contract.size)[0]
                found.setdefault(template_id, []).append(row)
    return found


def ask(client: httpx.Client, number: int) -> tuple[int, Answer]:
    """Who the picture shows."""
    answer = client.post("/v1/identify", files={"image": picture(number)})
    if not answer.is_success:
        return answer.status_code, (answer.text, 0.0)
    (face,) = answer.json()["faces"]
    return answer.status_code, (face["subject"] and face["subject"]["id"], face["similarity"])


def identify(url: str, seen: Seen, stop: threading.Event, expected: list[Answer]) -> None:
    """Ask who the known ones are, until told to stop."""
    choose = np.random.default_rng(threading.get_ident() % 2**32)
    with httpx.Client(base_url=url, timeout=60) as client:
        while not stop.is_set():
            number = int(choose.integers(KNOWN))
            start = time.perf_counter()
            status, found = ask(client, number)
            took = time.perf_counter() - start
            right = (
                status == 200
                and found[0] == expected[number][0]
                and abs(found[1] - expected[number][1]) <= NEAR
            )
            seen.note("identify", took, None if right else f"known-{number}: {status} {found}")


def verify(url: str, seen: Seen, stop: threading.Event, expected: list[Answer]) -> None:
    """Compare the known ones with themselves, until told to stop."""
    with httpx.Client(base_url=url, timeout=60) as client:
        number = 0
        while not stop.wait(0.02):
            number = (number + 1) % KNOWN
            start = time.perf_counter()
            answer = client.post(
                "/v1/verify",
                files={"image": picture(number)},
                data={"subject_id": f"known-{number}"},
            )
            took = time.perf_counter() - start
            right = (
                answer.is_success and abs(answer.json()["similarity"] - expected[number][1]) <= NEAR
            )
            fault = f"verify known-{number}: {answer.status_code} {answer.text}"
            seen.note("verify", took, None if right else fault)


def enrol(url: str, seen: Seen, stop: threading.Event) -> None:
    """Enrol one after the other, until told to stop; each is found at once."""
    number = KNOWN
    with httpx.Client(base_url=url, timeout=60) as client:
        while not stop.wait(0.05):
            number += 1
            start = time.perf_counter()
            answer = enrol_one(client, number, f"new-{number}")
            seen.note("enrol", time.perf_counter() - start)
            if answer.status_code != 201:
                seen.faults.append(f"new-{number}: {answer.status_code} {answer.text}")
                continue
            seen.enrolled.append(f"new-{number}")
            status, found = ask(client, number)
            if (status, found[0]) != (200, f"new-{number}"):
                seen.faults.append(f"new-{number} is answered {status} {found}")


def enrol_one(client: httpx.Client, number: int, subject_id: str) -> httpx.Response:
    """One picture of a new subject."""
    return client.post(
        "/v1/enroll",
        files={"images": picture(number)},
        data={"subject_id": subject_id, "quality": "off", "duplicate_check": "off"},
    )


def rekeyed(client: httpx.Client, wish: dict[str, bool]) -> tuple[dict[str, Any], float]:
    """The job when it has ended, and the seconds that it took."""
    start = time.perf_counter()
    answer = client.post("/v1/collections/default/rekey", json=wish)
    job: dict[str, Any] = answer.json()["job"]
    while job["status"] in ("queued", "running") and time.perf_counter() - start < JOB_LIMIT_S:
        time.sleep(0.1)
        job = client.get(f"/v1/jobs/{job['id']}").json()
    return job, time.perf_counter() - start


def run(store: str, templates: int) -> tuple[Seen, float]:
    """What callers saw, and how long the job took, s."""
    seen = Seen()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oneglance-rekey-")))
        bundle, secret = folder / "bundle", folder / "secret"
        bundle.mkdir()
        write_tiny_bundle(bundle, fit="pad")
        where: Path | str = folder / "gallery.sqlite3"
        if store == "postgres":
            where = stack.enter_context(postgres_running(in_memory=True)).create_database()
        contract = load_bundle(bundle).manifest.contract
        secrets = GallerySecrets(secret)
        row_keys = GallerySecrets(folder / "row.key") if store == "file" else None
        with Gallery.open(where, contract, secrets=secrets, row_keys=row_keys) as gallery:
            fill(gallery, templates)
            before = rows_of(gallery)
        options = ("--bundle-path", bundle, "--gallery-secret-file", secret, "--worker-threads", 2)
        if row_keys is not None:
            options += ("--row-key-file", row_keys.path)
        with serving(where, folder / "log", *options) as server:  # type: ignore[arg-type]
            wish = {"new_secret": True, "new_row_key": store == "file"}
            took_s = _asked_meanwhile(server.url, seen, wish)
        with Gallery.open(where, contract, secrets=secrets, row_keys=row_keys) as gallery:
            gallery.verify()
            if rows_to_encrypt(gallery.galleries):
                seen.faults.append("rows are not encrypted by the newest key")
            _look_at(gallery, before, seen)
    return seen, took_s


def _asked_meanwhile(url: str, seen: Seen, wish: dict[str, bool]) -> float:
    with httpx.Client(base_url=url, timeout=60) as client:
        for number in range(KNOWN):
            enrol_one(client, number, f"known-{number}").raise_for_status()
        expected = [ask(client, number)[1] for number in range(KNOWN)]
        stop = threading.Event()
        callers = [
            *(threading.Thread(target=identify, args=(url, seen, stop, expected)) for _ in "12"),
            threading.Thread(target=verify, args=(url, seen, stop, expected)),
            threading.Thread(target=enrol, args=(url, seen, stop)),
        ]
        for caller in callers:
            caller.start()
        try:
            time.sleep(BESIDE_S)
            seen.phase = "meanwhile"
            job, took_s = rekeyed(client, wish)
            seen.phase = "after"
            time.sleep(BESIDE_S)
        finally:
            stop.set()
            for caller in callers:
                caller.join()
        if job["status"] != "succeeded":
            seen.faults.append(f"the job ended so: {job}")
        for number, subject_id in enumerate(seen.enrolled, KNOWN + 1):
            status, found = ask(client, number)
            if found[0] != subject_id:
                seen.faults.append(f"{subject_id} is answered {status} {found} in the end")
    return took_s


def _look_at(gallery: Gallery, before: dict[str, list[Embeddings]], seen: Seen) -> None:
    after = rows_of(gallery)
    count = len(before) + KNOWN + len(seen.enrolled)
    if len(after) != count or any(len(rows) != 1 for rows in after.values()):
        seen.faults.append(f"{len(after)} templates are there, and not {count}, each once")
    cosines = np.array([float(rows[0] @ after[name][0]) for name, rows in before.items()])
    # All were turned by one matrix. The trace of a random orthogonal one has a standard deviation
    # of 1, and the cosines' mean is that of it divided by D; each is about D ** -0.5 away from it.
    size = gallery.contract.size
    if abs(cosines.mean()) > 6 / size or cosines.std() > 2 * size**-0.5:
        seen.faults.append(f"rows are like those of before: cosine {cosines.mean():.4f} on average")


def show(store: str, seen: Seen, took_s: float, templates: int) -> None:
    """Figures of one store."""
    print(f"{store}: {templates} templates in {took_s:.1f} s")
    for name, waits in sorted(seen.waits_s.items()):
        waits = sorted(waits)
        print(
            f"  {name}: {len(waits)} answers, median {statistics.median(waits) * 1e3:.0f} ms, "
            f"99 % within {waits[int(0.99 * (len(waits) - 1))] * 1e3:.0f} ms, longest "
            f"{waits[-1] * 1e3:.0f} ms"
        )
    for fault in seen.faults[:10]:
        print(f"FAULT {fault}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both; 0 if the bar holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--templates", type=int, default=100_000, help="default: 100000")
    parser.add_argument("--store", choices=("file", "postgres"), help="one alone (default: both)")
    options = parser.parse_args(arguments)
    told, faults = [], 0
    for store in (options.store,) if options.store else ("file", "postgres"):
        seen, took_s = run(store, options.templates)
        show(store, seen, took_s, options.templates)
        faults += len(seen.faults)
        meanwhile = sum(n for name, n in seen.answers.items() if name.endswith("meanwhile"))
        told.append(f"{store} {took_s:.0f} s with {meanwhile} answers meanwhile")
    print(f"re-keying {options.templates} templates: {faults} errors; {', '.join(told)}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
