"""`oneglance export`: a file that another gallery reads, whole or not at all."""

import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from index.gallery import Gallery
from index.portable.importing import import_file
from tests.conftest import Api, face_photo
from tests.unit.test_service_cli_import import Run, Through, oneglance, through

__all__ = ["oneglance", "through"]


@pytest.mark.parametrize("crops", [True, False])
def test_the_file_is_the_collection(oneglance: Run, api: Api, tmp_path: Path, crops: bool) -> None:
    assert api.post("/v1/collections", json={"id": "staff"}).status_code == 201
    api.enroll(face_photo(1), subject_id="ada", collection="staff", store_image="crop")
    api.enroll(face_photo(2), subject_id="bob")
    out = tmp_path / "staff.oneglance"
    more = [] if crops else ["--no-crops"]
    (line,) = oneglance("export", "--collection", "staff", "--out", out, *more)
    assert line == f"{out}: 1 subjects, 1 templates, {out.stat().st_size} bytes"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    source = api.runtime.collections.of("staff").gallery
    target = Gallery.open(tmp_path / "other.db", source.contract)
    try:
        list(import_file(target, out))
        assert target.subjects(limit=9) == source.subjects(limit=9)
        (template,) = target.templates("ada")
        assert template.has_crop is crops
    finally:
        target.close()


def test_json_is_the_result_and_the_file(oneglance: Run, api: Api, tmp_path: Path) -> None:
    out = tmp_path / "x"
    (line,) = oneglance("export", "--out", out, "--json")
    answer = json.loads(line)
    assert (answer["file"], answer["bytes"]) == (str(out), out.stat().st_size)
    assert (answer["subject_count"], answer["template_count"]) == (0, 0)


def test_a_file_that_is_there_is_overwritten_only_when_asked_for(
    oneglance: Run, api: Api, through: Through, tmp_path: Path
) -> None:
    out = tmp_path / "x"
    out.write_text("mine")
    (line,) = oneglance("export", "--out", out, fails=True)
    assert "--replace" in line
    assert out.read_text() == "mine"
    assert through.requests == []
    (line,) = oneglance("export", "--out", tmp_path / "nowhere" / "x", fails=True)
    assert "There is no folder" in line
    (line,) = oneglance("export", "--out", tmp_path, "--replace", fails=True)
    assert "is a folder" in line
    oneglance("export", "--out", out, "--replace")
    assert out.read_bytes() != b"mine"


def test_a_file_that_appears_meanwhile_is_kept(
    oneglance: Run, api: Api, through: Through, tmp_path: Path
) -> None:
    out = tmp_path / "x"

    def instead(request: httpx.Request) -> None:
        if request.url.path.endswith("/file"):
            out.write_text("mine")

    through.instead = instead
    (line,) = oneglance("export", "--out", out, fails=True)
    assert "--replace" in line
    assert out.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_download_that_breaks_off_leaves_nothing(
    oneglance: Run, api: Api, through: Through, tmp_path: Path, how: str
) -> None:
    class Cut(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            yield b"half"
            raise httpx.ReadError("the line was cut")

    def instead(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/file"):
            return None
        return httpx.Response(200, stream=Cut()) if how == "cut" else httpx.Response(404)

    through.instead = instead
    out = tmp_path / "x"
    (line,) = oneglance("export", "--out", out, fails=True)
    assert ("give the same command again" if how == "cut" else "404 not_found") in line
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_collection_that_is_not_there(oneglance: Run, api: Api, tmp_path: Path) -> None:
    out = tmp_path / "x"
    (line,) = oneglance("export", "--collection", "nowhere", "--out", out, fails=True)
    assert "404 collection_not_found" in line
    assert not out.exists()
