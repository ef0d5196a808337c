"""Amending and merging subjects; in a file and in PostgreSQL."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from contract.errors import SubjectConflictError, SubjectNotFoundError
from index.gallery import Gallery
from tests.conftest import UNIT, GalleryOpener

FACTS: dict[str, Any] = {
    "name": "Ann",
    "external_id": "7",
    "metadata": {"a": 1},
    "expires_at": "2999-01-01T00:00:00.000Z",
    "consent_ref": "form",
}
OTHER: dict[str, Any] = {
    "name": "Anna",
    "external_id": "8",
    "metadata": {"b": [2]},
    "expires_at": "2998-01-01T00:00:00.000Z",
    "consent_ref": "other form",
}


def found(gallery: Gallery, probe: np.ndarray) -> list[tuple[str, float, str]]:
    (candidates,) = gallery.search(probe[None], top_k=9).candidates
    return [(c.subject.id, c.similarity, c.template_id) for c in candidates]


@pytest.mark.parametrize("field", FACTS)
def test_one_fact_is_changed_and_taken_away_and_the_others_stay(
    gallery: Gallery, field: str
) -> None:
    before = gallery.enroll(UNIT[:1], subject_id="ann", **FACTS).subject
    changed = gallery.update_subject("ann", **{field: OTHER[field]})
    assert changed == dataclasses.replace(before, **{field: OTHER[field]})
    assert gallery.subject("ann") == changed
    (candidate,) = gallery.search(UNIT[:1], top_k=1).candidates[0]
    assert candidate.subject == changed
    without = gallery.update_subject("ann", **{field: None})
    assert without == dataclasses.replace(before, **{field: {} if field == "metadata" else None})
    assert gallery.subject("ann") == without
    assert gallery.revision == 3
    gallery.verify()


def test_amending_what_is_unknown_wrong_or_anothers_is_refused(gallery: Gallery) -> None:
    ann = gallery.enroll(UNIT[:1], subject_id="ann", **FACTS).subject
    gallery.enroll(UNIT[1:2], subject_id="bob", external_id="8")
    with pytest.raises(SubjectNotFoundError, match="'cy'"):
        gallery.update_subject("cy", name="Cy")
    with pytest.raises(SubjectConflictError, match="'8' belongs to the subject 'bob'"):
        gallery.update_subject("ann", external_id="8", name="Bob")
    for facts in ({"name": "a\n"}, {"metadata": {1: 2}}, {"expires_at": "x"}, {"id": "other"}):
        with pytest.raises(ValueError, match=r"name|metadata|expires_at|'id'"):
            gallery.update_subject("ann", **facts)
    assert gallery.subject("ann") == ann
    assert gallery.revision == 2
    # Its own external id again is no conflict.
    assert gallery.update_subject("ann", external_id="7") == ann
    assert gallery.revision == 3


def test_merging_gives_all_templates_to_the_target(gallery: Gallery) -> None:
    gallery.enroll(UNIT[3:], subject_id="other")
    source = gallery.enroll(UNIT[:2], subject_id="source", crops=[b"crop", None]).template_ids
    target = gallery.enroll(UNIT[2:3], subject_id="target").template_ids
    merged = gallery.merge_subjects("source", into="target")
    assert merged == gallery.subject("target")
    assert merged.template_count == 3
    assert [template.id for template in gallery.templates("target")] == [*source, *target]
    assert gallery.crop(source[0]) == b"crop"
    for row, template_id in zip(UNIT, [*source, *target], strict=False):
        assert found(gallery, row)[0] == ("target", 1.0, template_id)
    assert len(found(gallery, UNIT[0])) == 2
    assert (gallery.revision, gallery.subject_count, gallery.template_count) == (4, 2, 4)
    with pytest.raises(SubjectNotFoundError, match="'source'"):
        gallery.subject("source")
    gallery.verify()
    # Its id is free again, and the moved templates go with their new subject.
    assert gallery.enroll(UNIT[:1], subject_id="source").created
    gallery.remove_subject("target")
    assert [subject_id for subject_id, _, _ in found(gallery, UNIT[0])] == ["source", "other"]
    gallery.verify()


@pytest.mark.parametrize("earlier", ["source", "target"])
def test_of_facts_on_both_sides_the_targets_stay_but_the_earlier_expiry_counts(
    gallery: Gallery, earlier: str
) -> None:
    facts = {"source": FACTS, "target": OTHER} if earlier == "target" else None
    facts = facts or {"source": OTHER, "target": FACTS}
    for subject_id, given in facts.items():
        gallery.enroll(UNIT[:1], subject_id=subject_id, **given)
    target = gallery.subject("target")
    assert gallery.merge_subjects("source", into="target") == dataclasses.replace(
        target,
        metadata={"a": 1, "b": [2]},
        expires_at=OTHER["expires_at"],
        template_count=2,
    )
    # The external id that nobody has now can be given again.
    assert gallery.enroll(UNIT[:1], external_id=facts["source"]["external_id"]).created


def test_facts_that_the_target_lacks_come_from_the_source(gallery: Gallery) -> None:
    source = gallery.enroll(UNIT[:1], subject_id="source", **FACTS).subject
    target = gallery.enroll(UNIT[1:2], subject_id="target", metadata={"a": 2}).subject
    assert gallery.merge_subjects("source", into="target") == dataclasses.replace(
        source,
        id="target",
        created_at=target.created_at,
        metadata={"a": 2},
        template_count=2,
    )


def test_wrong_merges_change_nothing(gallery: Gallery) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann")
    for source, target in (("ann", "bob"), ("bob", "ann")):
        with pytest.raises(SubjectNotFoundError, match="'bob'"):
            gallery.merge_subjects(source, into=target)
    with pytest.raises(ValueError, match="merged into itself"):
        gallery.merge_subjects("ann", into="ann")
    assert gallery.revision == 1
    gallery.verify()


def test_a_merge_is_there_after_reopening(open_gallery: GalleryOpener) -> None:
    with open_gallery() as gallery:
        for n, subject_id in enumerate(["ann", "bob"]):
            gallery.enroll(UNIT[n : n + 1], subject_id=subject_id)
        gallery.merge_subjects("ann", into="bob")
        before = found(gallery, UNIT[0])
    with open_gallery() as gallery:
        assert found(gallery, UNIT[0]) == before
        gallery.verify()
