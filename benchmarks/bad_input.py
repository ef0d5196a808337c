"""Bad input against a real server: a problem of its own for each, quickly and in little memory.

    python -m benchmarks.bad_input

Each bad input of the bar is sent to POST /v1/enroll of `oneglance serve`; shown are status, code
and reasons, seconds, and by how much the server's resident memory rose above where it was. Then
somebody enrolled before must still be found, and a server with a damaged bundle or with the
gallery of another bundle must refuse to start. The figure is the last line; the exit status is
not 0 if a bar is missed.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.pictures import (
    astronaut,
    encoded,
    huge_png,
    landscape,
    truncated_jpeg,
    two_astronauts,
)
from benchmarks.server import Server, ServerError, serve_command, serving
from contract.bundle import load_bundle
from contract.embedding_contract import EmbeddingContract
from contract.errors import BundleError
from index.gallery import Gallery
from service.settings import Settings

SECONDS_AT_MOST = 2.0
GROWTH_MB_AT_MOST = 200.0
REFUSAL_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one bad input. growth_mb: peak above what was resident before."""

    name: str
    status: int
    code: str
    reasons: str
    seconds: float
    growth_mb: float

    @property
    def held(self) -> bool:
        """The bar, but for being distinct."""
        return (
            400 <= self.status < 500
            and self.seconds <= SECONDS_AT_MOST
            and self.growth_mb <= GROWTH_MB_AT_MOST
        )

    def __str__(self) -> str:
        mark = "ok  " if self.held else "FAIL"
        words = f"{self.code} {self.reasons}".strip()
        return (
            f"{mark} {self.name:<24} {self.status} {words:<34} "
            f"{self.seconds:5.2f} s {self.growth_mb:+7.1f} MB"
        )


def cases() -> dict[str, dict[str, Any]]:
    """Bad requests by name: what httpx sends."""

    def photo(data: bytes) -> dict[str, Any]:
        return {"files": [("images", ("photo", data))], "data": {"name": "Nobody"}}

    return {
        "an empty file": photo(b""),
        "a text file": photo(b"This is a letter and not a photo.\n" * 20),
        "a truncated JPEG": photo(truncated_jpeg()),
        "a picture of 1 x 1": photo(encoded(landscape(1, 1))),
        "a PNG of 30,000 x 30,000": photo(huge_png()),
        "a photo without a face": photo(encoded(landscape(), "JPEG", quality=90)),
        "two faces, one asked": photo(encoded(two_astronauts(), "JPEG", quality=90)),
        "a missing field": {"data": {"name": "Nobody"}},
    }


def send(server: Server, client: httpx.Client, name: str, request: dict[str, Any]) -> Seen:
    """Send one bad request and watch the server."""
    if not server.reset_peak():
        print("the peak cannot be reset here: growth is an upper bound", file=sys.stderr)
    before_kb = server.resident_kb()
    start = time.perf_counter()
    answer = client.post("/v1/enroll", **request)
    seconds = time.perf_counter() - start
    growth_kb = server.resident_kb("VmHWM") - before_kb
    problem = answer.json()
    reasons = [
        ",".join(item.get("reasons", [])) or str(item.get("field"))
        for item in problem.get("errors", [])
    ]
    code = str(problem.get("code"))
    return Seen(name, answer.status_code, code, " ".join(reasons), seconds, growth_kb / 1024)


def ask_all(folder: Path) -> list[str]:
    """Every bad request to one server; what went wrong, in words."""
    wrong: list[str] = []
    requests = cases()
    with (
        serving(folder / "gallery.sqlite3", folder / "server.log") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        enrol_astronaut(client)
        before = client.get("/v1/subjects").json()
        seen = [send(server, client, name, request) for name, request in requests.items()]
        for one in seen:
            print(one)
        wrong += [f"{one.name}: over the bar" for one in seen if not one.held]
        kinds = {(one.code, one.reasons) for one in seen}
        if len(kinds) < len(seen):
            wrong.append(f"{len(seen)} inputs have only {len(kinds)} different problems")
        if client.get("/v1/subjects").json() != before or not still_found(client):
            wrong.append("what was enrolled before is not what is there now")
        else:
            print("ok   the subject enrolled before is still there and found")
        print(
            f"largest: {max(one.seconds for one in seen):.2f} s, "
            f"{max(one.growth_mb for one in seen):+.0f} MB"
        )
    return wrong


def enrol_astronaut(client: httpx.Client) -> None:
    """Somebody to lose; the first requests also warm the server up."""
    photo = encoded(astronaut())
    answer = client.post(
        "/v1/enroll", files={"images": ("photo.png", photo)}, data={"name": "astronaut"}
    )
    answer.raise_for_status()
    if not still_found(client):
        raise ServerError("The astronaut was enrolled and is not found.")


def still_found(client: httpx.Client) -> bool:
    """The astronaut's own photo has the astronaut as its best candidate, at similarity 1."""
    photo = encoded(astronaut())
    answer = client.post("/v1/identify", files={"image": ("photo.png", photo)})
    answer.raise_for_status()
    (face,) = answer.json()["faces"]
    (best,) = face["candidates"]
    return bool(best["subject"]["name"] == "astronaut" and best["similarity"] > 0.99)


def refusals(folder: Path) -> list[str]:
    """Start servers that must not start; what went wrong, in words."""
    shipped = Settings().bundle_path
    damaged = folder / "damaged"
    shutil.copytree(shipped, damaged)
    bundle = load_bundle(shipped)
    model = damaged / bundle.manifest.model.file
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    other = folder / "other.sqlite3"
    size, d_max = bundle.manifest.contract.size, bundle.manifest.contract.d_max
    Gallery.open(other, EmbeddingContract(id="other", size=size, d_max=d_max)).close()
    wrong = []
    for name, bundle_path, gallery, advice in (
        ("a wrong bundle hash", damaged, folder / "new.sqlite3", "export it anew"),
        ("a gallery of another bundle", shipped, other, "Start with the bundle"),
    ):
        command = serve_command("--bundle-path", bundle_path, "--gallery", gallery)
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=REFUSAL_LIMIT_S, check=False
        )
        said = ended.stderr.splitlines()
        held = ended.returncode == 1 and len(said) == 1 and advice in said[0]
        print(
            f"{'ok  ' if held else 'FAIL'} {name:<28} exit {ended.returncode}: {' | '.join(said)}"
        )
        if not held:
            wrong.append(f"{name}: not refused in one line with status 1")
    return wrong


def main() -> int:
    """Send, refuse and sum up; 0 if every bar held."""
    with tempfile.TemporaryDirectory(prefix="oneglance-input-") as name:
        try:
            print("starting the server ...", file=sys.stderr)
            wrong = ask_all(Path(name))
            print("starting servers that must refuse ...", file=sys.stderr)
            wrong += refusals(Path(name))
        except (ServerError, BundleError, httpx.HTTPError, json.JSONDecodeError) as error:
            print(f"bad input: {error}", file=sys.stderr)
            return 1
    for words in wrong:
        print(f"FAIL {words}", file=sys.stderr)
    inputs = len(cases()) + 2
    print(
        f"{inputs - len(wrong)} of {inputs} bad inputs answered clearly, each within "
        f"{SECONDS_AT_MOST:.0f} s and {GROWTH_MB_AT_MOST:.0f} MB"
        if len(wrong) <= inputs
        else f"{len(wrong)} faults"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
