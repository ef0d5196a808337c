"""One probe against one subject, on both backends: sums written out, and what a search says."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from contract.errors import SubjectNotFoundError
from index.gallery import Gallery
from index.one_to_one import compare
from tests.conftest import CONTRACT, UNIT

Float = npt.NDArray[np.float32]


def photos(count: int, seed: int) -> Float:
    rows = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    unit: Float = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def similarity(a: Float, b: Float) -> float:
    """1 - distance / d_max, of two rows."""
    return 1 - float(np.linalg.norm(a.astype(float) - b.astype(float))) / CONTRACT.d_max


def test_the_best_of_its_templates_counts_and_is_named(gallery: Gallery) -> None:
    stored, others, probes = photos(4, seed=1), photos(5, seed=2), photos(6, seed=3)
    ids = gallery.enroll(stored, subject_id="ann", name="Ann").template_ids
    for row in others:
        gallery.enroll(row[None])
    for probe in probes:
        expected = [similarity(probe, row) for row in stored]
        found = compare(gallery, "ann", probe)
        assert found.subject.name == "Ann"
        assert found.candidate is not None
        assert found.candidate.subject == found.subject
        assert found.candidate.similarity == pytest.approx(max(expected), abs=1e-12)
        assert found.candidate.template_id == ids[int(np.argmax(expected))]


def test_it_says_what_a_search_says(gallery: Gallery) -> None:
    check_against_searches(gallery)


def test_of_a_mean_it_says_what_a_search_says(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT, scoring="mean") as gallery:
        check_against_searches(gallery)


def check_against_searches(gallery: Gallery) -> None:
    for i in range(5):
        gallery.enroll(photos(1 + i % 3, seed=10 + i), subject_id=f"s{i}")
    for probe in photos(5, seed=4):
        (candidates,) = gallery.search(probe[None], top_k=5).candidates
        assert len(candidates) == 5
        for candidate in candidates:
            assert compare(gallery, candidate.subject.id, probe).candidate == candidate


def test_a_subject_whose_templates_are_gone_has_no_candidate(gallery: Gallery) -> None:
    (template,) = gallery.enroll(UNIT[:1], subject_id="ann").template_ids
    gallery.remove_template(template)
    found = compare(gallery, "ann", UNIT[0])
    assert (found.subject.id, found.candidate) == ("ann", None)


def test_who_is_not_there_or_has_expired_is_not_found(gallery: Gallery) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann", expires_at="2020-01-01T00:00:00Z")
    gallery.enroll(UNIT[:1], subject_id="bob", expires_at="2090-01-01T00:00:00Z")
    for unknown in ("ann", "cem", "", "BOB", "\0", "\ud800"):
        with pytest.raises(SubjectNotFoundError):
            compare(gallery, unknown, UNIT[0])
    assert compare(gallery, "bob", UNIT[0]).candidate is not None


def test_subjects_of_another_collection_are_not_found(
    gallery_location: Path | str,
) -> None:
    with Gallery.open(gallery_location, CONTRACT, collection="others") as others:
        others.enroll(UNIT[:1], subject_id="ann")
    with (
        Gallery.open(gallery_location, CONTRACT) as gallery,
        pytest.raises(SubjectNotFoundError),
    ):
        compare(gallery, "ann", UNIT[0])


def test_a_probe_of_another_size_is_refused(gallery: Gallery) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann")
    with pytest.raises(ValueError, match="probe"):
        compare(gallery, "ann", np.ones(3, np.float32))
