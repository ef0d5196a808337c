"""proof-fpir can fail: its rows, its halves, and a world in which a fixed threshold must drift."""

from pathlib import Path

import numpy as np
import pytest

import training.evaluation.calibration as calibration_module
from benchmarks import fpir
from benchmarks.embedded import EmbeddedPack
from benchmarks.fpir import JUDGED, Row, halves, rows_of


def pack(identities: int, *, images: int = 2, size: int = 24) -> EmbeddedPack:
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


@pytest.mark.parametrize(
    ("observed", "holds"),
    [
        ((0.01,), True),
        ((0.005, 0.02), True),
        ((0.0049, 0.01), False),
        ((0.0201, 0.01), False),
        # A good first split does not save a bad mean.
        ((0.01, 0.05, 0.05), False),
    ],
)
def test_the_bar_is_a_factor_of_two_either_way(observed: tuple[float, ...], holds: bool) -> None:
    assert Row(way="x", target=0.01, subjects=100, observed=observed).holds is holds


def test_no_identity_is_in_both_halves() -> None:
    whole = pack(101)
    first, second = halves(whole, seed=1)
    one, other = set(first.labels_N.tolist()), set(second.labels_N.tolist())
    assert (len(one), len(other)) == (50, 51)
    assert one | other == set(range(101))
    again, _ = halves(whole, seed=1)
    assert set(again.labels_N.tolist()) == one
    changed, _ = halves(whole, seed=2)
    assert set(changed.labels_N.tolist()) != one


def test_thresholds_by_size_hold_where_a_fixed_one_drifts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibration_module, "GALLERY_SIZES", (20, 150))
    monkeypatch.setattr(fpir, "SIZES", (20, 150))
    monkeypatch.setattr(fpir, "TARGETS", (0.03, 0.1))
    monkeypatch.setattr(fpir, "SMALL", 20)
    monkeypatch.setattr(fpir, "SEVERAL", 2)
    monkeypatch.setattr(fpir, "DRAWS", 4)
    rows = {(row.way, row.target, row.subjects): row for row in rows_of(pack(700), 1)}
    for target in (0.03, 0.1):
        for subjects in (20, 150):
            assert rows[JUDGED, target, subjects].holds
            assert rows[JUDGED, target, subjects].judged
        assert rows["fixed, of 20 subjects", target, 150].mean > 2.5 * target
        assert not rows["fixed, of 20 subjects", target, 150].judged


def test_a_missing_pack_names_the_command_that_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fpir.main(["--lfw", str(tmp_path / "lfw")]) == 1
    assert "make pack-lfw" in capsys.readouterr().err
