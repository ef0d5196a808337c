"""Feedback that is kept with a collection: the last word counts, and nothing outlives its subject.

On both backends.
"""

import dataclasses
import json
from typing import Any

import pytest

from contract.embedding_contract import EmbeddingContract
from contract.errors import (
    FeedbackNotFoundError,
    FeedbackOutdatedError,
    SubjectNotFoundError,
)
from index.feedback import Told, feedback_page, give_feedback, remove_feedback
from index.gallery import Gallery
from index.reembedding import Reembedding
from index.subject_access import subject_access
from index.tables.feedback import Feedback
from tests.conftest import CONTRACT, UNIT, GalleryOpener

MANY = 1_000
OTHER = EmbeddingContract(id="test:b", size=4, d_max=2.0)
# Thirds have no short text: each bit must come back.
TOLD = Told(
    id="0" * 32,
    verdict="confirmed",
    subject_id="ann",
    subject_similarity=2 / 3,
    other_id="bob",
    other_similarity=1 / 3,
    answered="match",
    contract_id=CONTRACT.id,
    scoring="best",
    gallery_subjects=3,
    gallery_templates=4,
    gallery_revision=5,
    searched_at="2026-01-02T03:04:05.000Z",
)


def told(number: int, **other: Any) -> Told:
    return dataclasses.replace(TOLD, id=f"{number:032x}", **other)


@pytest.fixture
def people(gallery: Gallery) -> Gallery:
    """Subjects ann, bob and cid, of a template each."""
    for place, name in enumerate(("ann", "bob", "cid")):
        gallery.enroll(UNIT[place : place + 1], subject_id=name)
    return gallery


def kept(gallery: Any) -> list[Feedback]:
    return list(feedback_page(gallery, limit=MANY).feedback)


def ids(gallery: Any) -> list[int]:
    return [int(said.id, 16) for said in kept(gallery)]


def table(gallery: Any, name: str) -> str:
    rows = gallery.read(lambda scope: scope.c.execute(f"SELECT * FROM {name}"))
    return repr(rows)


def test_it_is_kept_as_it_was_told_and_outlives_a_restart(
    people: Gallery, open_gallery: GalleryOpener
) -> None:
    said, is_new = give_feedback(people, TOLD, most=MANY)
    assert is_new
    for field in dataclasses.fields(Told):
        if field.name != "other_id":
            assert getattr(said, field.name) == getattr(TOLD, field.name), field
    assert kept(people) == [said]
    people.verify()
    people.close()
    assert kept(open_gallery()) == [said]


def test_it_is_a_write_that_changes_no_search(people: Gallery) -> None:
    before = people.search(UNIT, top_k=3).candidates
    give_feedback(people, TOLD, most=MANY)
    assert people.revision == 4
    assert (people.subject_count, people.template_count) == (3, 3)
    assert people.search(UNIT, top_k=3).candidates == before
    assert people.calibration() is None


def test_the_same_again_is_no_write(people: Gallery) -> None:
    first, _ = give_feedback(people, TOLD, most=MANY)
    assert give_feedback(people, TOLD, most=MANY) == (first, False)
    assert people.revision == 4


def test_the_last_word_counts(people: Gallery) -> None:
    give_feedback(people, told(1), most=MANY)
    give_feedback(people, told(2), most=MANY)
    changed, is_new = give_feedback(
        people,
        told(1, verdict="rejected", other_id="ann", other_similarity=2 / 3),
        most=MANY,
    )
    assert not is_new
    assert (changed.verdict, changed.subject_id, changed.other_similarity) == (
        "rejected", "ann", 2 / 3,
    )  # fmt: skip
    again, _ = give_feedback(
        people,
        told(1, subject_id="cid", subject_similarity=None, other_id="ann", other_similarity=2 / 3),
        most=MANY,
    )
    assert (again.verdict, again.subject_id, again.subject_similarity) == ("confirmed", "cid", None)
    assert [said.id for said in kept(people)] == [told(2).id, told(1).id]
    assert kept(people)[1] == again


def test_pages_go_from_the_newest_to_the_oldest(people: Gallery) -> None:
    for number in range(5):
        give_feedback(people, told(number), most=MANY)
    first = feedback_page(people, limit=2)
    assert [int(said.id, 16) for said in first.feedback] == [4, 3]
    # What comes or goes meanwhile moves nobody.
    give_feedback(people, told(9), most=MANY)
    remove_feedback(people, told(3).id)
    second = feedback_page(people, limit=2, before=first.next_before)
    assert [int(said.id, 16) for said in second.feedback] == [2, 1]
    last = feedback_page(people, limit=2, before=second.next_before)
    assert ([int(said.id, 16) for said in last.feedback], last.next_before) == ([0], None)


@pytest.mark.parametrize("before", ["", "x", "-1", "9" * 19, "١"])
def test_a_cursor_that_is_none_is_refused(people: Gallery, before: str) -> None:
    with pytest.raises(ValueError, match="next_before"):
        feedback_page(people, limit=2, before=before)


def test_the_newest_are_kept(people: Gallery) -> None:
    for number in range(6):
        give_feedback(people, told(number), most=3)
    assert ids(people) == [5, 4, 3]
    give_feedback(people, told(3, verdict="rejected"), most=3)
    assert ids(people) == [5, 4, 3]


def test_it_can_be_taken_back(people: Gallery) -> None:
    give_feedback(people, TOLD, most=MANY)
    remove_feedback(people, TOLD.id)
    assert kept(people) == []
    for gone in (TOLD.id, "", "\0", "nothing"):
        with pytest.raises(FeedbackNotFoundError, match="There is no feedback"):
            remove_feedback(people, gone)
    assert give_feedback(people, TOLD, most=MANY)[1]


