"""Kill -9 of one replica of two, under load, before callers that ask a second time.

    python -m benchmarks.replicas --kills 10

Two real services share a gallery in a real PostgreSQL, behind the proxy of docker/. Callers
identify and enrol through it; a request that ends in an error of the connection or the proxy (502,
503, 504) is sent once more, no other. In turn the one and the other replica is killed and started
again. Then:
- no caller has seen an error, and everybody who was enrolled before was named rightly each time;
- each acknowledged enrolment is there, on both replicas.
A second answer to the same enrolment may be of a second template: how often is printed. Pictures
are noise, the bundle is a tiny one: this is about the connections. The exit status is not 0 if
anything failed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from benchmarks.caddy import proxying
from benchmarks.pictures import encoded
from benchmarks.postgres_server import postgres_running
from benchmarks.server import READY_LIMIT_S, free_port, serve_command, wait_ready
from benchmarks.tiny_bundle import WHOLE_SIDE_PX, write_tiny_bundle

KNOWN: Final = 20
READERS: Final = 3
AGAIN: Final = {502, 503, 504}
AGAIN_AFTER_S: Final = 0.2
LIFE_S: Final = 2.0
# The Caddyfile's fail_duration, and a little: two that are away at once are another matter.
NOTICED_S: Final = 11.0


@dataclass
class Seen:
    """What callers saw. faults: in words. twice: requests that were sent a second time."""

    identified: int = 0
    enrolled: list[str] = field(default_factory=list)
    twice: int = 0
    faults: list[str] = field(default_factory=list)


class Replica:
    """One service on the shared gallery, on the same port in each of its lives."""

    def __init__(self, dsn: str, bundle: Path, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._command = serve_command(
            "--host", "127.0.0.1", "--port", self.port, "--gallery", dsn,
            "--bundle-path", bundle, "--worker-threads", 2,
        )  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        # Of its own folder: where it keeps exports, for a gallery that is in no file.
        folder = self._log.parent
        with self._log.open("a", encoding="utf-8") as words:
            self._process = subprocess.Popen(
                self._command, stdout=words, stderr=words, text=True, cwd=folder,
                env=dict(os.environ),
            )  # fmt: skip
        wait_ready(self.url, self._process, READY_LIMIT_S)

    def kill(self) -> None:
        """SIGKILL; nothing where it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def picture(number: int) -> bytes:
    """Noise that is like no other number's."""
    drawn = np.random.default_rng(number).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    times = WHOLE_SIDE_PX // 8
    return encoded(drawn.repeat(times, axis=0).repeat(times, axis=1))


def send(client: httpx.Client, seen: Seen, path: str, **parts: Any) -> httpx.Response | None:
    """The answer, to a second request if need be; None and a fault if that fails, too."""
    said = ""
    for attempt in range(2):
        if attempt:
            seen.twice += 1
            time.sleep(AGAIN_AFTER_S)
        try:
            answer = client.post(path, **parts)
        except httpx.TransportError as error:
            said = f"{type(error).__name__} {error}"
            continue
        if answer.status_code not in AGAIN:
            return answer
        said = f"{answer.status_code} {answer.text}"
    seen.faults.append(f"{path} twice: {said}")
    return None


def identify(url: str, seen: Seen, stop: threading.Event, seed: int) -> None:
    """Ask who the known ones are, until told to stop."""
    choose = np.random.default_rng(seed)
    with httpx.Client(base_url=url, timeout=60) as client:
        while not stop.is_set():
            number = int(choose.integers(KNOWN))
            answer = send(client, seen, "/v1/identify", files={"image": picture(number)})
            if answer is None:
                continue
            found = [face["subject"] for face in answer.json().get("faces", [])]
            if [one and one["id"] for one in found] != [f"known-{number}"]:
                seen.faults.append(f"known-{number} is answered {answer.status_code} {answer.text}")
            seen.identified += 1


def enrol(url: str, seen: Seen, stop: threading.Event) -> None:
    """Enrol one after the other, until told to stop."""
    with httpx.Client(base_url=url, timeout=60) as client:
        number = KNOWN
        while not stop.is_set():
            number += 1
            enrol_one(client, seen, number, f"new-{number}")
            stop.wait(0.05)


def enrol_one(client: httpx.Client, seen: Seen, number: int, subject_id: str) -> None:
    """Enrol a picture, with a key by which it is known again."""
    answer = send(
        client, seen, "/v1/enroll",
        files={"images": picture(number)},
        data={"subject_id": subject_id, "quality": "off", "duplicate_check": "off"},
        headers={"Idempotency-Key": subject_id},
    )  # fmt: skip
    if answer is None:
        return
    if answer.is_success:
        seen.enrolled.append(subject_id)
    else:
        seen.faults.append(f"{subject_id} is answered {answer.status_code} {answer.text}")


def missing(url: str, seen: Seen) -> tuple[list[str], int]:
    """Who was acknowledged and is not on the replica at `url`; templates that came twice."""
    gone, extra = [], 0
    with httpx.Client(base_url=url, timeout=60) as client:
        for subject_id in seen.enrolled:
            answer = client.get(f"/v1/subjects/{subject_id}")
            if answer.is_success:
                extra += answer.json()["template_count"] - 1
            else:
                gone.append(f"{subject_id} is not on {url}: {answer.status_code}")
    return gone, extra


def run(kills: int) -> tuple[Seen, int]:
    """What callers saw, and how many templates came twice."""
    seen = Seen()
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="oneglance-replicas-"))
        )
        bundle = folder / "bundle"
        bundle.mkdir()
        write_tiny_bundle(bundle, fit="pad")
        dsn = stack.enter_context(postgres_running(in_memory=True)).create_database()
        replicas = [Replica(dsn, bundle, folder / f"log-{number}") for number in range(2)]
        for replica in replicas:
            stack.callback(replica.kill)
            replica.start()
        url = stack.enter_context(proxying([replica.port for replica in replicas], folder))
        with httpx.Client(base_url=url, timeout=60) as client:
            for number in range(KNOWN):
                enrol_one(client, seen, number, f"known-{number}")
        stop = threading.Event()
        callers = [
            threading.Thread(target=identify, args=(url, seen, stop, seed))
            for seed in range(READERS)
        ]
        callers.append(threading.Thread(target=enrol, args=(url, seen, stop)))
        for caller in callers:
            caller.start()
        try:
            for number in range(kills):
                time.sleep(LIFE_S)
                replicas[number % 2].kill()
                print(f"{number + 1} kills, {seen.identified} identified", file=sys.stderr)
                time.sleep(LIFE_S)
                replicas[number % 2].start()
                if number + 1 < kills:
                    time.sleep(NOTICED_S)
        finally:
            stop.set()
            for caller in callers:
                caller.join()
        extra = 0
        for replica in replicas:
            gone, extra = missing(replica.url, seen)
            seen.faults += gone
    return seen, extra


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all; 0 if no caller saw an error and nothing is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--kills", type=int, default=10, help="in all (default: 10)")
    options = parser.parse_args(arguments)
    seen, extra = run(options.kills)
    for fault in seen.faults[:20]:
        print(f"FAULT {fault}", file=sys.stderr)
    print(
        f"{seen.identified} identified and {len(seen.enrolled)} enrolled, {seen.twice} of these "
        f"requests sent twice, {extra} templates twice in the gallery"
    )
    print(f"{options.kills} kills of one replica of two: {len(seen.faults)} errors seen by callers")
    return int(bool(seen.faults))


if __name__ == "__main__":
    sys.exit(main())
