"""The service against its OpenAPI description: schemathesis over every operation, and rudeness.

    python -m benchmarks.schema_check --examples 200

A real server with a bundle made on the spot is asked by schemathesis at least so many times for
each operation, valid and invalid data, then for chains of operations (stateful), then by requests
that are broken below what a schema can say. No 5xx but a 503 that says when to come back; no
status, content type or body that is not documented; every error is problem+json with code and
request_id. The figure is the last line; the exit status is not 0 after any failure.
"""

import argparse
import io
import os
import secrets
import sys
import tempfile
import time
import zipfile
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
# That requests may remove, one by one.
TEMPLATES: Final = 40
# A bundle of faces that collections can be embedded anew by.
ANEW: Final = "anew"
MOVED: Final = ("m1", "m2")
TIMEOUT_S: Final = 60.0
# Without a key schemathesis would find that none is asked for.
ADMIN_KEY: Final = secrets.token_hex(32)
# Both ways, or schemathesis makes up the other one and takes it for what was let in.
KEY: Final = {"Authorization": f"Bearer {ADMIN_KEY}", "x-api-key": ADMIN_KEY}
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
    # An archive as often as all photos together: only imports take it.
    photos_as_files([*photos, *[zipped(photos)] * len(photos)], bad_photos())
    with httpx.Client(base_url=url, timeout=TIMEOUT_S, headers=KEY) as client:
        document: dict[str, Any] = client.get("/openapi.json").raise_for_status().json()
        client.post("/v1/collections", json={"id": "things", "bundle": "whole"}).raise_for_status()
        words = words_of(client, photos)
        target = Target(document=document, base_url=url, words=words, headers=KEY)
        run(target, report, examples=examples, seed=seed)
        print(f"{sum(report.examples.values())} examples, {report.steps} steps", file=sys.stderr)

        def send(request: RudeRequest) -> Answer:
            return _send(client, url, request)

        for request in rude_requests(document, photos[0], _known(client, photos[0])):
            send_rudely(send, request, report)


def zipped(photos: list[bytes]) -> bytes:
    """An archive to import: two subjects."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for number, photo in enumerate(photos):
            file.writestr(f"s{number % 2}/{number}", photo)
    return archive.getvalue()


def words_of(client: httpx.Client, photos: list[bytes]) -> dict[str, list[str]]:
    """Ids of what is there that no generator of texts would hit upon, by their names.

    Enrols the subjects that requests will speak of, with stored crops, and one that they do not,
    so that there are templates left when all others are removed.
    """
    for name in SUBJECTS:
        _enrolled(client, photos, name)
    pixels = astronaut()
    others = [encoded(_scaled(pixels, height)) for height in range(100, 100 + TEMPLATES)]
    # Twenty photos are the most in one request.
    templates = _enrolled(client, others[:20], "erin") + _enrolled(client, others[20:], "erin")
    imported = client.post("/v1/imports", files={"archive": ("a.zip", zipped(photos))})
    exported = client.post("/v1/exports", json={})
    faces = client.post("/v1/identify", files={"image": ("a.png", photos[0])}).raise_for_status()
    jobs = [imported.raise_for_status().json(), exported.raise_for_status().json()]
    return {
        "bundle": [ANEW],
        "collection_id": moved(client),
        "template_id": templates,
        "import_id": [jobs[0]["import_id"]],
        "export_id": [jobs[1]["export_id"]],
        "job_id": [job["job"]["id"] for job in jobs],
        "receipt": [face["receipt"] for face in faces.json()["faces"]],
    }


def moved(client: httpx.Client) -> list[str]:
    """Empty collections: one to be switched to another bundle, one that can be rolled back."""
    for name in MOVED:
        client.post("/v1/collections", json={"id": name}).raise_for_status()
        path = f"/v1/collections/{name}/reembed"
        job = client.post(path, json={"bundle": ANEW}).raise_for_status().json()["job"]
        while client.get(f"/v1/jobs/{job['id']}").json()["finished_at"] is None:
            time.sleep(0.01)
    client.post(f"/v1/collections/{MOVED[1]}/reembed/switch").raise_for_status()
    return list(MOVED)


def _enrolled(client: httpx.Client, photos: list[bytes], subject_id: str) -> list[str]:
    answer = client.post(
        "/v1/enroll",
        files=[("images", (f"{i}", photo)) for i, photo in enumerate(photos)],
        data={"subject_id": subject_id, "store_image": "crop", "face_policy": "largest"},
    )
    return [image["template_id"] for image in answer.raise_for_status().json()["accepted"]]


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
        faces, whole, anew = (folder / bundle for bundle in ("faces", "whole", ANEW))
        log = folder / "server.log"
        for bundle in (faces, whole, anew):
            bundle.mkdir()
        write_tiny_bundle(faces)
        write_tiny_bundle(whole, name="whole", fit="pad")
        write_tiny_bundle(anew, name=ANEW, drift=1.0)
        os.environ |= {
            "ONEGLANCE_BUNDLE_PATH": str(faces),
            "ONEGLANCE_FURTHER_BUNDLE_PATHS": f"{whole},{anew}",
            # The photos are small; whoever sends another policy gets it.
            "ONEGLANCE_QUALITY": "off",
            "ONEGLANCE_ADMIN_KEY": ADMIN_KEY,
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
