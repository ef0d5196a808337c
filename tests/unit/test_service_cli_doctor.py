"""`oneglance doctor`: what it finds in order, and each thing that it must not."""

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import apsw
import httpx
import pytest

import service.client
from benchmarks.asgi import AsgiTransport
from contract.bundle import load_bundle
from index.gallery import Gallery
from index.sqlite_schema import SCHEMA_VERSION
from service import cli
from service.client import Client
from tests.conftest import CONTRACT, ApiMaker, BundleMaker

Lines = dict[str, list[tuple[str, str]]]


class Doctor:
    """Runs the command; what it says of each check, as (level, detail)."""

    def __init__(
        self, words: list[str], patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.words, self._patch, self._capsys = words, patch, capsys
        self.answers(httpx.ConnectError("refused"))

    def answers(self, answer: httpx.Response | Exception | httpx.BaseTransport) -> None:
        """What stands at the service's URL."""

        def handle(request: httpx.Request) -> httpx.Response:
            if isinstance(answer, Exception):
                raise answer
            assert isinstance(answer, httpx.Response)
            return answer

        transport: httpx.BaseTransport = httpx.MockTransport(handle)
        if isinstance(answer, httpx.BaseTransport):
            transport = answer
        self._patch.setattr(service.client, "Client", partial(Client, transport=transport))

    def __call__(self, *more: object, fails: bool = False) -> Lines:
        status = cli.main(["doctor", *self.words, *map(str, more)])
        said = self._capsys.readouterr()
        assert said.err == ""
        found: Lines = {}
        for line in said.out.splitlines():
            level, _, rest = line.partition(" ")
            check, _, detail = rest.strip().partition(": ")
            found.setdefault(check, []).append((level, detail))
        assert status == int(fails), said.out
        assert fails == ("fail" in {level for each in found.values() for level, _ in each})
        return found


@pytest.fixture
def gallery_file(tmp_path: Path, tiny_bundle: Path) -> Path:
    """A gallery of the tiny bundle, that nobody has open."""
    path = tmp_path / "gallery.sqlite3"
    Gallery.open(path, load_bundle(tiny_bundle).manifest.contract).close()
    return path


@pytest.fixture
def doctor(
    tmp_path: Path,
    tiny_bundle: Path,
    no_settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Doctor:
    words = ["--gallery", str(tmp_path / "gallery.sqlite3"), "--bundle-path", str(tiny_bundle)]
    return Doctor([*words, "--device", "cpu"], no_settings, capsys)


def test_all_in_order(doctor: Doctor, gallery_file: Path, tiny_bundle: Path) -> None:
    found = doctor()
    sha256 = load_bundle(tiny_bundle).sha256
    assert found["bundle"] == [
        ("ok", f"tiny@1.2.3 computes by torchscript on cpu in float32, sha256 {sha256}")
    ]
    assert found["gallery"] == [("ok", f"{gallery_file} opens, schema {SCHEMA_VERSION}")]
    assert found["collection"] == [
        (
            "ok",
            "default: 0 subjects, 0 templates, index flat (rabitq above 200000), of bundle "
            "tiny@1.2.3",
        )
    ]
    assert found["disk"][0][1].endswith(f"GiB free at {gallery_file.parent}")
    assert found["service"] == [("ok", "none runs at http://127.0.0.1:8000")]
    assert len(found["gpu"]) == 1


def test_json(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", *doctor.words, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["check"] for line in lines] == ["bundle", "gallery", "disk", "gpu", "service"]
    assert {frozenset(line) for line in lines} == {frozenset({"check", "level", "detail"})}


def test_no_gallery_yet_and_none_is_made(doctor: Doctor, tmp_path: Path) -> None:
    level, detail = doctor()["gallery"][0]
    assert level == "ok"
    assert "is not there yet" in detail
    assert list(tmp_path.glob("gallery*")) == []


def test_a_damaged_bundle(doctor: Doctor, tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "b")
    (tmp_path / "b" / "model.ts").write_bytes(b"?")
    levels = doctor("--further-bundle-paths", tmp_path / "b", fails=True)["bundle"]
    assert [level for level, _ in levels] == ["ok", "fail"]
    assert "export it anew" in levels[1][1]
    assert "no readable" in doctor("--bundle-path", tmp_path / "c", fails=True)["bundle"][0][1]


def test_collections_whose_bundle_is_not_there(
    doctor: Doctor, gallery_file: Path, make_bundle: BundleMaker
) -> None:
    Gallery.open(gallery_file, CONTRACT, collection="other").close()
    own, other = doctor()["collection"]
    assert own[0] == "ok"
    assert other[0] == "warn"
    assert "not served" in other[1]
    first, second = doctor("--bundle-path", make_bundle(drift=1.0), fails=True)["collection"]
    assert (first[0], second[0]) == ("fail", "warn")
    assert "will not start" in first[1]


def test_a_file_that_is_no_gallery(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "gallery.sqlite3").write_text("This is a letter, not a gallery. " * 200)
    assert doctor(fails=True)["gallery"][0][0] == "fail"


def test_an_older_schema_is_not_changed(doctor: Doctor, gallery_file: Path) -> None:
    def version(new: int | None = None) -> int:
        c = apsw.Connection(str(gallery_file))
        if new is not None:
            c.execute(f"PRAGMA user_version = {new}")
        (found,) = c.execute("PRAGMA user_version").fetchall()
        c.close()
        return int(str(found[0]))

    version(SCHEMA_VERSION - 1)
    level, detail = doctor()["gallery"][0]
    assert level == "warn"
    assert "oneglance gallery migrate" in detail
    assert version() == SCHEMA_VERSION - 1
    version(SCHEMA_VERSION + 1)
    assert doctor(fails=True)["gallery"][0][0] == "fail"


def test_a_running_service_has_the_file(doctor: Doctor, make_api: ApiMaker, tmp_path: Path) -> None:
    """Another process, as the lock of a file is not for the process that has it."""
    doctor.answers(AsgiTransport(make_api(gallery=str(tmp_path / "its.sqlite3"))))
    gallery = doctor.words[1]
    code = (
        "import sys; from pathlib import Path; from index.lock import ProcessLock;"
        "lock = ProcessLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    Path(gallery).touch()
    command = [sys.executable, "-c", code, gallery]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        found = doctor()
        assert found["gallery"] == [
            ("ok", f"{gallery} is in use by a running service: not looked into")
        ]
        level, detail = found["service"][0]
        assert level == "ok"
        assert "is ready: tiny@1.2.3 by torchscript on " in detail
        doctor.answers(httpx.ConnectError("refused"))
        assert doctor()["gallery"][0][0] == "warn"
        assert holder.stdin is not None
        holder.stdin.close()


@pytest.mark.parametrize("answer", [httpx.Response(503, text="no"), httpx.ReadTimeout("late")])
def test_a_service_that_is_not_ready(doctor: Doctor, answer: httpx.Response | Exception) -> None:
    doctor.answers(answer)
    assert doctor(fails=True)["service"][0][0] == "fail"


def test_devices(doctor: Doctor, no_settings: pytest.MonkeyPatch) -> None:
    no_settings.setattr("torch.cuda.is_available", lambda: False)
    found = doctor("--device", "cuda", fails=True)
    assert found["gpu"][0][0] == "fail"
    no_settings.setattr("service.doctor.machine._NVIDIA", Path(__file__))
    assert doctor()["gpu"][0][0] == "warn"
    no_settings.setattr("torch.cuda.is_available", lambda: True)
    no_settings.setattr("torch.cuda.get_device_name", lambda: "H9000")
    assert doctor()["gpu"] == [("ok", "H9000 is there and not used: the device is set to cpu")]
    no_settings.setenv("ONEGLANCE_EMBEDDER_RUNTIME", "openvino")
    ((level, detail),) = doctor("--device", "auto")["gpu"]
    assert level == "warn"
    assert detail.startswith("H9000 is there and not used: embedder_runtime openvino computes on")


@pytest.mark.parametrize(("free", "level"), [(2**31, "ok"), (2**29, "warn"), (2**20, "fail")])
def test_room_on_the_disk(
    doctor: Doctor, no_settings: pytest.MonkeyPatch, free: int, level: str
) -> None:
    usage = SimpleNamespace(free=free)
    no_settings.setattr(shutil, "disk_usage", lambda path: usage)
    assert doctor(fails=level == "fail")["disk"][0][0] == level


def test_a_setting_that_cannot_be(doctor: Doctor) -> None:
    found = doctor("--device", "tpu", fails=True)
    assert list(found) == ["settings"]
    assert found["settings"][0][1].startswith("device: ")
