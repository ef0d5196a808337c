"""`oneglance serve`: what it starts, and that it refuses to start in one line and with status 1."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.bundle import MANIFEST_NAME, load_bundle
from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery
from service import cli, graceful_server
from service.ending import EndingError
from service.settings import Settings
from tests.conftest import BundleMaker

LIMIT_S = 120


@pytest.fixture
def options(
    tmp_path: Path, tiny_bundle: Path, no_settings: pytest.MonkeyPatch
) -> dict[str, object]:
    """Options of a service that could start; its server must not be reached."""

    def run(*_: object, **__: object) -> None:
        raise AssertionError("It started.")

    no_settings.setattr(graceful_server, "serve", run)
    return {
        "--bundle-path": tiny_bundle,
        "--gallery": tmp_path / "gallery.sqlite3",
        "--device": "cpu",
    }


def words(options: dict[str, object]) -> list[str]:
    return ["serve", *(str(word) for pair in options.items() for word in pair)]


def refusal(options: dict[str, object], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which `serve` refuses these options."""
    assert cli.main(words(options)) == 1
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("oneglance: ")
    return line


def damaged(bundle: Path, folder: Path) -> Path:
    """The bundle with one bit of its model turned over."""
    shutil.copytree(bundle, folder)
    data = bytearray((folder / "model.ts").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.ts").write_bytes(data)
    return folder


def test_serve_starts_the_service_where_it_was_told(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, int]] = []

    def run(app: Any, settings: Settings, *, told: Callable[[], None]) -> int:
        runtime = app.state.runtime
        assert runtime.default.bundle.bundle.manifest.name == "tiny"
        assert runtime.default.gallery.subject_count == 0
        runtime.check()
        told()
        with pytest.raises(EndingError):
            runtime.check()
        runtime.close()
        started.append((settings.host, settings.port))
        return 0

    monkeypatch.setattr(graceful_server, "serve", run)
    assert cli.main(words(options | {"--host": "::1", "--port": 1234})) == 0
    assert started == [("::1", 1234)]
    assert options["--gallery"].is_file()


def test_a_missing_bundle(
    options: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(options | {"--bundle-path": tmp_path / "none"}, capsys)
    assert str(tmp_path / "none" / MANIFEST_NAME) in line
    assert "oneglance-train export" in line
    assert not (tmp_path / "gallery.sqlite3").exists()


def test_a_manifest_that_is_none(
    options: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / MANIFEST_NAME).write_text("{}")
    assert "is not a manifest" in refusal(options | {"--bundle-path": tmp_path}, capsys)


def test_a_model_of_another_hash(
    options: dict[str, object],
    tiny_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = refusal(options | {"--bundle-path": damaged(tiny_bundle, tmp_path / "b")}, capsys)
    assert str(tmp_path / "b" / "model.ts") in line
    assert load_bundle(tiny_bundle).sha256 in line
    assert "export it anew" in line


def test_a_bundle_of_whole_images_that_does_not_say_its_fit(
    options: dict[str, object],
    tiny_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "b")
    values = json.loads((tmp_path / "b" / "manifest.json").read_text())
    del values["origin"], values["limits"], values["input"]["fit"]
    values["format_version"], values["input"]["alignment"] = 2, "none"
    (tmp_path / "b" / "manifest.json").write_text(json.dumps(values))
    line = refusal(options | {"--bundle-path": tmp_path / "b"}, capsys)
    assert "does not say how whole images become" in line
    assert "export it again" in line


def test_a_gallery_of_another_bundle(
    options: dict[str, object],
    make_bundle: BundleMaker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Gallery.open(
        tmp_path / "gallery.sqlite3", load_bundle(make_bundle(drift=1.0)).manifest.contract
    ).close()
    line = refusal(options, capsys)
    assert "Start with the bundle that the gallery was built with" in line


def test_a_gallery_that_another_process_holds(
    options: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import sys; from pathlib import Path; from index.lock import ProcessLock;"
        "lock = ProcessLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "gallery.sqlite3")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        line = refusal(options, capsys)
        assert holder.stdin is not None
        holder.stdin.close()
    assert "another process" in line
    assert str(tmp_path / "gallery.sqlite3") in line


def test_a_gallery_that_is_none(
    options: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gallery.sqlite3").write_text("This is a letter, not a gallery. " * 200)
    assert str(tmp_path / "gallery.sqlite3") in refusal(options, capsys)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--port", "65536"), ("--port", "many"), ("--device", "tpu"), ("--worker-threads", "0")],
)
def test_a_setting_that_cannot_be(
    options: dict[str, object], option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(options | {option: value}, capsys)
    assert line.startswith(f"oneglance: setting {option[2:].replace('-', '_')}: ")


def test_a_device_that_is_not_there(
    options: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "no CUDA device" in refusal(options | {"--device": "cuda"}, capsys)


def test_a_real_process_refuses_a_model_of_another_hash(
    options: dict[str, object], tiny_bundle: Path, tmp_path: Path
) -> None:
    given = options | {"--bundle-path": damaged(tiny_bundle, tmp_path / "b")}
    command = [sys.executable, "-m", "service.cli", *words(given)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("oneglance: will not start: ")


def test_another_contract_of_the_same_size_is_another_bundle(
    options: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = EmbeddingContract(id="other", size=64, d_max=2.0)
    Gallery.open(tmp_path / "gallery.sqlite3", other).close()
    assert "contract other" in refusal(options, capsys)
