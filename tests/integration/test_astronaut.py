"""The shipped bundle and the real detector on the one portrait that anybody may use."""

from pathlib import Path

import pytest

from benchmarks.asgi import local_service
from benchmarks.demo import show
from contract.bundle import load_bundle
from service.settings import SHIPPED_BUNDLE, Settings

BUNDLE_MB_AT_MOST = 30


def test_the_demo_comes_out_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with local_service(Settings(gallery=str(tmp_path / "gallery.sqlite3"))) as service:
        right = show(service)
    assert right, capsys.readouterr().out


def test_the_default_bundle_says_what_it_can_do() -> None:
    manifest = load_bundle(SHIPPED_BUNDLE).manifest
    assert manifest.default_threshold is not None
    assert manifest.default_threshold.searches >= 100
    assert manifest.calibration is not None
    assert max(gallery.subjects for gallery in manifest.calibration.galleries) >= 1_000
    assert {"lfw_accuracy", "lfw_tar_at_far_1e-3"} <= {m.name for m in manifest.metrics}


@pytest.mark.parametrize(
    "root", sorted(SHIPPED_BUNDLE.parent.iterdir()), ids=lambda root: root.name
)
def test_every_shipped_bundle_says_what_it_is_and_is_small_enough(root: Path) -> None:
    manifest = load_bundle(root).manifest
    assert manifest.metrics
    assert manifest.limits
    # Where the authors do not say what they trained on, the origin says whose weights these are.
    assert manifest.origin is not None
    assert manifest.training_data or manifest.origin.starting_points
    size = sum(path.stat().st_size for path in root.iterdir())
    assert size <= BUNDLE_MB_AT_MOST * 1_000_000
