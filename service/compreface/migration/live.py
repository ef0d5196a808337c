"""A CompreFace that runs, by its REST interface.

Faces are listed a subject at a time: CompreFace's pages have no order, so only what fits on one
page is sure to be all; and no more than a subject's ids are in memory.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

from index.checks import SUBJECT_ID
from service.compreface.migration.error import MigrationError
from service.compreface.migration.findings import Findings, can_be_kept, printable
from service.compreface.migration.photo import SavedPhoto

TIMEOUT_S: Final = 60.0
# Before the same request is sent again, to one that is busy or gone for a moment.
PAUSES_S: tuple[float, ...] = (1.0, 4.0, 15.0)
# What CompreFace's pages can hold.
PAGE_SIZE: Final = 2000
IMAGE_BYTES_MAX: Final = 64 << 20
_LIST_BYTES_MAX: Final = 256 << 20
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})


class Live:
    """The recognition service that the client's key names."""

    def __init__(self, http: httpx.Client) -> None:
        """http: knows address and key. Raises MigrationError."""
        self._http = http
        self._url = str(http.base_url.copy_with(userinfo=b"")).rstrip("/")
        self._subjects = self._names(self._asked("subjects"))
        self.photo_total = self._number(self._asked("faces", size=1), "total_elements")
        self.findings = Findings(
            where=f"CompreFace at {self._url}", subject_count=len(self._subjects)
        )

    def photos(self) -> Iterator[SavedPhoto]:
        """Every saved photo once, by subject and image id. Raises MigrationError."""
        for subject in self._subjects:
            image_ids = self._image_ids(subject)
            if not image_ids:
                self.findings.leave_out("no_images", subject)
            elif not can_be_kept(subject):
                self.findings.leave_out("name_refused", subject, *image_ids)
            else:
                yield from self._photos_of(subject, image_ids)

    def _photos_of(self, subject: str, image_ids: list[str]) -> Iterator[SavedPhoto]:
        for image_id in image_ids:
            data = self._sent(f"faces/{image_id}/img", IMAGE_BYTES_MAX)
            if data:
                yield SavedPhoto(image_id=image_id, subject=subject, data=data)
            else:
                self.findings.leave_out("image_not_saved", subject, image_id)

    def _image_ids(self, subject: str) -> list[str]:
        """All images of a subject. Raises MigrationError if they cannot be listed for sure."""
        found: set[str] = set()
        page, pages = 0, 1
        while page < pages:
            body = self._asked("faces", subject=subject, page=page, size=PAGE_SIZE)
            pages, total = self._number(body, "total_pages"), self._number(body, "total_elements")
            found.update(self._faces(body, subject))
            page += 1
        if len(found) != total:
            raise MigrationError(
                f"CompreFace at {self._url} lists {total} images of a subject and names "
                f"{len(found)}: somebody adds or removes images meanwhile, or its pages overlap. "
                "Import again, or from a dump of its database."
            )
        return sorted(found)

    def _names(self, body: dict[str, Any]) -> list[str]:
        names = body.get("subjects")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._stranger("subjects")
        return sorted(names)

    def _faces(self, body: dict[str, Any], subject: str) -> list[str]:
        """Image ids of a subject, which are safe in a path."""
        try:
            faces = [(face["image_id"], face["subject"]) for face in body["faces"]]
            safe = all(SUBJECT_ID.fullmatch(image_id) for image_id, _ in faces)
        except (KeyError, TypeError) as error:
            raise self._stranger("faces") from error
        if not safe:
            raise self._stranger("faces")
        if any(name != subject for _, name in faces):
            raise MigrationError(
                f"CompreFace at {self._url} does not list the images of one subject: it is older "
                "than 1.0. Import from a dump of its database."
            )
        return [image_id for image_id, _ in faces]

    def _number(self, body: dict[str, Any], field: str) -> int:
        number = body.get(field)
        if not isinstance(number, int):
            raise self._stranger("faces")
        return number

    def _stranger(self, what: str) -> MigrationError:
        return MigrationError(
            f"What answers at {self._url} does not list {what} as CompreFace does."
        )

    def _asked(self, what: str, **params: str | int) -> dict[str, Any]:
        answer = self._sent(what, _LIST_BYTES_MAX, **params)
        try:
            body = json.loads(answer)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise MigrationError(f"What answers at {self._url} is no CompreFace: it sends no JSON.")
        return body

    def _sent(self, what: str, most: int, **params: str | int) -> bytes:
        """The body of an answer. Raises MigrationError."""
        for pause_s in (*PAUSES_S, None):
            try:
                with self._http.stream(
                    "GET", f"/api/v1/recognition/{what}", params=params
                ) as answer:
                    body = _body(answer, most)
            except httpx.HTTPError as error:
                failure = f"does not answer: {error or type(error).__name__}"
            else:
                if answer.is_success:
                    return body
                failure = f"answers {answer.status_code}: {self._said(body)}"
                if answer.status_code not in _AGAIN:
                    break
            if pause_s is not None:
                time.sleep(pause_s)
        raise MigrationError(
            f"CompreFace at {self._url} {failure}. See that the address is right, and that the key "
            "is of a recognition service."
        )

    def _said(self, body: bytes) -> str:
        """What an error says: CompreFace's message, or the begin of whatever came."""
        try:
            said = str(json.loads(body)["message"])
        except (ValueError, KeyError, TypeError, RecursionError):
            said = body[:200].decode(errors="replace")
        # CompreFace repeats keys that it does not know.
        return printable(said.replace(self._http.headers["x-api-key"], "…"))


@contextmanager
def opened_live(url: str, key: str) -> Iterator[Live]:
    """The service of that key at that address. Raises MigrationError."""
    try:
        http = httpx.Client(base_url=url.rstrip("/"), headers={"x-api-key": key}, timeout=TIMEOUT_S)
    except (httpx.InvalidURL, ValueError) as error:
        # The key is not repeated.
        raise MigrationError(
            "The address or the key of CompreFace has characters that neither can have."
        ) from error
    with http:
        yield Live(http)


def _body(answer: httpx.Response, most: int) -> bytes:
    parts: list[bytes] = []
    length = 0
    for part in answer.iter_bytes():
        length += len(part)
        if length > most:
            raise MigrationError(
                f"{answer.request.url.path} of CompreFace has more than {most >> 20} MiB, which "
                "no photo of a face needs: remove it there, or make it smaller."
            )
        parts.append(part)
    return b"".join(parts)
