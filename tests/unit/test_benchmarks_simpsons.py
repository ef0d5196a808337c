"""The Simpsons zero-shot: who is unseen, frames at the network's own size, and the bar."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import simpsons
from benchmarks.contenders import Contender
from benchmarks.lfw_people import DataMissingError
from benchmarks.pictures import encoded
from benchmarks.simpsons import Outcome, characters, holds, measure, packed, rows_of
from contract.manifest import InputSpec
from training.data.pack import PackError

SPEC = InputSpec(width=32, height=32, color_order="RGB", alignment="none", fit="pad")
COLOURS = {"a": (250, 0, 0), "b": (0, 250, 0), "c": (0, 0, 250), "d": (250, 250, 0)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Characters a and b in both files, c and d in the second alone; eight frames each."""
    for name, who in (("simpsons", "ab"), ("simpsons-test", "abcd")):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for character in who:
                for i in range(8):
                    frame = np.full((20 + i, 40, 3), COLOURS[character], np.uint8)
                    frame[0, 0] = i  # no two alike
                    archive.writestr(f"{name}/{character}/{i}.png", encoded(frame))
    return tmp_path


def colour(crops: np.ndarray) -> np.ndarray:
    return crops.mean(axis=(1, 2)).astype(np.float32)


def contender(embed: Any = colour) -> Contender:
    return Contender(name="colour", d_max=500.0, embed=embed, manifest=None)


def test_the_unseen_are_those_that_only_the_second_file_has(root: Path, tmp_path: Path) -> None:
    unseen = characters(root / "simpsons-test.zip") - characters(root / "simpsons.zip")
    assert unseen == {"c", "d"}
    pack = packed(root / "simpsons-test.zip", tmp_path / "pack", SPEC)
    assert pack.images.shape == (32, 32, 32, 3)
    assert {pack.index.paths[row].split("/")[1] for row in rows_of(pack.index, unseen)} == unseen
    assert len(rows_of(pack.index, unseen)) == 16


def test_colours_are_told_apart_and_what_sees_nothing_is_not(root: Path, tmp_path: Path) -> None:
    pack = packed(root / "simpsons-test.zip", tmp_path / "pack", SPEC)
    seeing, blind = (
        measure(contender(embed), pack, frozenset("cd"), draws=3)
        for embed in (colour, lambda crops: np.zeros((len(crops), 3), np.float32))
    )
    for ranks, subjects in ((seeing.unseen, 2), (seeing.everyone, 4)):
        assert (ranks.rank1.value, ranks.subjects, ranks.enrolled) == (1.0, subjects, 5)
        assert ranks.probes == 3 * subjects
    # Everything is equally near: nobody stands first alone.
    assert (blind.unseen.rank1.value, blind.everyone.rank1.value) == (0.0, 0.0)
    assert holds(seeing, blind)
    assert not holds(blind, seeing)
    assert not holds(seeing, seeing)


@pytest.mark.parametrize(
    ("ours", "plain", "holding"), [(0.7, 0.69, True), (0.69, 0.1, False), (0.9, 0.91, False)]
)
def test_the_bar_is_a_rate_and_to_be_above_the_backbone(
    ours: float, plain: float, holding: bool
) -> None:
    def outcome(rank1: float) -> Any:
        estimate = type("Estimate", (), {"value": rank1})
        ranks: Any = type("Ranks", (), {"rank1": estimate})
        return Outcome(name="x", unseen=ranks, everyone=ranks)

    assert holds(outcome(ours), outcome(plain)) is holding


def test_a_network_of_faces_is_refused(root: Path, tmp_path: Path) -> None:
    spec = InputSpec(width=112, height=112, color_order="RGB", alignment="five_point_112")
    with pytest.raises(PackError, match="alignment five_point_112"):
        packed(root / "simpsons-test.zip", tmp_path / "pack", spec)


def test_missing_frames_are_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataMissingError, match="ONEGLANCE_DATA_ROOT"):
        characters(tmp_path / "simpsons.zip")
    monkeypatch.setenv("ONEGLANCE_DATA_ROOT", str(tmp_path))
    assert simpsons.main([]) == 1
    assert "simpsons-test.zip" in capsys.readouterr().err
