"""The proof of self-calibration: its parts never overlap, and it counts what is planted."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import self_calibration as proof
from benchmarks.embedded import EmbeddedPack
from benchmarks.self_calibration import (
    ENROLLED,
    HELD_OUT,
    Cast,
    Outcome,
    Rows,
    TooFewError,
    cast,
    outcomes,
    refusal,
    rows_of,
    says_what_is_needed,
    summary,
)
from contract.calibration.records import Estimate
from contract.embedding_contract import EmbeddingContract

D = 64
CONTRACT = EmbeddingContract(id="test:planted", size=D, d_max=2.0)


def labels(able: int, others: int) -> np.ndarray:
    each = [ENROLLED + HELD_OUT + n % 3 for n in range(able)] + [1 + n % 4 for n in range(others)]
    return np.random.default_rng(1).permutation(np.repeat(np.arange(able + others), each))


def test_nobody_plays_two_parts() -> None:
    of = labels(12, 30)
    parts = cast(of, subjects=8, uploaded=10, seed=3)
    rows = [parts.enrolled_UM, parts.held_out_UH, parts.uploaded_S, parts.strangers_T]
    everything = np.concatenate([part.ravel() for part in rows])
    assert len(np.unique(everything)) == len(everything)
    assert parts.enrolled_UM.shape == (8, ENROLLED)
    assert parts.held_out_UH.shape == (8, HELD_OUT)
    both = of[np.concatenate([parts.enrolled_UM, parts.held_out_UH], axis=1)]
    assert (both == both[:, :1]).all()
    known = set(both[:, 0].tolist())
    for part, count in ((parts.uploaded_S, 10), (parts.strangers_T, 24)):
        who = of[part].tolist()
        assert len(set(who)) == len(who) == count
        assert not known & set(who)
    assert not set(of[parts.uploaded_S]) & set(of[parts.strangers_T])
    again, other = (
        cast(of, subjects=8, uploaded=10, seed=3),
        cast(of, subjects=8, uploaded=10, seed=4),
    )
    assert (again.enrolled_UM == parts.enrolled_UM).all()
    assert (other.enrolled_UM != parts.enrolled_UM).any()


@pytest.mark.parametrize(("subjects", "uploaded"), [(13, 1), (12, 30)])
def test_too_few_people_are_told(subjects: int, uploaded: int) -> None:
    with pytest.raises(TooFewError, match="12 people have 10 photos"):
        cast(labels(12, 30), subjects=subjects, uploaded=uploaded, seed=0)


def planted(subjects: int, strangers: int) -> tuple[Rows, Cast]:
    """Everybody in a direction of its own; one held-out photo of each of the first 12 subjects
    shows somebody else entirely."""
    rng = np.random.default_rng(2)
    centres = rng.standard_normal((subjects + strangers, D))
    each = ENROLLED + HELD_OUT
    rows = np.repeat(centres[:subjects], each, axis=0)
    rows = np.concatenate([rows + 0.2 * rng.standard_normal(rows.shape), centres[subjects:]])
    of = np.arange(subjects * each).reshape(subjects, each)
    rows[of[:12, -1]] = -rows[of[:12, -1]]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    others = subjects * each + np.arange(strangers)
    parts = Cast(
        enrolled_UM=of[:, :ENROLLED],
        held_out_UH=of[:, ENROLLED:],
        uploaded_S=others[: strangers // 2],
        strangers_T=others[strangers // 2 :],
    )
    return rows.astype(np.float32), parts


def test_it_counts_the_held_out_misses_and_strangers() -> None:
    rows, parts = planted(40, 600)
    (outcome,) = outcomes(rows, parts, CONTRACT, uploaded=False)
    assert outcome.target_fpir == 0.1
    assert outcome.fnir.value == 0
    assert outcome.held_out_fnir == pytest.approx(12 / (40 * HELD_OUT))
    assert outcome.within == (outcome.fnir.high95 >= 0.06)
    gallery, strangers = rows[parts.enrolled_UM.ravel()], rows[parts.strangers_T]
    best = [1 - min(np.linalg.norm(row - probe) for row in gallery) / 2 for probe in strangers]
    assert outcome.held_out_fpir == np.mean(np.array(best) >= outcome.threshold)
    helped = outcomes(rows, parts, CONTRACT, uploaded=True)
    assert [o.target_fpir for o in helped] == [0.1, 0.01]


def test_few_people_are_refused_in_words_with_a_number() -> None:
    rows, parts = planted(40, 10)
    assert says_what_is_needed(refusal(rows, parts, CONTRACT))
    assert not says_what_is_needed(None)
    assert not says_what_is_needed("too few")


@pytest.mark.parametrize(
    ("held_out", "within"), [(0.01, True), (0.03, True), (0.009, False), (0.031, False)]
)
def test_within_is_inside_the_interval(held_out: float, within: bool) -> None:
    outcome = Outcome(
        target_fpir=0.1,
        threshold=0.5,
        fnir=Estimate(value=0.02, low95=0.01, high95=0.03),
        left_out_fnir=0.025,
        held_out_fnir=held_out,
        held_out_fpir=0.1,
    )
    assert outcome.within is within
    (line,) = summary([[outcome]])
    assert f"in {int(within)} of 1 draws" in line
    assert "one left out 2.50%" in line


def test_people_of_one_source_are_taken_alone() -> None:
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    pack = EmbeddedPack(
        embeddings_ND=rows,
        labels_N=np.array([0, 2, 1, 2, 0]),
        identities=("celeba/1", "pubfig/A", "celeba/2"),
        paths=("",) * 5,
        d_max=2.0,
    )
    kept, of = rows_of(pack, "celeba/")
    assert kept.tolist() == rows[[0, 1, 3, 4]].tolist()
    assert of.tolist() == [0, 2, 2, 0]


def test_a_missing_pack_names_the_command_that_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert proof.main(["--pack", str(tmp_path / "faces-train")]) == 1
    assert "make pack-faces" in capsys.readouterr().err
