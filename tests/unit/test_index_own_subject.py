"""The subject that an enrolment would add to, on both backends, against sums written out."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from index.gallery import Gallery
from index.own_subject import find_own, search_others, similarity_to_own
from index.scoring import ScoringName
from tests.conftest import CONTRACT, UNIT, GalleryOpener

Float = npt.NDArray[np.float32]


def photos(count: int, seed: int) -> Float:
    rows = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def similarity(a: Float, b: Float) -> float:
    """1 - distance / d_max, of two rows."""
    return 1 - float(np.linalg.norm(a.astype(float) - b.astype(float))) / CONTRACT.d_max


def test_a_subject_is_found_as_an_enrolment_finds_it(gallery: Gallery) -> None:
    stored = photos(3, seed=1)
    gallery.enroll(stored, subject_id="ann", external_id="7")
    gallery.enroll(UNIT[:1], subject_id="7", external_id="8")
    for subject_id, external_id, expected in (
        ("ann", None, "ann"),
        ("ann", "8", "ann"),
        (None, "7", "ann"),
        (None, "8", "7"),
        ("7", None, "7"),
    ):
        own = find_own(gallery, subject_id=subject_id, external_id=external_id)
        assert own is not None
        assert own.id == expected
    own = find_own(gallery, subject_id="ann", external_id=None)
    assert own is not None
    np.testing.assert_array_equal(own.embeddings_MD, stored)


def test_who_would_be_new_is_nobody(gallery: Gallery) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann", external_id="7")
    for subject_id, external_id in ((None, None), ("bob", None), ("bob", "7"), (None, "ann")):
        assert find_own(gallery, subject_id=subject_id, external_id=external_id) is None
    gallery.remove_subject("ann")
    assert find_own(gallery, subject_id="ann", external_id=None) is None


def test_a_subject_whose_templates_are_gone_has_none(gallery: Gallery) -> None:
    (template,) = gallery.enroll(UNIT[:1], subject_id="ann").template_ids
    gallery.remove_template(template)
    own = find_own(gallery, subject_id="ann", external_id=None)
    assert own is not None
    assert own.embeddings_MD.shape == (0, 4)
    assert similarity_to_own(gallery, own, UNIT[:1]) == [None]


@pytest.mark.parametrize("stored", [0, 1, 3])
@pytest.mark.parametrize("new", [1, 2, 4])
def test_the_own_similarity_is_that_of_the_best_other_photo(
    gallery: Gallery, stored: int, new: int
) -> None:
    known, fresh = photos(stored, seed=2), photos(new, seed=3)
    if stored:
        gallery.enroll(known, subject_id="ann")
    own = find_own(gallery, subject_id="ann", external_id=None)
    for i, found in enumerate(similarity_to_own(gallery, own, fresh)):
        others = [*known, *(fresh[j] for j in range(new) if j != i)]
        if not others:
            assert found is None
            continue
        expected = max(similarity(fresh[i], other) for other in others)
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("scoring", ["best", "mean"])
def test_the_own_similarity_is_what_a_search_would_say_without_the_photo(
    tmp_path: Path, scoring: ScoringName
) -> None:
    known, fresh = photos(3, seed=4), photos(3, seed=5)
    with Gallery.open(tmp_path / "g.db", CONTRACT, scoring=scoring) as gallery:
        gallery.enroll(known, subject_id="ann")
        own = find_own(gallery, subject_id="ann", external_id=None)
        found = similarity_to_own(gallery, own, fresh)
        for i, value in enumerate(found):
            others = np.concatenate([known, np.delete(fresh, i, axis=0)])
            gallery.enroll(others, subject_id=f"as-if-{i}")
            result = gallery.search(fresh[i][None], top_k=9).candidates[0]
            (said,) = [c.similarity for c in result if c.subject.id == f"as-if-{i}"]
            assert value == pytest.approx(said, abs=1e-6)


def test_others_are_everybody_but_the_own_subject_nearest_first(
    open_gallery: GalleryOpener,
) -> None:
    gallery = open_gallery()
    rows = photos(6, seed=6)
    for i, row in enumerate(rows):
        gallery.enroll(row[None], subject_id=f"s{i}")
    probes = photos(5, seed=7)
    own = find_own(gallery, subject_id="s2", external_id=None)
    for excluded, subject in ((None, None), ("s2", own)):
        for top_k in (1, 3, 9):
            found = search_others(gallery, subject, probes, top_k=top_k)
            for probe, candidates in zip(probes, found, strict=True):
                ids = [f"s{i}" for i in range(6) if f"s{i}" != excluded]
                ids.sort(key=lambda name: -similarity(probe, rows[int(name[1:])]))
                assert [c.subject.id for c in candidates] == ids[:top_k]


def test_nobody_else_is_an_empty_answer(gallery: Gallery) -> None:
    assert search_others(gallery, None, UNIT[:2], top_k=3) == [(), ()]
    gallery.enroll(UNIT[:1], subject_id="ann")
    own = find_own(gallery, subject_id="ann", external_id=None)
    assert search_others(gallery, own, UNIT[:2], top_k=3) == [(), ()]
