"""Subjects without a template, everybody removed at once, and one template compared with."""

import numpy as np
import pytest

import index.clearing
from contract.errors import SubjectConflictError, TemplateNotFoundError
from index.bare_subject import add_subject
from index.clearing import Cleared, remove_all_subjects
from index.gallery import Gallery
from index.one_template import compare_with_template
from tests.conftest import CONTRACT, UNIT, GalleryOpener


def test_a_subject_is_there_before_its_first_template(open_gallery: GalleryOpener) -> None:
    gallery = open_gallery()
    before = gallery.revision
    added = add_subject(gallery, name="Ada", external_id="a1")
    assert (added.name, added.external_id, added.template_count) == ("Ada", "a1", 0)
    assert (gallery.revision, gallery.subject_count, gallery.template_count) == (before + 1, 1, 0)
    assert gallery.subject(added.id) == added
    assert gallery.search(UNIT[:1], top_k=5).candidates == ((),)
    gallery.verify()

    enrolled = gallery.enroll(UNIT[:1], external_id="a1")
    assert (enrolled.created, enrolled.subject.id) == (False, added.id)
    ((found,),) = gallery.search(UNIT[:1], top_k=5).candidates
    assert found.subject.name == "Ada"
    gallery.close()
    assert open_gallery().subject(added.id).template_count == 1


def test_an_external_id_is_one_subjects(gallery: Gallery) -> None:
    gallery.enroll(UNIT[:1], external_id="a1")
    revision = gallery.revision
    with pytest.raises(SubjectConflictError, match="'a1'"):
        add_subject(gallery, name=None, external_id="a1")
    with pytest.raises(ValueError, match="external id"):
        add_subject(gallery, name=None, external_id="")
    assert (gallery.revision, gallery.subject_count) == (revision, 1)


def test_everybody_is_removed_however_many_writes_it_takes(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index.clearing, "_AT_A_TIME", 3)
    for i in range(7):
        gallery.enroll(UNIT[: 1 + i % 2], subject_id=f"s{i}")
    add_subject(gallery, name=None, external_id="bare")
    revision = gallery.revision
    assert remove_all_subjects(gallery) == Cleared(subjects=8, templates=10)
    assert (gallery.subject_count, gallery.template_count) == (0, 0)
    assert gallery.revision == revision + 3
    assert gallery.search(UNIT[:1], top_k=5).candidates == ((),)
    gallery.verify()
    # Nobody to remove is no write.
    assert remove_all_subjects(gallery) == Cleared()
    assert gallery.revision == revision + 3


def test_probes_are_compared_with_that_very_template(gallery: Gallery) -> None:
    ids = gallery.enroll(UNIT[:2], subject_id="ann").template_ids
    probes = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    for row, template_id in zip(UNIT, ids, strict=False):
        found = compare_with_template(gallery, template_id, probes)
        assert found.subject.id == "ann"
        for probe, similarity in zip(probes, found.similarities, strict=True):
            distance = float(np.linalg.norm(probe.astype(float) - row))
            assert similarity == pytest.approx(max(0, 1 - distance / CONTRACT.d_max), abs=1e-12)


def test_no_template_is_compared_with_that_is_gone_or_not_to_be_found(gallery: Gallery) -> None:
    (expired,) = gallery.enroll(UNIT[:1], expires_at="2001-01-01T00:00:00Z").template_ids
    (removed,) = gallery.enroll(UNIT[:1]).template_ids
    gallery.remove_template(removed)
    for template_id in (expired, removed, "nothing", "\0"):
        with pytest.raises(TemplateNotFoundError):
            compare_with_template(gallery, template_id, UNIT[:1])
