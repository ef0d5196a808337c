"""Export in blocks, and going on after an interruption."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from contract.errors import GalleryError
from index.gallery import Gallery
from index.portable import exporting, reading
from index.portable.exporting import export_collection
from index.portable.importing import import_file
from tests.conftest import UNIT
from tests.portable import export, file_gallery, imported, state_of


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three subjects, blocks of two templates."""
    monkeypatch.setattr(reading, "PAGE_SUBJECTS", 3)
    monkeypatch.setattr(exporting, "_BLOCK_BYTES", 2 * 16)


def enroll_many(gallery: Gallery, count: int) -> None:
    for i in range(count):
        gallery.enroll(UNIT[: 1 + i % 2], subject_id=f"s{i}", crops=[b"x"] * (1 + i % 2))


@pytest.mark.usefixtures("small_blocks")
def test_blocks_and_pages_hold_everybody_once(gallery: Gallery, tmp_path: Path) -> None:
    enroll_many(gallery, 10)
    told = export(gallery, tmp_path / "x")
    assert (told.subjects, told.templates) == (10, 15)
    assert told.blocks > 4
    with file_gallery(tmp_path) as other:
        imported(other, tmp_path / "x")
        assert state_of(other) == state_of(gallery)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("torn", [0, 1, 30])
def test_an_interrupted_export_goes_on(gallery: Gallery, tmp_path: Path, torn: int) -> None:
    enroll_many(gallery, 7)
    whole = export(gallery, tmp_path / "whole")
    for stop in range(whole.blocks + 1):
        path, part = tmp_path / f"{stop}", tmp_path / f"{stop}.part"
        running = export_collection(gallery, path)
        for _ in range(stop + 1):
            told = next(running)
        running.close()
        assert not path.exists()
        part.write_bytes(part.read_bytes() + b"torn tail of a block here"[:torn])
        ended = export(gallery, path)
        assert (ended.kept, ended.subjects) == (told.subjects, 7)
        assert not part.exists()
        # The header, with its time, is the first run's.
        body = path.read_bytes().partition(b"\n")[2]
        assert body[:-300] == (tmp_path / "whole").read_bytes().partition(b"\n")[2][:-300]
        with file_gallery(tmp_path, f"{stop}.db") as other:
            imported(other, path)
            assert state_of(other) == state_of(gallery)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("change", ["removed", "template", "amended", "expired", "crop"])
def test_what_was_exported_and_changed_since_is_exported_anew(
    gallery: Gallery, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.enroll(UNIT[:1], subject_id="gone", expires_at="2090-01-01T00:00:00Z")
    enroll_many(gallery, 5)
    running = export_collection(gallery, tmp_path / "x", crops=change != "crop")
    for _ in range(3):
        next(running)
    running.close()
    assert b'"gone"' in (tmp_path / "x.part").read_bytes()
    match change:
        case "removed":
            gallery.remove_subject("gone")
        case "template":
            gallery.remove_template(gallery.templates("gone")[0].id)
        case "amended":
            gallery.update_subject("gone", name="Now")
        case "expired":
            gallery.update_subject("gone", expires_at="2020-01-01T00:00:00Z")
    assert export(gallery, tmp_path / "x").kept == 0
    assert (b'"gone"' in (tmp_path / "x").read_bytes()) == (change not in ("removed", "expired"))
    alive = [s for s in state_of(gallery) if change != "expired" or s[0].id != "gone"]
    with file_gallery(tmp_path) as other:
        imported(other, tmp_path / "x")
        assert state_of(other) == alive


@pytest.mark.usefixtures("small_blocks")
def test_what_was_enrolled_since_is_in_a_resumed_export(gallery: Gallery, tmp_path: Path) -> None:
    enroll_many(gallery, 5)
    running = export_collection(gallery, tmp_path / "x")
    for _ in range(3):
        next(running)
    running.close()
    gallery.enroll(UNIT[:1], subject_id="late")
    ended = export(gallery, tmp_path / "x")
    assert (ended.kept > 0, ended.subjects) == (True, 6)


@pytest.mark.usefixtures("small_blocks")
def test_an_interrupted_import_goes_on(gallery: Gallery, tmp_path: Path) -> None:
    enroll_many(gallery, 6)
    blocks = export(gallery, tmp_path / "x").blocks
    with file_gallery(tmp_path) as other:
        for stop in range(blocks):
            running = import_file(other, tmp_path / "x")
            done = [next(running) for _ in range(stop + 1)]
            running.close()
            assert [{i.outcome for i in block.results} for block in done] == [
                *[{"unchanged"}] * stop,
                {"new"},
            ]
        assert state_of(other) == state_of(gallery)


def test_a_re_embedded_replica_does_not_export(gallery: Gallery, tmp_path: Path) -> None:
    enroll_many(gallery, 1)

    def elsewhere(scope: Any) -> Any:
        collection = dataclasses.replace(scope.collection, contract_number=99)
        return reading._describe(dataclasses.replace(scope, collection=collection), 0, crops=True)

    with pytest.raises(GalleryError, match="re-embedded meanwhile"):
        gallery.read(elsewhere)
