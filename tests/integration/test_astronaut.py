"""The shipped bundle and the real detector on the one portrait that anybody may use."""

from pathlib import Path

import pytest

from benchmarks.asgi import local_service
from benchmarks.demo import show
from contract.bundle import load_bundle
from service.settings import Settings

BUNDLE_MB_AT_MOST = 30


def test_the_demo_comes_out_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with local_service(Settings(gallery_path=tmp_path / "gallery.sqlite3")) as service:
        right = show(service)
    assert right, capsys.readouterr().out


def test_the_shipped_bundle_says_what_it_is_and_is_small_enough() -> None:
    root = Settings().bundle_path
    manifest = load_bundle(root).manifest
    assert manifest.default_threshold is not None
    assert manifest.default_threshold.searches >= 100
    assert {"lfw_accuracy", "lfw_accuracy_disjoint"} <= {m.name for m in manifest.metrics}
    assert manifest.training_data
    size = sum(path.stat().st_size for path in root.iterdir())
    assert size <= BUNDLE_MB_AT_MOST * 1_000_000
