"""A service with what is a caller's own and what is others', and the keys to ask it with."""

import io
import secrets
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from benchmarks.asgi import AsgiClient
from benchmarks.pictures import encoded
from benchmarks.tiny_bundle import write_tiny_bundle
from service.access.key_wish import KeyWish
from service.access.keyring import Keyring
from service.access.owned_id import owned_id
from service.access.scopes import Scope
from service.app import create_app
from service.receipt import decoded
from service.receipt import encoded as receipt_text
from service.runtime import build_runtime
from service.settings import Settings

MINE: Final = "mine"
# As long as one that is not there, so that a length says nothing.
THEIRS: Final = "theirs-zq7x"
ABSENT: Final = "absent-zq7x"
# Of theirs, and the one that is asked about.
SUBJECT: Final = "subject-1-0-zq7x"
AGAIN: Final = "again-zq7x"
PEOPLE: Final = 3
TOLD_TO_NOBODY: Final = ("job", "export", "import", "feedback", "key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A caller. bad: its key is none, or not any more."""

    name: str
    key: str | None
    bad: bool = False
    # What such a key may know of all collections.
    sees_metrics: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """there, absent: values of blanks, of what others have and of what nobody has.

    secrets: what no answer may say to whom it is not told. images: photos, of others' people, too.
    """

    service: AsgiClient
    admin: Mapping[str, str]
    callers: tuple[Who, ...]
    there: Mapping[str, str]
    absent: Mapping[str, str]
    secrets: tuple[str, ...]
    images: tuple[bytes, ...]
    before: Mapping[str, Any] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """Everything of others that somebody could have changed."""
        state: dict[str, Any] = {}
        for collection in (THEIRS, "default"):
            for what in ("subjects", "feedback"):
                path = f"/v1/{what}?collection={collection}"
                state[f"{what} of {collection}"] = self._read(path)
        state["collections"] = [
            collection
            for collection in self._read("/v1/collections")["collections"]
            if collection["id"] != MINE
        ]
        state["keys"] = self._read("/v1/keys")
        return state

    def _read(self, path: str) -> dict[str, Any]:
        answer = self.service.get(path, headers=self.admin)
        if answer.status_code == 404:
            # Somebody has removed it: another state, and a finding.
            return {"collections": [], "status": 404}
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """The service in an empty folder."""
    bundle = folder / "bundle"
    bundle.mkdir()
    write_tiny_bundle(bundle, fit="pad")
    admin_key = secrets.token_hex(32)
    settings = Settings(
        bundle_path=bundle,
        gallery=str(folder / "gallery.sqlite3"),
        import_path=folder / "imports",
        export_path=folder / "exports",
        admin_key=admin_key,
        quality="off",
        worker_threads=2,
        max_remembered_jobs=100_000,
    )
    runtime = build_runtime(settings)
    try:
        with AsgiClient(create_app(runtime)) as service:
            yield _furnished(service, runtime.keyring, admin_key)
    finally:
        runtime.close()


def _furnished(service: AsgiClient, keyring: Keyring, admin_key: str) -> World:
    admin = {"x-api-key": admin_key}
    images = tuple(picture(seed) for seed in range(3 * PEOPLE))
    told = _Teller(service, admin)
    for collection in (MINE, THEIRS):
        told.post("/v1/collections", json={"id": collection})
    hidden: list[str] = [THEIRS]
    template = ""
    for number, collection in enumerate((MINE, THEIRS, "default")):
        for person in range(PEOPLE):
            image = images[number * PEOPLE + person]
            named = {
                "subject_id": f"subject-{number}-{person}-zq7x",
                "name": f"Name zq7x {number} {person}",
                "external_id": f"external-{number}-{person}-zq7x",
            }
            body = told.post(
                "/v1/enroll",
                files={"images": ("a.png", image)},
                data={**named, "collection": collection, "store_image": "crop"},
                headers=admin | ({"Idempotency-Key": AGAIN} if person == 0 else {}) | _once(number),
            )
            if collection != MINE:
                template = body["accepted"][0]["template_id"]
                hidden += [*named.values(), template]
    # Whoever asks about it may make one of that id of their own.
    hidden.remove(SUBJECT)
    there = _there(told, images[PEOPLE], keyring) | {"template": template}
    found = World(
        service=service,
        admin=admin,
        callers=_callers(keyring),
        there=there,
        absent=_absent(there),
        secrets=(*hidden, *(there[blank] for blank in TOLD_TO_NOBODY)),
        images=images,
    )
    return replace(found, before=found.state())


def _once(number: int) -> dict[str, str]:
    # One for each collection: the same key with another content would be refused.
    return {} if number == 1 else {"Idempotency-Key": f"other-{number}-{secrets.token_hex(4)}"}


class _Teller:
    """Sends what has to succeed."""

    def __init__(self, service: AsgiClient, admin: Mapping[str, str]) -> None:
        self._service, self._admin = service, admin

    def post(self, path: str, **what: Any) -> dict[str, Any]:
        headers = what.pop("headers", self._admin)
        answer = self._service.post(path, headers=headers, **what).raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    def ended(self, job_id: str) -> None:
        while self.get(f"/v1/jobs/{job_id}").json()["finished_at"] is None:
            time.sleep(0.01)

    def get(self, path: str) -> httpx.Response:
        return self._service.get(path, headers=self._admin).raise_for_status()


def _there(told: _Teller, image: bytes, keyring: Keyring) -> dict[str, str]:
    exported = told.post("/v1/exports", json={"collection": THEIRS})
    imported = told.post(
        "/v1/imports", files={"archive": ("a.zip", zipped(image))}, data={"collection": THEIRS}
    )
    for body in (exported, imported):
        told.ended(body["job"]["id"])
    seen = told.post("/v1/identify", files={"image": ("a.png", image)}, data={"collection": THEIRS})
    receipt = seen["faces"][0]["receipt"]
    feedback = told.post("/v1/feedback", json={"receipt": receipt, "verdict": "confirmed"})
    theirs = _key(keyring, "admin", collections=[THEIRS])
    return {
        "collection": THEIRS,
        "subject": SUBJECT,
        "job": exported["job"]["id"],
        "export": exported["export_id"],
        "import": imported["import_id"],
        "feedback": feedback["id"],
        "receipt": receipt,
        # The collection whose id the receipt has in it.
        "within": THEIRS,
        "key": theirs.split("_")[1],
        "again": AGAIN,
    }


def _absent(there: Mapping[str, str]) -> dict[str, str]:
    receipt = decoded(there["receipt"])
    elsewhere = replace(receipt, gallery=replace(receipt.gallery, collection_id=ABSENT))
    return {
        "collection": ABSENT,
        "subject": SUBJECT.replace("1", "9"),
        "template": secrets.token_hex(16),
        "job": secrets.token_hex(16),
        # Made for the same collection, and for none of its exports and imports.
        "export": owned_id(secrets.token_hex(16), THEIRS),
        "import": owned_id(secrets.token_hex(32), THEIRS),
        "feedback": secrets.token_hex(16),
        "receipt": receipt_text(elsewhere),
        "within": ABSENT,
        "key": secrets.token_hex(8),
        "again": "never-zq7x",
    }


def _callers(keyring: Keyring) -> tuple[Who, ...]:
    mine = [MINE]
    deleted = _key(keyring, "admin")
    keyring.delete(deleted.split("_")[1])
    known = _key(keyring, "admin", collections=mine)
    last = "0" if known[-1] != "0" else "1"
    return (
        Who(name="identify", key=_key(keyring, "identify", collections=mine)),
        Who(name="enroll", key=_key(keyring, "enroll", collections=mine)),
        Who(name="embed", key=_key(keyring, "embed", collections=mine)),
        Who(name="two scopes", key=_key(keyring, "identify", "enroll", collections=mine)),
        Who(name="admin", key=known),
        Who(name="metrics", key=_key(keyring, "metrics"), sees_metrics=True),
        Who(name="no key", key=None, bad=True),
        Who(name="deleted key", key=deleted, bad=True),
        Who(name="wrong secret", key=known[:-1] + last, bad=True),
        Who(name="wrong key", key=f"og_{secrets.token_hex(8)}_{secrets.token_hex(32)}", bad=True),
        Who(name="no such form", key="zq7x", bad=True),
    )


def _key(keyring: Keyring, *scopes: Scope, collections: list[str] | None = None) -> str:
    wish = KeyWish(
        name="of the proof",
        scopes=frozenset(scopes),
        collections=collections,
        expires_at=None,
        key=None,
    )
    return keyring.create(wish)[1]


def picture(seed: int) -> bytes:
    """A PNG of one coarse texture."""
    coarse = np.random.default_rng(seed).integers(70, 250, (8, 8, 3)).astype(np.uint8)
    return encoded(np.kron(coarse, np.ones((8, 8, 1), np.uint8)))


def zipped(image: bytes) -> bytes:
    """An archive to import: one subject."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("joan/a.png", image)
    return archive.getvalue()
