"""What a subject scores as: its best template, or the mean of all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.similarity import pairwise_similarity
from index.gallery import Gallery
from index.scoring import mean_embedding
from tests.conftest import CONTRACT, UNIT


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    """A file that scores by means."""
    with Gallery.open(tmp_path / "g.db", CONTRACT, scoring="mean") as opened:
        yield opened


def found(gallery: Gallery, probe: np.ndarray) -> list[tuple[str, float, str]]:
    gallery.verify()
    (candidates,) = gallery.search(probe[None], top_k=9).candidates
    return [(c.subject.id, c.similarity, c.template_id) for c in candidates]


def similarity(probe: np.ndarray, row: np.ndarray) -> float:
    return float(pairwise_similarity(probe[None], row[None], CONTRACT.d_max)[0, 0])


def test_a_mean_is_as_long_as_its_templates_are_on_average() -> None:
    mean = mean_embedding(np.array([[3, 0], [0, 1]], dtype=np.float32))
    assert mean.dtype == np.float32
    assert np.linalg.norm(mean) == pytest.approx(2)
    assert mean[0] / mean[1] == pytest.approx(3)
    for row in UNIT:
        assert mean_embedding(row[None]).tobytes() == row.tobytes()


def test_a_mean_without_direction_stays_zero() -> None:
    assert mean_embedding(np.array([[1, 2], [-1, -2]], dtype=np.float32)).tolist() == [0, 0]
    assert mean_embedding(np.zeros((3, 2), dtype=np.float32)).tolist() == [0, 0]


def test_subjects_score_as_the_mean_and_name_the_nearest_template(gallery: Gallery) -> None:
    ann = gallery.enroll(UNIT[:2], subject_id="ann").template_ids
    bob = gallery.enroll(UNIT[2:3], subject_id="bob").template_ids
    middle = mean_embedding(UNIT[:2])
    assert found(gallery, middle) == [
        ("ann", 1.0, ann[0]),
        ("bob", similarity(middle, UNIT[2]), bob[0]),
    ]
    assert found(gallery, UNIT[1])[0] == ("ann", similarity(UNIT[1], middle), ann[1])


def test_every_write_moves_the_mean(gallery: Gallery) -> None:
    ann = gallery.enroll(UNIT[:1], subject_id="ann").template_ids
    bob = gallery.enroll(UNIT[3:], subject_id="bob").template_ids
    ann += gallery.enroll(UNIT[1:3], subject_id="ann").template_ids
    assert found(gallery, mean_embedding(UNIT[:3]))[0][:2] == ("ann", 1.0)
    gallery.remove_template(ann[0])
    assert found(gallery, mean_embedding(UNIT[1:3]))[0][:2] == ("ann", 1.0)
    gallery.merge_subjects("bob", into="ann")
    assert found(gallery, mean_embedding(UNIT[1:])) == [("ann", 1.0, bob[0])]
    for template_id in (*ann[1:], *bob):
        gallery.remove_template(template_id)
    assert found(gallery, UNIT[0]) == []
    gallery.enroll(UNIT[:1], subject_id="ann")
    assert found(gallery, UNIT[0])[0][:2] == ("ann", 1.0)
    gallery.remove_subject("ann")
    assert found(gallery, UNIT[0]) == []


def test_means_are_built_anew_at_opening_and_either_scoring_takes_any_file(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.enroll(UNIT[:2], subject_id="ann")
        gallery.enroll(UNIT[2:], subject_id="bob")
        best = gallery.search(UNIT, top_k=9)
    with Gallery.open(path, scoring="mean") as gallery:
        assert found(gallery, mean_embedding(UNIT[:2]))[0][:2] == ("ann", 1.0)
        assert gallery.search(UNIT, top_k=9) != best
    with Gallery.open(path) as gallery:
        assert gallery.search(UNIT, top_k=9) == best
