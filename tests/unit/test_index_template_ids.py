"""Templates by ids of the caller's choice: the same call again stores nothing twice."""

from typing import Any

import pytest

from contract.errors import TemplateExistsError
from tests.conftest import UNIT, GalleryOpener


def test_chosen_ids_are_the_templates(gallery: Any) -> None:
    enrolled = gallery.enroll(UNIT[:2], external_id="a", template_ids=["one", "two"])
    assert enrolled.template_ids == ("one", "two")
    assert [t.id for t in gallery.templates(enrolled.subject.id)] == ["one", "two"]


def test_the_same_again_changes_nothing(gallery: Any) -> None:
    enrolled = gallery.enroll(UNIT[:1], external_id="a", template_ids=["one"])
    for who in ("a", "b"):
        with pytest.raises(TemplateExistsError, match="one"):
            gallery.enroll(UNIT[1:3], external_id=who, template_ids=["new", "one"])
    assert gallery.subject_count == gallery.template_count == 1
    assert gallery.revision == enrolled.revision
    gallery.verify()
    again = gallery.enroll(UNIT[1:2], external_id="b", template_ids=["two"])
    assert again.revision == enrolled.revision + 1


def test_an_id_is_free_again_when_its_template_is_removed(gallery: Any) -> None:
    gallery.enroll(UNIT[:1], template_ids=["one"])
    gallery.remove_template("one")
    gallery.enroll(UNIT[:1], template_ids=["one"])
    assert gallery.template_count == 1


@pytest.mark.parametrize(
    "ids", [[], ["one"], ["one", "one"], ["one", "two", "three"], ["a b", "c"]]
)
def test_ids_that_cannot_be_are_refused(gallery: Any, ids: list[str]) -> None:
    with pytest.raises(ValueError, match="id"):
        gallery.enroll(UNIT[:2], template_ids=ids)
    assert gallery.template_count == 0


def test_a_collection_says_when_it_was_made(open_gallery: GalleryOpener) -> None:
    first = open_gallery(collection="a")
    assert first.created_at().startswith("20")
    assert first.created_at() == first.created_at()
