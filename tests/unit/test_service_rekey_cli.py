"""`oneglance gallery rekey`, `oneglance collections rekey` and what `doctor` says of secrets."""

import json
from pathlib import Path

import pytest

from index.gallery import Gallery
from index.protection.secrets import GallerySecrets
from service import cli
from tests.commands import all_through, runner
from tests.conftest import ApiMaker, face_photo
from tests.protected import FACES, answers, assert_same_answers, enrol_all, faces

PEOPLE = faces(20)


@pytest.fixture
def path(tmp_path: Path, no_settings: pytest.MonkeyPatch) -> Path:
    """A gallery file of before: not protected."""
    found = tmp_path / "g.sqlite3"
    with Gallery.open(found, FACES) as gallery:
        enrol_all(gallery, PEOPLE)
    no_settings.setenv("ONEGLANCE_GALLERY", str(found))
    return found


@pytest.fixture
def beside(path: Path) -> GallerySecrets:
    return GallerySecrets(path.with_name("g.sqlite3.secret"))


def test_a_stopped_gallery_is_protected_and_re_keyed(
    path: Path, beside: GallerySecrets, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(capsys)
    with Gallery.open(path) as gallery:
        expected = answers(gallery, PEOPLE)
    (line,) = run("gallery", "rekey")
    (first,) = beside.ids()
    assert line == (
        f"default is protected by the secret {first}: keep a copy of it apart from the database"
    )
    (line,) = run("gallery", "rekey")
    assert line == f"default is protected by the secret {first}, with a new salt"
    (line,) = run("gallery", "rekey", "--new-secret")
    second, former = beside.ids()
    assert former == first
    assert line.startswith(f"default is protected by the secret {second}; nothing in this gallery")
    assert first in line
    with Gallery.open(path) as gallery:
        assert_same_answers(answers(gallery, PEOPLE), expected)


def test_its_file_may_be_elsewhere(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(capsys)
    elsewhere = tmp_path / "apart" / "it.secret"
    run("gallery", "rekey", "--gallery-secret-file", elsewhere)
    assert elsewhere.exists()
    (line,) = run("gallery", "list", fails=True)
    assert "was protected by the secret" in line
    assert str(path.with_name("g.sqlite3.secret")) in line
    assert len(run("gallery", "list", "--gallery-secret-file", elsewhere)) == 10


def test_a_running_service_re_keys(
    make_api: ApiMaker, no_settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = make_api()
    run = runner(capsys)
    all_through(api, no_settings)
    assert api.enroll(face_photo(1), subject_id="ann").status_code == 201
    (first,) = api.runtime.settings.secrets.ids()
    assert run("collections", "rekey", "default") == [
        f"default is protected by the secret {first}, with a new salt"
    ]
    (line,) = run("collections", "rekey", "default", "--new-secret", "--json")
    second = api.runtime.settings.secrets.ids()[0]
    assert json.loads(line) == {
        "secret_id": second,
        "former_secret_id": first,
        "former_in_use": False,
        "row_key_id": None,
    }


def test_other_collections_that_need_the_former_secret_are_told(
    make_api: ApiMaker, no_settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = make_api()
    all_through(api, no_settings)
    assert api.post("/v1/collections", json={"id": "other"}).status_code == 201
    (line,) = runner(capsys)("collections", "rekey", "other", "--new-secret")
    assert "other collections still need" in line


def test_rows_are_encrypted_by_a_key_that_a_command_names(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(capsys)
    key = tmp_path / "row.key"
    (line,) = run("gallery", "rekey", "--row-key-file", key)
    (first,) = GallerySecrets(key).ids()
    assert f"its rows are encrypted by the key {first}" in line
    (line,) = run("gallery", "rekey", "--row-key-file", key, "--new-row-key")
    assert f"its rows are encrypted by the key {GallerySecrets(key).ids()[0]}" in line
    (line,) = run("gallery", "rekey", fails=True)
    assert "name its file by row_key_file" in line
    assert run("gallery", "verify", "--row-key-file", key)


def doctor_says(capsys: pytest.CaptureFixture[str], tiny_bundle: Path) -> list[tuple[str, str]]:
    """Level and detail of what it found about secrets."""
    cli.main(["doctor", "--json", "--bundle-path", str(tiny_bundle), "--url", "http://127.0.0.1:1"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(f["level"], f["detail"]) for f in found if f["check"] == "secret"]


def test_doctor_tells_whether_there_is_a_secret_and_whether_it_is_safe(
    path: Path,
    beside: GallerySecrets,
    tiny_bundle: Path,
    no_settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ((level, detail),) = doctor_says(capsys, tiny_bundle)
    assert level == "warn"
    assert "not protected" in detail
    assert "oneglance collections rekey default" in detail
    runner(capsys)("gallery", "rekey")
    ((level, detail),) = doctor_says(capsys, tiny_bundle)
    assert (level, beside.current() in detail) == ("ok", True)
    no_settings.setenv("ONEGLANCE_ROW_KEY_FILE", str(path.with_name("row.key")))
    (_, (level, detail)) = doctor_says(capsys, tiny_bundle)
    assert (level, detail.split()[0]) == ("warn", "30")  # 20 embeddings and 10 pictures.
    runner(capsys)("gallery", "rekey")
    (_, (level, detail)) = doctor_says(capsys, tiny_bundle)
    assert (level, "are encrypted" in detail) == ("ok", True)
    beside.path.chmod(0o644)
    (_, (level, detail), _) = doctor_says(capsys, tiny_bundle)
    assert (level, "chmod 600" in detail) == ("warn", True)
    beside.path.chmod(0o600)
    no_settings.setenv("ONEGLANCE_ROW_KEY_FILE", str(path.with_name("lost.key")))
    (_, (level, _)) = doctor_says(capsys, tiny_bundle)
    assert level == "warn"
    # Nothing is changed by a look.
    assert not path.with_name("lost.key").exists()
    no_settings.delenv("ONEGLANCE_ROW_KEY_FILE")
    beside.path.chmod(0o644)
    (_, (level, detail)) = doctor_says(capsys, tiny_bundle)
    assert level == "warn"
    assert "chmod 600" in detail
    beside.path.rename(beside.path.with_name("lost"))
    ((level, detail),) = doctor_says(capsys, tiny_bundle)
    assert level == "fail"
    assert str(beside.path) in detail
    assert not beside.path.exists()
