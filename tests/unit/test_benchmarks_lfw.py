"""Bars of LFW, and what a proof says of whom it cannot know."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import lfw
from benchmarks.contenders import Contender
from benchmarks.lfw import Bar, described, figure, measure
from contract.bundle import load_bundle
from contract.manifest import TrainingData
from training.data.pack import PAIRS_NAME, Pack, PackIndex, open_pack, write_pack
from training.evaluation.roc import TarAtFar

PAIRS = "2\t1\nAda\t1\t2\nAda\t1\tBo\t1\nBo\t1\t2\nBo\t2\tAda\t2\n"


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Two photos each of Ada, black and grey, and Bo, white."""
    names = ("Ada", "Bo")
    index = PackIndex(
        source="lfw",
        alignment="none",
        identities=names,
        paths=tuple(f"lfw/{name}/{name}_{i:04}.jpg" for name in names for i in (1, 2)),
        labels=(0, 0, 1, 1),
        splits=("test",) * 4,
        unused=(),
    )
    light = np.array([0, 100, 255, 255], dtype=np.uint8)
    write_pack(tmp_path / "lfw", index, np.broadcast_to(light[:, None, None, None], (4, 2, 2, 3)))
    (tmp_path / "lfw" / PAIRS_NAME).write_text(PAIRS)
    return open_pack(tmp_path / "lfw")


def contender(manifest: Any = None) -> Contender:
    def embed(crops: np.ndarray) -> np.ndarray:
        return np.where(crops[:, 0, 0, :1] > 127, [[1.0, 0.0]], [[0.0, 1.0]]).astype(np.float32)

    return Contender(name="light", d_max=2.0, embed=embed, manifest=manifest)


def test_who_was_trained_on_is_known_of_bundles_trained_here_alone(
    pack: Pack, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lfw, "trained_names", lambda _: frozenset({"someone"}))
    manifest = load_bundle(tiny_bundle).manifest
    data = [TrainingData(name="faces-train.zip", terms="x", identities=1, images=1)]
    here = measure(contender(manifest.model_copy(update={"training_data": data})), pack, tmp_path)
    assert (here.accuracy.mean, here.shared_people) == (1.0, 0)
    assert "0 people of the protocol are in faces-train.zip" in described("x", here)[1]
    for unknown in (measure(contender(m), pack, tmp_path) for m in (manifest, None)):
        assert (unknown.accuracy, unknown.shared_people) == (here.accuracy, None)
        assert "not known" in described("x", unknown)[1]


class Result:
    """As much of a result as a bar looks at."""

    def __init__(self, accuracy: float, tar: float | None) -> None:
        self.accuracy = type("Accuracy", (), {"mean": accuracy})
        self.tar_at_far = None if tar is None else TarAtFar(tar, 0.7)


@pytest.mark.parametrize(
    ("accuracy", "tar", "holds"),
    [(0.993, 0.985, True), (0.9929, 1.0, False), (1.0, 0.9849, False), (1.0, None, False)],
)
def test_the_default_bar_asks_both(accuracy: float, tar: float | None, holds: bool) -> None:
    result: Any = Result(accuracy, tar)
    assert lfw.DEFAULT_BAR.holds(result) is holds
    assert lfw.RESNET_BAR.holds(result) is True
    assert not Bar(accuracy=1.01).holds(result)


def test_the_figure_names_its_bars() -> None:
    result: Any = Result(0.9942, 0.989)
    assert figure("a", result, lfw.DEFAULT_BAR) == ("a 99.42% (bar 99.3%), TAR 98.90% (bar 98.5%)")
    assert figure("b", result, lfw.RESNET_BAR) == "b 99.42% (bar 96.5%), TAR 98.90%"
    assert figure("c", result, None) == "c 99.42%, TAR 98.90%"
