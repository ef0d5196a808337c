"""proof-fmr can fail: its pairs against a plain loop, and a world whose thresholds must hold."""

from pathlib import Path

import numpy as np
import pytest

import training.evaluation.calibration as calibration_module
from benchmarks import fmr
from benchmarks.embedded import EmbeddedPack
from benchmarks.fmr import rows_of, strangers_similarities
from benchmarks.fpir import Half
from training.evaluation.open_set import TooFewError


def pack(identities: int, *, images: int = 3, size: int = 24) -> EmbeddedPack:
    """Everybody looks like an independent direction, and each photo a little different."""
    rng = np.random.default_rng(3)
    centres = np.repeat(rng.normal(size=(identities, size)), images, axis=0)
    rows = centres + 0.05 * rng.normal(size=centres.shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return EmbeddedPack(
        embeddings_ND=rows.astype(np.float32),
        labels_N=np.repeat(np.arange(identities), images),
        identities=tuple(map(str, range(identities))),
        paths=tuple(map(str, range(len(rows)))),
        d_max=2.0,
    )


def half(labels: list[int]) -> Half:
    rows = np.random.default_rng(1).normal(size=(len(labels), 5))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Half(embeddings_ND=rows.astype(np.float32), labels_N=np.array(labels), d_max=2.0)


def test_each_pair_of_two_people_is_there_once() -> None:
    # One photo each: no choice, so the pairs can be written out.
    few = half([3, 5, 7, 9])
    rows = few.embeddings_ND.astype(float)
    expected = [
        1 - float(np.linalg.norm(rows[i] - rows[j])) / 2
        for i in range(4)
        for j in range(4)
        if i != j
    ]
    found = strangers_similarities(few, 1, seed=0)
    np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=1e-7)


def test_the_best_of_several_templates_counts() -> None:
    few = half([1, 1, 2, 2, 3])
    rows = few.embeddings_ND.astype(float)
    found = strangers_similarities(few, 2, seed=0)
    # Both of 1 and both of 2 are templates; 3 has too few, and is a probe only.
    assert len(found) == 4
    best = [max(1 - float(np.linalg.norm(rows[4] - rows[i])) / 2 for i in two)
            for two in ((0, 1), (2, 3))]  # fmt: skip
    for value in best:
        assert np.isclose(found, value, atol=1e-7).any()
    with pytest.raises(TooFewError):
        strangers_similarities(few, 3, seed=0)


def test_thresholds_for_one_hold_in_a_world_of_independent_people(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibration_module, "GALLERY_SIZES", (10, 100))
    monkeypatch.setattr(fmr, "TARGETS", (0.03, 0.01))
    monkeypatch.setattr(fmr, "TEMPLATES", (1,))
    rows = rows_of(pack(900), 1)
    assert [(row.target, row.subjects) for row in rows] == [(0.03, 1), (0.01, 1)]
    assert all(row.judged and row.holds for row in rows), rows
    # A threshold that lets next to nobody through is not what was asked for, either.
    monkeypatch.setattr(fmr, "value", lambda galleries, target, _: galleries[0].tail[-1].similarity)
    assert not all(row.holds for row in rows_of(pack(900), 1))


def test_a_missing_pack_names_the_command_that_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fmr.main(["--lfw", str(tmp_path / "lfw")]) == 1
    assert "make pack-lfw" in capsys.readouterr().err
