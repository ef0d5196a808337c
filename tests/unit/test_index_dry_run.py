"""Gallery.enroll with dry_run: what it would answer or refuse, in a file and in PostgreSQL."""

import dataclasses
from typing import Any

import pytest

from contract.errors import SubjectConflictError, TemplateExistsError
from index.gallery import Gallery
from index.tables import audit
from tests.conftest import UNIT

FACTS: dict[str, Any] = {
    "name": "Ann",
    "external_id": "7",
    "metadata": {"a": 1},
    "consent_ref": "form 1",
    "expires_at": "2999-01-01T00:00:00.000Z",
}


def state(gallery: Gallery) -> Any:
    entries = gallery.read(lambda s: audit.entries_of(s.c, gallery.collection_id, "ann"))
    found = gallery.search(UNIT, top_k=3)
    return gallery.stored(), gallery.subjects(limit=9), entries, found


@pytest.mark.parametrize("there", [False, True])
def test_it_answers_what_the_enrolment_would_and_stores_nothing(
    gallery: Gallery, there: bool
) -> None:
    if there:
        gallery.enroll(UNIT[:1], subject_id="ann", **FACTS)
    before = state(gallery)
    dry = gallery.enroll(UNIT[1:3], subject_id="ann", **FACTS, dry_run=True)
    assert state(gallery) == before
    assert dry.revision == gallery.revision
    real = gallery.enroll(UNIT[1:3], subject_id="ann", **FACTS)
    assert len(dry.template_ids) == len(real.template_ids)
    assert not {*dry.template_ids} & {*real.template_ids}
    assert dry.created == real.created is not there
    a, b = dry.subject, real.subject
    assert dataclasses.replace(a, created_at="") == dataclasses.replace(b, created_at="")
    gallery.verify()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"subject_id": "ann", "name": "Anna"}, SubjectConflictError),
        ({"subject_id": "ann", "metadata": {}}, SubjectConflictError),
        ({"subject_id": "bob", "external_id": "7"}, SubjectConflictError),
        ({"template_ids": ["t-1"]}, TemplateExistsError),
        ({"subject_id": "../ann"}, ValueError),
        ({"expires_at": "tomorrow"}, ValueError),
        ({"crops": [b""]}, ValueError),
    ],
)
def test_it_refuses_what_the_enrolment_would(
    gallery: Gallery, given: dict[str, Any], error: type[Exception]
) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann", template_ids=["t-1"], **FACTS)
    before = state(gallery)
    said = []
    for dry_run in (True, False):
        with pytest.raises(error) as refused:
            gallery.enroll(UNIT[1:2], **given, dry_run=dry_run)
        said.append(str(refused.value))
    assert said[0] == said[1]
    assert state(gallery) == before
