"""A real `oneglance serve` over a socket, with the real detector: limits, restart, clean end."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.bad_input import enrol_astronaut, still_found
from benchmarks.pictures import astronaut, encoded, two_astronauts
from benchmarks.server import Server, serving


@pytest.fixture
def environment(no_settings: pytest.MonkeyPatch, tiny_bundle: Path) -> pytest.MonkeyPatch:
    no_settings.setenv("ONEGLANCE_BUNDLE_PATH", str(tiny_bundle))
    no_settings.setenv("ONEGLANCE_MAX_BODY_BYTES", "1000000")
    return no_settings


def endless() -> Iterator[bytes]:
    """A body without an end, well, with one: a server that does not stop it must not hang us."""
    yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
    for _ in range(2_000):
        yield bytes(50_000)
    raise AssertionError("The server took 100 MB and did not stop it.")


def refused(server: Server) -> httpx.Response | None:
    """The answer to a body without an end; None if the line was cut while we wrote."""
    headers = {"content-type": "multipart/form-data; boundary=b"}
    try:
        return httpx.post(f"{server.url}/v1/identify", content=endless(), headers=headers)
    except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
        return None


@pytest.mark.usefixtures("environment")
def test_what_was_enrolled_is_found_after_a_restart(tmp_path: Path) -> None:
    gallery, log = tmp_path / "gallery.sqlite3", tmp_path / "log"
    with serving(gallery, log) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.get("/readyz").json()["detector"] == "yunet"
        enrol_astronaut(client)
        photo = {"image": ("photo.jpg", encoded(two_astronauts(), "JPEG"))}
        faces = client.post("/v1/identify", files=photo).json()["faces"]
        assert [face["subject"]["name"] for face in faces] == ["astronaut", "astronaut"]
        assert len({face["bbox"]["x"] // 512 for face in faces}) == 2
        answer = refused(server)
        if answer is not None:
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert still_found(client)
    assert server.process.returncode in (0, -signal.SIGTERM)
    words = log.read_text(encoding="utf-8")
    assert "Application shutdown complete" in words
    assert "Traceback" not in words
    with serving(gallery, log) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        assert still_found(client)
        (subject,) = client.get("/v1/subjects").json()["subjects"]
        assert client.delete(f"/v1/subjects/{subject['id']}").status_code == 204
        photo = {"image": ("photo.png", encoded(astronaut()))}
        (face,) = client.post("/v1/identify", files=photo).json()["faces"]
        assert (face["decision"], face["candidates"]) == ("unknown", [])
