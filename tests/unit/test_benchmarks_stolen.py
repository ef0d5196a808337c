"""The proof about stolen files can fail: rows that are not protected are found out."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.alignment_attacks import by_distances, by_pairs
from benchmarks.rekey import fill, rows_of
from benchmarks.stolen import (
    Matched,
    People,
    enrol,
    is_chance,
    matched,
    opened,
    stolen_rows,
    trial,
)
from index.gallery import Gallery
from tests.protected import FACES, faces


@pytest.fixture(scope="module")
def people() -> People:
    """40 of them, whose second photo is like the first."""
    first = faces(40)
    again = (first + faces(40, seed=1) * np.float32(0.5)).astype(np.float32)
    return People(enrolled_ND=first, again_ND=again, others_MD=faces(9, seed=2), d_max=2.0)


def test_matching_counts_as_by_hand() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    probes = np.array([[2.0, 0.1], [1.0, 1.1], [0.0, 3.0]])
    found = matched(rows, probes)
    unit = [r / np.linalg.norm(r) for r in rows], [p / np.linalg.norm(p) for p in probes]
    table = [[float(p @ r) for r in unit[0]] for p in unit[1]]
    assert found.rank1 == sum(
        max(range(3), key=row.__getitem__) == i for i, row in enumerate(table)
    )
    pairs = [
        (table[i][i] > table[j][k]) + 0.5 * (table[i][i] == table[j][k])
        for i in range(3)
        for j in range(3)
        for k in range(3)
        if j != k
    ]
    assert found.auc == pytest.approx(sum(pairs) / len(pairs))


def test_protected_rows_match_nobody_and_with_the_secret_everybody(
    tmp_path: Path, people: People
) -> None:
    found = trial(tmp_path, people)
    assert found.with_secret == 40
    # Of 40 probes one is right by chance; 12 come once in 10 ** 9 times.
    assert max(one.rank1 for one in (found.plain, found.other, found.rekeyed)) < 12


def test_rows_that_are_not_protected_are_found_out(tmp_path: Path, people: People) -> None:
    with opened(tmp_path / "plain.sqlite3", people, protected=False) as gallery:
        enrol(gallery, people.enrolled_ND)
    found = matched(stolen_rows(tmp_path / "plain.sqlite3"), people.again_ND)
    assert (found.rank1, found.auc) == (40, pytest.approx(1.0, abs=0.01))
    assert not is_chance([found] * 8)


@pytest.mark.parametrize(("rank1", "auc", "chance"), [
    ([1, 0, 2, 1, 0, 1, 3, 0], [0.49, 0.51, 0.5, 0.52, 0.48, 0.5, 0.51, 0.49], True),
    ([4, 5, 3, 4, 6, 4, 5, 4], [0.49, 0.51, 0.5, 0.52, 0.48, 0.5, 0.51, 0.49], False),
    ([1, 0, 2, 1, 0, 1, 3, 0], [0.54, 0.55, 0.56, 0.54, 0.55, 0.56, 0.55, 0.54], False),
])  # fmt: skip
def test_chance_is_told_from_more_than_that(
    rank1: list[int], auc: list[float], chance: bool
) -> None:
    found = [Matched(rank1=r, count=790, auc=a) for r, a in zip(rank1, auc, strict=True)]
    assert is_chance(found) is chance


def test_the_attacks_find_a_rotation_from_what_they_are_said_to_need() -> None:
    plain = faces(60).astype(np.float64)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((32, 32)))[0]
    stored = plain @ turn.T
    np.testing.assert_allclose(by_pairs(stored[:32], plain[:32]), turn, atol=1e-6)
    assert np.abs(by_pairs(stored[:8], plain[:8]) - turn).max() > 0.1
    np.testing.assert_allclose(by_distances(stored, plain[::-1]), turn, atol=1e-6)


def test_the_other_proof_fills_a_gallery_with_as_many_as_it_says(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", FACES) as gallery:
        fill(gallery, 44)
        assert (gallery.subject_count, gallery.template_count) == (11, 44)
        assert {len(rows) for rows in rows_of(gallery).values()} == {1}
        gallery.verify()