def test_who_is_not_there_cannot_be_named(people: Gallery) -> None:
    for nobody in ("zoe", "", "\0"):
        with pytest.raises(SubjectNotFoundError):
            give_feedback(people, told(1, subject_id=nobody), most=MANY)
    assert (kept(people), people.revision) == ([], 3)


def test_a_similarity_to_somebody_who_is_gone_is_nobodys(people: Gallery) -> None:
    said, _ = give_feedback(people, told(1, other_id="zoe"), most=MANY)
    assert (said.other_number, said.other_similarity) == (None, None)
    assert said.subject_similarity == 2 / 3


@pytest.mark.parametrize("gone", ["ann", "bob"])
def test_nothing_of_it_outlives_a_subject_that_it_names(people: Gallery, gone: str) -> None:
    give_feedback(people, told(1), most=MANY)
    give_feedback(people, told(2, subject_id="cid", other_id="cid"), most=MANY)
    people.remove_subject(gone)
    assert ids(people) == [2]
    people.verify()


def test_neither_table_nor_log_names_a_subject(people: Gallery) -> None:
    give_feedback(people, TOLD, most=MANY)
    remove_feedback(people, TOLD.id)
    give_feedback(people, told(1), most=MANY)
    assert "ann" not in table(people, "feedback")
    entries = people.read(
        lambda scope: scope.c.execute(
            "SELECT action, subject_id, detail FROM audit WHERE revision > 3 ORDER BY number"
        )
    )
    assert [(action, who) for action, who, _ in entries] == [
        ("feedback", None),
        ("remove_feedback", None),
        ("feedback", None),
    ]
    assert json.loads(entries[0][2]) == {
        "feedback_id": TOLD.id,
        "verdict": "confirmed",
        "by": None,
    }


def test_a_merge_gives_it_to_the_other_subject(people: Gallery) -> None:
    give_feedback(people, told(1, subject_id="ann", other_id="cid"), most=MANY)
    give_feedback(people, told(2, subject_id="cid", other_id="ann"), most=MANY)
    give_feedback(people, told(3, verdict="rejected", other_id="ann"), most=MANY)
    # Of one person, as is known now: the best similarity of anybody else is not.
    give_feedback(people, told(4, subject_id="ann", other_id="bob"), most=MANY)
    give_feedback(people, told(5, subject_id="bob", other_id="ann"), most=MANY)
    give_feedback(people, told(6, subject_id="bob", other_id=None), most=MANY)
    people.merge_subjects("ann", into="bob")
    (bob,) = {said.subject_number for said in kept(people) if said.subject_id == "bob"}
    (cid,) = {said.subject_number for said in kept(people) if said.subject_id == "cid"}
    assert [
        (int(said.id, 16), said.subject_number, said.other_number) for said in kept(people)
    ] == [(6, bob, None), (3, bob, bob), (2, cid, bob), (1, bob, cid)]
    people.verify()


def test_a_collection_takes_its_feedback_along(
    people: Gallery, open_gallery: GalleryOpener
) -> None:
    people.close()
    staff = open_gallery(collection="staff")
    staff.enroll(UNIT[:2], subject_id="ann")
    # The same receipt in two collections is two.
    give_feedback(staff, told(1, other_id=None), most=MANY)
    staff.close()
    home = open_gallery()
    assert kept(home) == []
    give_feedback(home, told(1), most=MANY)
    assert ids(home) == [1]
    home.galleries.remove_collection("staff")
    assert ids(home) == [1]
    rows = home.read(lambda scope: scope.c.execute("SELECT count(*) FROM feedback"))
    assert rows == [(1,)]


def test_of_one_collection_only_its_own_is_cut_listed_and_removed(
    people: Gallery, open_gallery: GalleryOpener
) -> None:
    for number in range(3):
        give_feedback(people, told(number), most=MANY)
    people.close()
    staff = open_gallery(collection="staff")
    staff.enroll(UNIT[:2], subject_id="ann")
    for number in range(7, 11):
        give_feedback(staff, told(number, other_id=None), most=2)
    assert ids(staff) == [10, 9]
    with pytest.raises(FeedbackNotFoundError):
        remove_feedback(staff, told(1).id)
    staff.close()
    assert ids(open_gallery()) == [2, 1, 0]


def test_on_a_search_by_other_embeddings_nothing_is_kept(people: Gallery) -> None:
    give_feedback(people, told(1), most=MANY)
    job = Reembedding.begin(people, OTHER)
    for page in job.pending():
        job.stage({template.id: UNIT[0] for template in page})
    job.switch()
    with pytest.raises(FeedbackOutdatedError, match="Identify the photo again"):
        give_feedback(people, told(2), most=MANY)
    assert give_feedback(people, told(3, contract_id=OTHER.id), most=MANY)[1]
    assert [said.contract_id for said in kept(people)] == [OTHER.id, CONTRACT.id]


def test_a_subject_is_told_what_is_kept_of_it(people: Gallery) -> None:
    give_feedback(people, told(1), most=MANY)
    give_feedback(people, told(2, verdict="rejected", other_id="ann", other_similarity=0.5),
                  most=MANY)  # fmt: skip
    about = {who: subject_access(people, who)["feedback"] for who in ("ann", "bob", "cid")}
    assert [(f["verdict"], f["similarity"]) for f in about["ann"]] == [
        ("confirmed", 2 / 3),
        ("rejected", 2 / 3),
    ]
    assert [(f["verdict"], f["similarity"]) for f in about["bob"]] == [(None, 1 / 3)]
    assert about["cid"] == []
    assert about["ann"][0]["searched_at"] == TOLD.searched_at
