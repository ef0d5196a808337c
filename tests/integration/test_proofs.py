"""The proofs can fail: what they count and compare, on cases where the answer is known."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import lfw, pictures
from benchmarks.bad_input import Seen
from benchmarks.lfw_people import DataMissingError, LfwPeople, trained_names
from benchmarks.strangers import Outcome, from_middle, passed, report
from contract.bundle import load_bundle
from contract.manifest import Manifest, Metric

SHOWN = {"value": 0.7, "source": "request", "evidence": None}


def test_a_manifest_that_says_something_else_is_seen(tiny_bundle: Path) -> None:
    manifest = load_bundle(tiny_bundle).manifest
    assert "no lfw_accuracy" in (lfw.disagreement(manifest, 0.9) or "")

    def saying(value: float) -> Manifest:
        metric = Metric(name="lfw_accuracy", value=value, data="x", protocol="x", command="x")
        return manifest.model_copy(update={"metrics": [metric]})

    assert lfw.disagreement(saying(0.9), 0.9019) is None
    assert "0.9000" in (lfw.disagreement(saying(0.9), 0.9021) or "")
    assert lfw.disagreement(saying(0.9), float("nan")) is not None


def test_a_missing_pack_names_the_command_that_makes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lfw, "PACK", tmp_path)
    monkeypatch.setenv("ONEGLANCE_DATA_ROOT", str(tmp_path))
    assert lfw.main() == 1
    assert "make pack-lfw" in capsys.readouterr().err


@pytest.mark.parametrize(("matched", "holds"), [(0, True), (2, True), (3, False), (50, False)])
def test_the_bar_on_strangers_is_below_five_percent(matched: int, holds: bool) -> None:
    outcome = Outcome(strangers_matched=matched, strangers_unknown=50 - matched, threshold=SHOWN)
    assert passed(outcome) is holds
    assert f"match: {matched} of 50" in report(outcome)[-1]


def test_a_service_that_decides_nothing_does_not_pass() -> None:
    outcome = Outcome(strangers_unknown=50, threshold=SHOWN)
    outcome.verdicts["not_evaluated"] = 1
    assert not passed(outcome)


def test_the_judged_face_is_the_one_in_the_middle() -> None:
    large = {"bbox": {"x": 0, "y": 0, "width": 120, "height": 120}}
    central = {"bbox": {"x": 100, "y": 90, "width": 40, "height": 50}}
    assert min([large, central], key=from_middle) is central


@pytest.mark.parametrize(
    ("seen", "holds"),
    [
        (Seen("x", 422, "c", "", 1.9, 199), True),
        (Seen("x", 201, "c", "", 0.1, 0), False),
        (Seen("x", 500, "c", "", 0.1, 0), False),
        (Seen("x", 422, "c", "", 2.1, 0), False),
        (Seen("x", 422, "c", "", 0.1, 201), False),
    ],
)
def test_a_bad_input_is_held_by_status_time_and_memory(seen: Seen, holds: bool) -> None:
    assert seen.held is holds


def test_missing_data_is_said_in_words(tmp_path: Path) -> None:
    assert trained_names(tmp_path) == frozenset()
    with pytest.raises(DataMissingError, match="ONEGLANCE_DATA_ROOT"):
        LfwPeople(tmp_path)


def test_the_huge_png_is_a_valid_one() -> None:
    """A smaller sister of the same maker can be decoded whole."""
    with Image.open(io.BytesIO(pictures.huge_png(301))) as image:
        assert image.size == (301, 301)
        assert not np.asarray(image).any()
