"""A dump of CompreFace's database: the photos in it, sent to the service under the same names."""

import gzip
import json
import tracemalloc
import uuid
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.postgres_server import PostgresServer
from service.compreface.migration import parts
from service.compreface.migration.error import MigrationError
from service.compreface.migration.photo import CompreFace
from service.compreface.migration.source import open_source
from tests.compreface_database import DEMO_KEY, ComprefaceDatabase
from tests.conftest import Api, Face, face_photo
from tests.unit.compreface_migration.conftest import NAMES, Made, check, new_id, photos_of


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--data-only",),
        ("--quote-all-identifiers",),
        ("--clean", "--if-exists", "--create", "--no-owner"),
        ("--table=app", "--table=model", "--table=subject", "--table=img", "--table=embedding"),
        ("--format=custom",),
        ("--format=custom", "--compress=0"),
        ("--format=tar",),
        ("--format=directory",),
    ],
    ids=" ".join,
)
def test_every_dump_of_postgresql_gives_back_what_was_put_in(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    postgres_server: PostgresServer, options: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.setenv("PATH", str(postgres_server.programs))
    check(made, made.database.dump(tmp_path / "dump", *options))


def test_the_older_spelling_of_bytes_is_read(made: Made, tmp_path: Path) -> None:
    made.database.set_option("bytea_output", "escape")
    try:
        dump = made.database.dump(tmp_path / "dump.sql")
    finally:
        made.database.set_option("bytea_output", "hex")
    assert b"\\000\\\\001" in dump.read_bytes()
    check(made, dump)


def test_gzip_and_the_line_ends_of_windows_are_read(
    made: Made, plain: bytes, tmp_path: Path
) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_bytes(gzip.compress(plain))
    check(made, dump)
    dump.write_bytes(plain.replace(b"\n", b"\r\n"))
    check(made, dump)


def test_an_image_of_two_embeddings_comes_under_both_ids(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    database = ComprefaceDatabase(postgres_server)
    key = database.add_service("staff", "Door")
    first, second = sorted([new_id(), new_id()])
    database.add_subject(key, "Ada", {first: face_photo(1)})
    database.add_embedding(second, of=first)
    photos, _ = photos_of(database.dump(tmp_path / "dump.sql"))
    assert [(p.subject, p.image_id) for p in photos] == [("Ada", first), ("Ada", second)]


def test_of_several_services_one_must_be_chosen(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    database = ComprefaceDatabase(postgres_server)
    keys = {
        (name, application): database.add_service(name, application)
        for name, application in (("staff", "Door"), ("staff", "Gate"), ("guests", "Door"))
    }
    for (name, application), key in keys.items():
        database.add_subject(key, f"{name} of {application}", {new_id(): face_photo(1)})
    dump = database.dump(tmp_path / "dump.sql")

    with pytest.raises(MigrationError, match="several recognition services") as caught:
        photos_of(dump)
    words = str(caught.value)
    assert "Door/staff (1 subjects, 1 of 1 images saved)" in words
    assert "Demo_application/Demo (1 subjects, 0 of 1 images saved)" in words
    # Keys are secrets, and neither detection nor verification has faces.
    assert not any(key in words for key in (*keys.values(), DEMO_KEY))
    assert "Detection" not in words

    for wanted, subject in {
        "guests": "guests of Door",
        "Gate/staff": "staff of Gate",
        keys["staff", "Door"]: "staff of Door",
    }.items():
        photos, findings = photos_of(dump, service=wanted)
        assert [p.subject for p in photos] == [subject]
        assert findings.left_out == {}
    # The key is known by a variable that goes for a running CompreFace, too.
    with open_source(str(dump), key=keys["guests", "Door"], service=None) as compreface:
        assert compreface.findings.where == "CompreFace Door/guests"
    with pytest.raises(MigrationError, match="Several recognition services are called so"):
        photos_of(dump, service="staff")
    for wrong in ("nobody", new_id(), "Detection_Demo"):
        with pytest.raises(MigrationError, match="no recognition service of that name") as caught:
            photos_of(dump, service=wrong)
        assert wrong not in str(caught.value)


def test_a_compreface_that_saves_no_images_is_told_so(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    database = ComprefaceDatabase(postgres_server)
    key = database.add_service("staff", "Door")
    ids = [new_id() for _ in range(30)]
    for number, image_id in enumerate(ids):
        database.add_subject(key, f"subject {number:02}", {image_id: None})
    dump = database.dump(tmp_path / "dump.sql")
    with open_source(str(dump), key=None, service="staff") as compreface:
        assert list(parts.parts(compreface, lambda done, total: None)) == []
        summary, left_out = compreface.findings.words()
        lines = compreface.findings.report_lines()
    assert summary == "CompreFace Door/staff: 30 subjects, 0 photos"
    assert left_out.startswith(
        "left out: 30 photos of 30 subjects, which CompreFace has not saved "
        "(save_images_to_db=false): subject 00 (1), "
    )
    assert "cannot be taken over" in left_out
    assert "subject 19 (1), and 10 more" in left_out
    assert [line["image_ids"] for line in lines] == [[image_id] for image_id in ids]
    assert {(line["outcome"], *line["reasons"]) for line in lines} == {
        ("left_out", "image_not_saved")
    }
    assert compreface.findings.as_dict()["left_out"] == lines


def sent(api: Api, compreface: CompreFace) -> list[dict[str, Any]]:
    """Every part through POST /v1/imports; lines of all reports."""
    lines: list[dict[str, Any]] = []
    for part in parts.parts(compreface, lambda done, total: None):
        files = {"archive": ("part.zip", part.archive.read_bytes())}
        files["csv"] = ("part.csv", part.csv.read_bytes())
        body = api.post("/v1/imports", files=files).json()
        job = api.runtime.jobs.wait(body["job"]["id"], timeout_s=60)
        assert job.status == "succeeded", job.error
        report = api.get(f"/v1/imports/{body['import_id']}/report").text.splitlines()
        assert len(report) == part.photos
        lines += map(json.loads, report)
    return lines


def recognized(api: Api, photo: bytes) -> str:
    answer = api.post(
        "/api/v1/recognition/recognize",
        headers={"x-api-key": "any"},
        files={"file": ("photo.png", photo)},
    )
    (face,) = answer.json()["result"]
    return str(face["subjects"][0]["subject"])


def test_who_was_in_the_dump_is_recognized_under_the_same_name(
    api: Api, made: Made, plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_PHOTOS", 9)
    dump = tmp_path / "dump.sql"
    dump.write_bytes(plain)
    for _ in range(2):
        with open_source(str(dump), key=None, service=None) as compreface:
            lines = sent(api, compreface)
        assert Counter(line["outcome"] for line in lines) == {
            "enrolled": len(made.saved) - 1,
            "rejected": 1,
        }
    (rejected,) = (line for line in lines if line["outcome"] == "rejected")
    assert rejected["path"] == f"bytes/{next(iter(made.photos['bytes']))}"
    for seed, name in enumerate(NAMES):
        assert recognized(api, face_photo(Face(seed, noise=8))) == name
    # An image has the id here that it had there.
    templates = defaultdict(set)
    for line in lines:
        if line["template_id"] is not None:
            templates[line["path"].rpartition("/")[2]].add(line["template_id"])
    saved = {image_id for subject, image_id, _ in made.saved if subject != "bytes"}
    assert templates == {image_id: {uuid.UUID(image_id).hex} for image_id in saved}
    faces = api.get("/api/v1/recognition/faces?size=100", headers={"x-api-key": "any"}).json()
    assert {face["image_id"] for face in faces["faces"]} == saved
    named = {s["external_id"]: s for s in api.get("/v1/subjects?limit=100").json()["subjects"]}
    assert named.keys() == {*NAMES, "half"}
    assert all(s["name"] == s["external_id"] for s in named.values())
    path = "/api/v1/recognition/subjects"
    answer = api.get(path, headers={"x-api-key": "any"})
    assert set(answer.json()["subjects"]) == {*NAMES, "half"}


def test_parts_are_small_alike_and_gone_afterwards(
    made: Made, plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(parts, "PART_PHOTOS", 7)
    dump = tmp_path / "dump.sql"
    dump.write_bytes(plain)
    seen: list[list[bytes]] = []
    told: list[tuple[int, int]] = []
    for _ in range(2):
        seen.append([])
        with open_source(str(dump), key=None, service=None) as compreface:
            for part in parts.parts(compreface, lambda done, total: told.append((done, total))):
                assert 1 <= part.photos <= 7
                folder = part.archive.parent
                assert folder.stat().st_mode & 0o777 == 0o700
                assert {p for p in folder.iterdir() if p.suffix == ".zip"} == {part.archive}
                seen[-1].append(part.archive.read_bytes() + part.csv.read_bytes())
    assert seen[0] == seen[1]
    assert len(seen[0]) == -(-len(made.saved) // 7)
    assert list(tmp_path.iterdir()) == [dump]
    images = sum(map(len, made.photos.values()))
    assert {total for _, total in told} == {images}
    assert [done for done, _ in told] == sorted([d for d, _ in told[: len(told) // 2]]) * 2
    assert told[-1][0] <= images

    monkeypatch.setattr(parts, "PART_BYTES", 1)
    with open_source(str(dump), key=None, service=None) as compreface:
        assert {p.photos for p in parts.parts(compreface, lambda done, total: None)} == {1}
    with pytest.raises(InterruptedError):
        _stop_at_the_first_part(dump)
    assert list(tmp_path.iterdir()) == [dump]


def _stop_at_the_first_part(dump: Path) -> None:
    with open_source(str(dump), key=None, service=None) as compreface:
        for _ in parts.parts(compreface, lambda done, total: None):
            raise InterruptedError


def test_no_room_for_a_part_is_said(
    made: Made, plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    dump = tmp_path / "dump.sql"
    dump.write_bytes(plain)
    monkeypatch.setattr("zipfile.ZipFile.writestr", full)
    with (
        open_source(str(dump), key=None, service=None) as compreface,
        pytest.raises(MigrationError, match=r"No space left on device.*TMPDIR"),
    ):
        list(parts.parts(compreface, lambda done, total: None))


def test_only_a_row_of_a_dump_is_in_memory(tmp_path: Path) -> None:
    megabytes, subject = 40, new_id()
    ids = [(new_id(), new_id()) for _ in range(megabytes)]
    dump = tmp_path / "dump.sql.gz"
    with gzip.open(dump, "wb", compresslevel=1) as file:
        file.write(b"COPY public.embedding (id, subject_id, img_id) FROM stdin;\n")
        file.writelines(f"{a}\t{subject}\t{b}\n".encode() for a, b in ids)
        file.write(b"\\.\nCOPY public.img (id, content) FROM stdin;\n")
        for number, (_, image) in enumerate(ids):
            file.write(f"{image}\t\\\\x{(b'%04d' % number).hex()}".encode())
            file.write(b"41" * (1 << 20) + b"\n")
        file.write(b"\\.\nCOPY public.model (api_key, name, type, app_id) FROM stdin;\n")
        file.write(b"k\tstaff\tR\t0\n\\.\n")
        file.write(b"COPY public.subject (id, api_key, subject_name) FROM stdin;\n")
        file.write(f"{subject}\tk\tAda\n\\.\n".encode())
    tracemalloc.start()
    try:
        with open_source(str(dump), key=None, service=None) as compreface:
            seen = [int(p.data[:4]) for p in compreface.photos() if len(p.data) == 4 + (1 << 20)]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == list(range(megabytes))
    assert most < 16 << 20
