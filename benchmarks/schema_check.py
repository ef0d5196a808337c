"""The service against its OpenAPI description: schemathesis over every operation, and rudeness.

    python -m benchmarks.schema_check --examples 200

A real server with a bundle made on the spot is asked by schemathesis at least so many times for
each operation, valid and invalid data, then for chains of operations (stateful), then by requests
that are broken below what a schema can say. No 5xx but a 503 that says when to come back; no
status, content type or body that is not documented; every error is problem+json with code and
request_id. The figure is the last line; the exit status is not 0 after any failure.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from PIL import Image

from benchmarks.conformance import (
    SUBJECTS,
    Report,
    Target,
    photos_as_files,
    run,
    send_rudely,
)
from benchmarks.pictures import (
    Pixels,
    astronaut,
    encoded,
    huge_png,
    landscape,
    truncated_jpeg,
)
from benchmarks.problem_check import Answer
from benchmarks.rude_requests import RudeRequest, rude_requests
from benchmarks.server import ServerError, serving
from benchmarks.tiny_bundle import write_tiny_bundle

EXAMPLES: Final = 200
SEED: Final = 7
# More pixels than the service takes, in a file of a few kB.
HUGE_SIDE_PX: Final = 8_000
TIMEOUT_S: Final = 60.0
# On a line of its own: requests may say the word, too.
TRACEBACK: Final = "\nTraceback (most recent call last):\n"


def good_photos() -> list[bytes]:
    """Small files of all formats: one face, the same in another photo, two faces, nobody."""
    one = astronaut()
    two = np.hstack([one, one[:, ::-1]])
    return [
        encoded(_scaled(one, 160)),
        encoded(_scaled(one, 128), "JPEG"),
        encoded(_scaled(one[:, ::-1], 160), "WEBP"),
        encoded(_scaled(two, 160), "JPEG"),
        encoded(landscape(80, 60)),
    ]


def bad_photos() -> list[bytes]:
    """Files that are no images, are damaged, or are more than is taken."""
    return [
        b"",
        b"not a photo",
        truncated_jpeg()[:3000],
        encoded(landscape(1, 1)),
        huge_png(HUGE_SIDE_PX),
    ]


def _scaled(pixels: Pixels, height: int) -> Pixels:
    width = pixels.shape[1] * height // pixels.shape[0]
    return np.asarray(Image.fromarray(pixels).resize((width, height)))


def ask(url: str, report: Report, *, examples: int, seed: int) -> None:
    """All requests to the service at `url`."""
    photos = good_photos()
    photos_as_files(photos, bad_photos())
    with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
        document: dict[str, Any] = client.get("/openapi.json").raise_for_status().json()
        client.post("/v1/collections", json={"id": "things", "bundle": "whole"}).raise_for_status()
        words = {"template_id": templates_of(client, photos)}
        target = Target(document=document, base_url=url, words=words)
        run(target, report, examples=examples, seed=seed)
        print(f"{sum(report.examples.values())} examples, {report.steps} steps", file=sys.stderr)

        def send(request: RudeRequest) -> Answer:
            return _send(client, url, request)

        for request in rude_requests(document, photos[0], _known(client, photos[0])):
            send_rudely(send, request, report)


def templates_of(client: httpx.Client, photos: list[bytes]) -> list[str]:
    """Enrol the subjects that requests will speak of, with stored crops; their templates."""
    found = []
    for name in SUBJECTS:
        answer = client.post(
            "/v1/enroll",
            files=[("images", (f"{i}", photo)) for i, photo in enumerate(photos)],
            data={"subject_id": name, "store_image": "crop", "face_policy": "largest"},
        )
        accepted = answer.raise_for_status().json()["accepted"]
        found += [image["template_id"] for image in accepted]
    return found


def _known(client: httpx.Client, photo: bytes) -> dict[str, str]:
    """Ids of what there is, by the names of path parameters."""
    enrolled = client.post("/v1/enroll", files={"images": ("a.png", photo)}).raise_for_status()
    job = client.post("/v1/collections/default/health-reports").raise_for_status()
    return {
        "collection_id": "default",
        "subject_id": enrolled.json()["subject"]["id"],
        "template_id": enrolled.json()["accepted"][0]["template_id"],
        "job_id": job.json()["job"]["id"],
    }


def _send(client: httpx.Client, url: str, request: RudeRequest) -> Answer:
    target = httpx.URL(url).copy_with(raw_path=request.target.encode())
    try:
        answer = client.request(
            request.method, target, headers=list(request.headers), content=request.body
        )
    except httpx.HTTPError as error:
        raise ConnectionError(repr(error)) from error
    return answer_of(request.method, answer)


def answer_of(method: str, answer: httpx.Response) -> Answer:
    """What came over httpx."""
    names = {name.lower() for name in answer.headers}
    headers = {name: answer.headers.get_list(name) for name in names}
    return Answer(method=method, status=answer.status_code, headers=headers, body=answer.content)


def show(report: Report) -> None:
    """Examples of each operation, then what went wrong."""
    wrong = {fault.operation for fault in report.faults}
    for operation, examples in sorted(report.examples.items()):
        mark = "FAIL" if operation in wrong else "ok  "
        print(f"{mark} {examples:6d} ({report.accepted[operation]:5d} done) {operation}")
    for fault, times in report.faults.items():
        print(f"FAIL {times} x {fault.operation}, {fault.check}: {fault.words}", file=sys.stderr)
        print(f"     {fault.sample[:2000]}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Serve, ask and sum up; 0 if nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of each operation")
    parser.add_argument("--seed", type=int, default=SEED, help="of what schemathesis draws")
    args = parser.parse_args(arguments)
    report, start = Report(), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="oneglance-schema-") as name:
        folder = Path(name)
        faces, whole, log = folder / "faces", folder / "whole", folder / "server.log"
        faces.mkdir()
        whole.mkdir()
        write_tiny_bundle(faces)
        write_tiny_bundle(whole, name="whole", fit="pad")
        os.environ |= {
            "ONEGLANCE_BUNDLE_PATH": str(faces),
            "ONEGLANCE_FURTHER_BUNDLE_PATHS": str(whole),
            # The photos are small; whoever sends another policy gets it.
            "ONEGLANCE_QUALITY": "off",
            # Why a photo shows no face is looked for until then: long enough to be reached.
            "ONEGLANCE_QUALITY_LOOK_AGAIN_MS": "20",
        }
        try:
            with serving(folder / "gallery.sqlite3", log) as server:
                ask(server.url, report, examples=args.examples, seed=args.seed)
        # schemathesis asks by requests, whose errors are OSErrors.
        except (ServerError, httpx.HTTPError, OSError) as error:
            said = log.read_text(encoding="utf-8") if log.exists() else ""
            print(f"schema: {error} The server said last:\n{said[-4000:]}", file=sys.stderr)
            return 1
        said = log.read_text(encoding="utf-8")
    accidents = said.count(TRACEBACK)
    if accidents:
        print(said[said.index(TRACEBACK) :][:6000], file=sys.stderr)
    show(report)
    # What is always refused shows nothing of what it answers: to be known, though no fault.
    idle = [name for name in report.examples if not report.accepted[name]]
    if idle:
        print(f"never done: {', '.join(idle)}", file=sys.stderr)
    failures = sum(report.faults.values())
    least = min(report.examples.values(), default=0)
    print(
        f"{len(report.examples)} operations, {sum(report.examples.values())} examples, at least "
        f"{least} each; {report.chains} chains of {report.steps} steps; "
        f"{report.rude} rude requests; {time.perf_counter() - start:.0f} s: "
        f"{failures} failures, {len(idle)} operations never done, {accidents} tracebacks logged"
    )
    return int(failures > 0 or accidents > 0 or not report.examples)


if __name__ == "__main__":
    sys.exit(main())
