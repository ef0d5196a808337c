"""Moving over from a CompreFace that runs, by its REST interface."""

import json
import uuid
from typing import Any

import httpx
import pytest

from benchmarks.asgi import AsgiTransport
from service.compreface.migration import live
from service.compreface.migration.error import MigrationError
from service.compreface.migration.live import Live
from service.compreface.migration.parts import parts
from service.compreface.migration.source import open_source
from tests.compreface_stand_in import KEY, Answer, StandIn, running
from tests.conftest import ApiMaker, Face, face_photo


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits before a second try."""
    monkeypatch.setattr(live, "PAUSES_S", (0.0, 0.0))


def new_id() -> str:
    return str(uuid.uuid4())


def read(url: str, key: str | None = KEY) -> tuple[set[tuple[str, str, bytes]], Any]:
    with open_source(url, key=key, service=None) as compreface:
        photos = {(p.subject, p.image_id, p.data) for p in compreface.photos()}
        return photos, compreface


def test_every_photo_comes_with_its_subject_and_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A subject with more images than a page has.
    monkeypatch.setattr(live, "PAGE_SIZE", 3)
    photos = {
        "Ada": {new_id(): face_photo(1), new_id(): face_photo(2)},
        "Zoë/Müller & 50 %?": {new_id(): bytes([number]) * 9 for number in range(7)},
        "half": {new_id(): b"x", "00000000-0000-0000-0000-00000000000a": b""},
        "nobody": {},
        "n" * 129: {"00000000-0000-0000-0000-00000000000b": b"x"},
    }
    with running(StandIn(photos)) as url:
        found, compreface = read(f"{url}/")
    assert found == {
        (subject, image_id, data)
        for subject, images in photos.items()
        for image_id, data in images.items()
        if data and len(subject) < 129
    }
    assert compreface.photo_total == 12
    assert compreface.findings.where == f"CompreFace at {url}"
    assert compreface.findings.left_out == {
        "image_not_saved": {"half": ["00000000-0000-0000-0000-00000000000a"]},
        "no_images": {"nobody": []},
        "name_refused": {"n" * 129: ["00000000-0000-0000-0000-00000000000b"]},
    }


def test_our_own_interface_gives_its_photos_as_a_compreface_does(
    make_api: ApiMaker, tmp_path: Any
) -> None:
    old = make_api(compreface_store_image="crop")
    for seed, name in enumerate(("Ada", "Bob/Junior", "__MACOSX")):
        for noise in (0, 4):
            answer = old.post(
                f"/api/v1/recognition/faces?subject={name}",
                headers={"x-api-key": KEY},
                files={"file": ("photo.png", face_photo(Face(seed, noise=noise)))},
            )
            assert answer.status_code == 201
    http = httpx.Client(
        base_url="http://oneglance", headers={"x-api-key": KEY}, transport=AsgiTransport(old)
    )
    new = make_api(gallery=str(tmp_path / "new.sqlite3"))
    with http:
        compreface = Live(http)
        for part in parts(compreface, lambda done, total: None):
            files = {"archive": ("a.zip", part.archive.read_bytes())}
            files["csv"] = ("a.csv", part.csv.read_bytes())
            body = new.post("/v1/imports", files=files).json()
            assert new.runtime.jobs.wait(body["job"]["id"], timeout_s=60).status == "succeeded"
    assert compreface.findings.left_out == {}
    listed = [s["external_id"] for s in new.get("/v1/subjects").json()["subjects"]]
    assert sorted(listed) == ["Ada", "Bob/Junior", "__MACOSX"]
    assert new.runtime.default.gallery.template_count == 6
    for seed, name in enumerate(("Ada", "Bob/Junior", "__MACOSX")):
        assert new.who(face_photo(Face(seed, noise=8))) == name


def test_a_compreface_that_is_busy_for_a_moment_is_asked_again() -> None:
    stand_in = StandIn({"Ada": {new_id(): b"x"}})
    with running(stand_in) as url:
        stand_in.before = lambda path, params: (
            (503, b"busy") if stand_in.asked.count(path) < 3 and "img" in path else None
        )
        found, _ = read(url)
        assert len(found) == 1
        stand_in.before = lambda path, params: (502, b"<html>bad") if "img" in path else None
        with pytest.raises(MigrationError, match="answers 502: <html>bad"):
            read(url)


def test_pages_that_overlap_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAGE_SIZE", 2)
    ids = [new_id() for _ in range(3)]
    stand_in = StandIn({"Ada": dict.fromkeys(ids, b"x")})

    def overlapping(path: str, params: dict[str, str]) -> Answer | None:
        if not path.endswith("/faces") or "subject" not in params:
            return None
        faces = [{"image_id": i, "subject": "Ada"} for i in ids[:2]]
        return 200, json.dumps({"faces": faces, "total_pages": 2, "total_elements": 3}).encode()

    stand_in.before = overlapping
    with running(stand_in) as url, pytest.raises(MigrationError, match=r"lists 3 images .*names 2"):
        read(url)


def test_a_compreface_that_lists_no_single_subject_is_refused() -> None:
    stand_in = StandIn({"Ada": {new_id(): b"x"}, "Bob": {new_id(): b"y"}})
    with running(stand_in) as url:
        everybody = json.dumps(stand_in.everybody()).encode()
        stand_in.before = lambda path, params: (200, everybody) if "subject" in params else None
        with pytest.raises(MigrationError, match=r"older than 1\.0.*from a dump"):
            read(url)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "sends no JSON"),
        (b"[]", "sends no JSON"),
        (b"{}", "does not list subjects"),
        (b'{"subjects": [1]}', "does not list subjects"),
    ],
)
def test_what_is_no_compreface_is_said_to_be_none(body: bytes, words: str) -> None:
    stand_in = StandIn({})
    stand_in.before = lambda path, params: (200, body)
    with running(stand_in) as url, pytest.raises(MigrationError, match=words):
        read(url)


WHOLE = {"total_pages": 1, "total_elements": 1}
STRANGE = (
    {},
    {**WHOLE, "total_pages": "x", "faces": []},
    {**WHOLE, "faces": 5},
    {**WHOLE, "faces": [1]},
    {**WHOLE, "faces": [{"subject": "Ada"}]},
    {**WHOLE, "faces": [{"subject": "Ada", "image_id": 1}]},
    {**WHOLE, "faces": [{"subject": "Ada", "image_id": "../subjects"}]},
)


def test_listings_of_a_strange_form_are_refused() -> None:
    stand_in = StandIn({"Ada": {new_id(): b"x"}})
    with running(stand_in) as url:
        for strange in STRANGE:
            body = json.dumps(strange).encode()
            stand_in.before = lambda path, params, body=body: (  # type: ignore[misc]
                (200, body) if "subject" in params else None
            )
            with pytest.raises(MigrationError, match="does not list faces as"):
                read(url)


def test_a_key_that_is_none_is_said_in_compreface_s_words() -> None:
    with running(StandIn({})) as url:
        with pytest.raises(MigrationError, match="answers 404: Model with api key … not found"):
            read(url, key=new_id())
        with pytest.raises(MigrationError, match="ONEGLANCE_COMPREFACE_KEY"):
            read(url, key=None)
        with pytest.raises(MigrationError, match="leave --compreface-service out"):
            read_with_service(url)
        with pytest.raises(MigrationError, match="characters that neither can have") as caught:
            read(url, key="schlüssel")
        assert "schl" not in str(caught.value)
    with pytest.raises(MigrationError, match="does not answer"):
        read(url)
    with pytest.raises(MigrationError, match="characters that neither can have"):
        read("http://compreface:port")


def read_with_service(url: str) -> None:
    with open_source(url, key=KEY, service="staff"):
        pass


def test_an_image_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "IMAGE_BYTES_MAX", 1 << 20)
    stand_in = StandIn({"Ada": {new_id(): b"x" * ((1 << 20) + 1)}})
    with running(stand_in) as url, pytest.raises(MigrationError, match="more than 1 MiB"):
        read(url)
