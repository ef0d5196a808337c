"""`oneglance gallery calibrate`: what it says, what it keeps, what it refuses in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from contract.bundle import load_bundle
from index.gallery import Gallery
from service import cli
from service.calibration import stored_calibration
from tests.conftest import NO_FACE, BlockDetector, face_photo

Run = Callable[..., list[str]]


@pytest.fixture
def calibrate(
    gallery_location: Path | str,
    tiny_bundle: Path,
    tmp_path: Path,
    no_settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run the command on the gallery of this test by the tiny bundle; the lines of its answer.

    With fails=True it must end with status 1 and one line on stderr, which is returned.
    """
    no_settings.setenv("ONEGLANCE_GALLERY", str(gallery_location))
    no_settings.setenv("ONEGLANCE_BUNDLE_PATH", str(tiny_bundle))
    no_settings.setenv("ONEGLANCE_BUNDLE_PINS_PATH", str(tmp_path / "bundle-pins.json"))

    def run(*words: object, fails: bool = False) -> list[str]:
        status = cli.main(["gallery", "calibrate", *map(str, words)])
        said = capsys.readouterr()
        assert status == int(fails), said.err
        if not fails:
            return said.out.splitlines()
        assert said.out == ""
        (line,) = said.err.splitlines()
        return [line]

    return run


def enrol(location: Path | str, bundle: Path, count: int, *, templates: int = 2) -> None:
    with Gallery.open(location, load_bundle(bundle).manifest.contract) as gallery:
        for number in range(count):
            rng = np.random.default_rng(number)
            rows = rng.standard_normal(64) + 0.3 * rng.standard_normal((templates, 64))
            unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            gallery.enroll(unit.astype(np.float32))


def test_it_says_what_it_found_and_keeps_it(
    calibrate: Run, gallery_location: Path | str, tiny_bundle: Path
) -> None:
    enrol(gallery_location, tiny_bundle, 31)
    head, stated, *refused = calibrate()
    assert head == (
        "31 subjects with 62 templates; strangers: 31 of them and 0 others, "
        "0 photos without a usable face"
    )
    with Gallery.open(gallery_location) as gallery:
        record = stored_calibration(gallery)
    assert record is not None
    assert record.bundle == "tiny@1.2.3"
    (point,) = record.gallery.points
    assert stated.startswith(f"FPIR 10.0%: similarity >= {point.threshold:.4f}, 0.0% of the ")
    assert refused == [
        "FPIR 1.0%: not supported, 31 strangers cannot show it, 300 are needed",
        "FPIR 0.3%: not supported, 31 strangers cannot show it, 1000 are needed",
        "FPIR 0.1%: not supported, 31 strangers cannot show it, 3000 are needed",
    ]


def test_one_template_each_says_nothing_of_misses(
    calibrate: Run, gallery_location: Path | str, tiny_bundle: Path
) -> None:
    enrol(gallery_location, tiny_bundle, 30, templates=1)
    assert "misses not stated" in calibrate()[1]


def test_photos_of_strangers_are_counted(
    calibrate: Run,
    gallery_location: Path | str,
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.served_bundles.make_detector", lambda *_, **__: BlockDetector())
    enrol(gallery_location, tiny_bundle, 28)
    folder = tmp_path / "strangers"
    folder.mkdir()
    for name, data in (
        ("a.png", face_photo(1)),
        ("b.png", face_photo(2)),
        ("c.png", NO_FACE),
        ("d.txt", b"text"),
        (".hidden", b""),
    ):
        (folder / name).write_bytes(data)
    (head, *_) = calibrate("--strangers", folder)
    assert "strangers: 28 of them and 2 others, 2 photos without a usable face" in head


def test_too_few_are_refused_and_nothing_is_kept(
    calibrate: Run, gallery_location: Path | str, tiny_bundle: Path
) -> None:
    enrol(gallery_location, tiny_bundle, 5)
    (line,) = calibrate(fails=True)
    assert "has 5 subjects with templates" in line
    assert "30 for an FPIR of 10.0%, 300 for an FPIR of 1.0%" in line
    with Gallery.open(gallery_location) as gallery:
        assert gallery.calibration() is None


def test_a_folder_without_files_is_refused(calibrate: Run, tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        if folder.exists():
            folder = folder / "empty"
            folder.mkdir()
        assert "has no files" in calibrate("--strangers", folder, fails=True)[0]


def test_another_bundle_is_refused(
    calibrate: Run, gallery_location: Path | str, make_bundle: Callable[..., Path],
    tiny_bundle: Path,
) -> None:  # fmt: skip
    enrol(gallery_location, tiny_bundle, 30)
    (line,) = calibrate("--bundle-path", make_bundle(drift=2.0), fails=True)
    assert "embeddings of contract" in line


def test_a_wrong_name_makes_no_gallery(calibrate: Run, tmp_path: Path) -> None:
    path = tmp_path / "away" / "none.db"
    assert f"no gallery {path}" in calibrate("--gallery", path, fails=True)[0]
    assert not path.parent.exists()
