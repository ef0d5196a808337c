"""A stand-in for a running CompreFace: its REST interface as its documents have it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "3f1e9bd4-6a42-4c2f-8e0b-0f6f3f3a6c11"
Answer = tuple[int, bytes]
Answering = Callable[[str, dict[str, str]], Answer | None]


class StandIn:
    """CompreFace's REST as its documents have it, over these photos by image id by subject.

    asked: paths of all requests. before: may answer in its stead.
    """

    def __init__(self, photos: dict[str, dict[str, bytes]]) -> None:
        self.photos = photos
        self.asked: list[str] = []
        self.before: Answering = lambda path, params: None

    def answer(self, path: str, params: dict[str, str], key: str | None) -> Answer:
        self.asked.append(path)
        if instead := self.before(path, params):
            return instead
        if key != KEY:
            words = f"Model with api key {key} not found. Please verify that this model exists"
            return 404, json.dumps({"message": words, "code": 19}).encode()
        parts = path.removeprefix("/api/v1/recognition/").split("/")
        if parts == ["subjects"]:
            return 200, json.dumps({"subjects": list(self.photos)}).encode()
        if parts == ["faces"]:
            return 200, json.dumps(self._faces(params)).encode()
        assert (parts[0], parts[2]) == ("faces", "img")
        images = {i: data for of_subject in self.photos.values() for i, data in of_subject.items()}
        # CompreFace answers no bytes for an image that is not there or was not saved.
        return 200, images.get(parts[1], b"")

    def everybody(self) -> dict[str, Any]:
        """What it lists where no subject is named."""
        return self._faces({})

    def _faces(self, params: dict[str, str]) -> dict[str, Any]:
        page, size = int(params.get("page", 0)), int(params.get("size", 20))
        all_of_them = [
            {"image_id": image_id, "subject": subject}
            for subject, images in self.photos.items()
            for image_id in images
            if params.get("subject", subject) == subject
        ]
        return {
            "faces": all_of_them[page * size : (page + 1) * size],
            "page_number": page,
            "page_size": size,
            "total_pages": -(-len(all_of_them) // size),
            "total_elements": len(all_of_them),
        }


@contextmanager
def running(stand_in: StandIn) -> Iterator[str]:
    """Its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            params = {name: values[0] for name, values in parse_qs(url.query).items()}
            status, body = stand_in.answer(unquote(url.path), params, self.headers["x-api-key"])
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
