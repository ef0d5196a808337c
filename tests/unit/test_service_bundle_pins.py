"""Which models are run: the shipped ones, and of other folders the one that was pinned."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from contract.bundle import load_bundle
from contract.errors import BundlePinError
from service import cli
from service.bundle_pins import SHIPPED_SHA256S, load_pinned
from service.doctor.bundles import check_bundles
from service.served_bundles import load_served
from service.settings import SHIPPED_BUNDLE, Settings


@pytest.fixture
def folder(tmp_path: Path, tiny_bundle: Path) -> Path:
    """A bundle of one's own."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "mine"))


@pytest.fixture
def settings(tmp_path: Path, folder: Path, no_settings: pytest.MonkeyPatch) -> Settings:
    return Settings(
        bundle_path=folder,
        gallery=str(tmp_path / "data" / "gallery.sqlite3"),
        bundle_pins_path=None,
    )


def replace(folder: Path, by: Path) -> None:
    """Put another bundle, whole and in itself right, into a folder."""
    shutil.rmtree(folder)
    shutil.copytree(by, folder)


def test_the_shipped_models_are_those_that_are_pinned_in_the_code() -> None:
    folders = sorted(path for path in SHIPPED_BUNDLE.parent.iterdir() if path.is_dir())
    found = {path.name: load_bundle(path).sha256 for path in folders}
    assert found == SHIPPED_SHA256S


def test_a_shipped_model_needs_no_file_of_pins(settings: Settings) -> None:
    shipped = SHIPPED_BUNDLE.parent / "oneglance-faces-resnet"
    assert load_pinned(shipped, settings).manifest.name == "oneglance-faces-resnet"
    assert not settings.bundle_pins_file.exists()


def test_the_first_model_of_a_folder_is_noted_and_said(
    settings: Settings, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        bundle = load_pinned(folder, settings)
    assert bundle.sha256 in caplog.text
    assert settings.bundle_pins_file == Path(settings.gallery).parent / "bundle-pins.json"
    pins = json.loads(settings.bundle_pins_file.read_text())["pins"]
    assert pins == {str(folder.resolve()): bundle.sha256}
    caplog.clear()
    assert load_pinned(folder, settings).sha256 == bundle.sha256
    assert not caplog.text


def test_another_model_is_refused_with_its_manifest_and_never_run(
    settings: Settings, folder: Path, next_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_pinned(folder, settings)
    replace(folder, next_bundle)

    def run(*_: object, **__: object) -> None:
        raise AssertionError("a model was run that is not pinned")

    monkeypatch.setattr("service.served_bundles.make_embedder", run)
    monkeypatch.setattr("service.doctor.bundles.make_embedder", run)
    with pytest.raises(BundlePinError, match="oneglance bundles pin"):
        load_served(settings)
    usable, findings = check_bundles(settings)
    assert not usable
    assert [finding.level for finding in findings] == ["fail"]


def test_the_doctor_pins_nothing(settings: Settings, folder: Path) -> None:
    load_pinned(folder, settings, pins_new=False)
    assert not settings.bundle_pins_file.exists()


def test_what_is_pinned_by_the_command_is_run(
    settings: Settings, folder: Path, next_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_pinned(folder, settings)
    replace(folder, next_bundle)
    assert cli.main(["bundles", "pin", str(folder), "--gallery", settings.gallery]) == 0
    assert load_bundle(folder).sha256 in capsys.readouterr().out
    assert load_pinned(folder, settings).sha256 == load_bundle(next_bundle).sha256


def test_folders_are_pinned_apart(settings: Settings, folder: Path, next_bundle: Path) -> None:
    first, second = load_pinned(folder, settings), load_pinned(next_bundle, settings)
    pins = json.loads(settings.bundle_pins_file.read_text())["pins"]
    assert sorted(pins.values()) == sorted([first.sha256, second.sha256])


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "other", "pins": {}}', "\xff"])
def test_a_file_of_pins_that_cannot_be_read_lets_nothing_in(
    settings: Settings, folder: Path, text: str
) -> None:
    settings.bundle_pins_file.parent.mkdir()
    settings.bundle_pins_file.write_bytes(text.encode("latin-1"))
    with pytest.raises(BundlePinError, match="cannot be read"):
        load_pinned(folder, settings)


def test_where_nothing_can_be_noted_nothing_is_run(
    settings: Settings, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    shut = settings.model_copy(update={"bundle_pins_path": tmp_path / "file" / "pins.json"})
    with pytest.raises(BundlePinError, match="bundle_pins_path"):
        load_pinned(folder, shut)
