"""Gallery: what enrolling, removing, listing and searching mean; in a file and in PostgreSQL."""

import dataclasses
import re
import threading
from typing import Any

import numpy as np
import pytest

from contract.errors import (
    GalleryUnavailableError,
    SubjectConflictError,
    SubjectNotFoundError,
    TemplateNotFoundError,
)
from index.gallery import Gallery
from index.records import Candidate, SearchResult
from index.tables import audit
from tests.conftest import CONTRACT, UNIT, GalleryOpener

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def ids(result: SearchResult) -> list[list[str]]:
    return [[c.subject.id for c in candidates] for candidates in result.candidates]


def counts(gallery: Gallery) -> tuple[int, int, int]:
    return gallery.revision, gallery.subject_count, gallery.template_count


def log_of(gallery: Gallery, subject_id: str) -> list[tuple[int, str, str]]:
    entries = gallery.read(
        lambda scope: audit.entries_of(scope.c, gallery.collection_id, subject_id)
    )
    assert all(re.fullmatch(MOMENT, entry.at) for entry in entries)
    return [(entry.revision, entry.action, entry.detail) for entry in entries]


def test_a_new_gallery_is_empty_and_answers(gallery: Gallery) -> None:
    assert counts(gallery) == (0, 0, 0)
    assert gallery.contract == CONTRACT
    assert gallery.collection_id == "default"
    assert gallery.search(UNIT[:2], top_k=3) == SearchResult(candidates=((), ()), revision=0)
    assert gallery.search(UNIT[:0], top_k=3) == SearchResult(candidates=(), revision=0)
    assert gallery.subjects(limit=10).subjects == ()
    assert gallery.remove_expired() == ()
    assert gallery.revision == 0
    gallery.verify()


def test_enrolling_and_finding(gallery: Gallery) -> None:
    enrolled = gallery.enroll(
        UNIT[:2],
        name="Ann",
        external_id="staff 7",
        metadata={"b": [1, None], "a": "ö"},
        consent_ref="form 12",
        expires_at="2999-01-01T00:00:00+01:00",
    )
    subject = enrolled.subject
    assert enrolled.created
    assert enrolled.revision == 1
    assert len(set(enrolled.template_ids)) == 2
    assert re.fullmatch(r"[0-9a-f]{32}", subject.id)
    assert re.fullmatch(MOMENT, subject.created_at)
    assert (subject.name, subject.external_id) == ("Ann", "staff 7")
    assert subject.metadata == {"a": "ö", "b": [1, None]}
    assert subject.template_count == 2
    assert subject.consent_ref == "form 12"
    assert subject.expires_at == "2998-12-31T23:00:00.000Z"
    assert gallery.subject(subject.id) == subject
    bob = gallery.enroll(UNIT[2:3], subject_id="bob").subject
    found = gallery.search(UNIT[1:3], top_k=5)
    assert found == SearchResult(
        candidates=(
            (
                Candidate(subject=subject, similarity=1.0, template_id=enrolled.template_ids[1]),
                dataclasses.replace(found.candidates[0][1], subject=bob),
            ),
            (
                dataclasses.replace(found.candidates[1][0], subject=bob, similarity=1.0),
                dataclasses.replace(found.candidates[1][1], subject=subject),
            ),
        ),
        revision=2,
    )
    assert found.candidates[0][1].similarity == pytest.approx(1 - np.sqrt(2) / 2)
    assert ids(gallery.search(UNIT[1:3], top_k=1)) == [[subject.id], ["bob"]]


def test_templates_are_added_by_subject_id_or_external_id(gallery: Gallery) -> None:
    facts: dict[str, Any] = {
        "name": "Ann",
        "external_id": "7",
        "metadata": {"a": 1},
        "expires_at": "2999-01-01T00:00:00Z",
        "consent_ref": "c",
    }
    first = gallery.enroll(UNIT[:1], subject_id="ann", **facts)
    by_id = gallery.enroll(UNIT[1:2], subject_id="ann")
    by_external_id = gallery.enroll(UNIT[2:3], external_id="7")
    same = gallery.enroll(
        UNIT[3:], subject_id="ann", **{**facts, "expires_at": "2999-01-01T01:00:00+01:00"}
    )
    assert [e.created for e in (first, by_id, by_external_id, same)] == [True, False, False, False]
    assert same.subject == dataclasses.replace(first.subject, template_count=4)
    assert gallery.subject("ann") == same.subject
    assert counts(gallery) == (4, 1, 4)
    held = gallery.templates("ann")
    expected = [e.template_ids[0] for e in (first, by_id, by_external_id, same)]
    assert [template.id for template in held] == expected
    assert [template.created_at for template in held] == sorted(t.created_at for t in held)
    gallery.verify()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"subject_id": "ann", "name": "Bob"}, r"name 'Ann'.*'Bob'"),
        ({"subject_id": "ann", "external_id": "8"}, r"external id '7'.*'8'"),
        ({"subject_id": "bob", "name": "Bob"}, r"name None.*'Bob'"),
        ({"subject_id": "bob", "external_id": "7"}, r"'7' belongs to the subject 'ann'"),
        ({"subject_id": "new", "external_id": "7"}, r"'7' belongs to the subject 'ann'"),
        ({"external_id": "7", "name": "Bob"}, r"name 'Ann'.*'Bob'"),
        ({"subject_id": "ann", "metadata": {"a": 2}}, "metadata"),
        ({"subject_id": "ann", "metadata": {}}, "metadata"),
        ({"external_id": "7", "metadata": {"a": True}}, "metadata"),
        ({"subject_id": "ann", "expires_at": "2999-01-01T00:00:00Z"}, "time of expiry None"),
        ({"subject_id": "ann", "consent_ref": "other"}, r"consent reference 'form'.*'other'"),
    ],
)
def test_conflicts_change_nothing(gallery: Gallery, given: dict[str, Any], words: str) -> None:
    gallery.enroll(
        UNIT[:1],
        subject_id="ann",
        name="Ann",
        external_id="7",
        metadata={"a": 1},
        consent_ref="form",
    )
    gallery.enroll(UNIT[1:2], subject_id="bob")
    with pytest.raises(SubjectConflictError, match=words):
        gallery.enroll(UNIT[2:3], **given)
    assert counts(gallery) == (2, 2, 2)
    gallery.verify()
    assert gallery.enroll(UNIT[2:3]).revision == 3


def test_what_cannot_be_used_is_refused_and_changes_nothing(gallery: Gallery) -> None:
    for embeddings in (UNIT[:0], UNIT[:, :3], UNIT * np.float32(np.nan)):
        with pytest.raises(ValueError, match=r"[Ee]mbedding"):
            gallery.enroll(embeddings)
    for given in (
        {"subject_id": "a/b"},
        {"name": ""},
        {"external_id": "\t"},
        {"metadata": {"a": float("nan")}},
        {"expires_at": "tomorrow"},
        {"consent_ref": "c" * 129},
        {"crops": [b"x"]},
        {"crops": [b"", None, None, None]},
    ):
        with pytest.raises(ValueError, match=r"The |There must be|A crop|expires_at"):
            gallery.enroll(UNIT, **given)  # type: ignore[arg-type]
    assert gallery.revision == 0


def test_the_longest_facts_are_kept(gallery: Gallery) -> None:
    longest = {"subject_id": "a" + "._:@+~-Z9" * 14, "name": "名" * 256, "external_id": "é" * 128}
    subject = gallery.enroll(UNIT, **longest, metadata={"n": 10**30}, consent_ref="€" * 128).subject
    assert gallery.subject(longest["subject_id"]) == subject
    assert (subject.name, subject.external_id) == (longest["name"], longest["external_id"])
    assert subject.metadata == {"n": 10**30}
    assert subject.consent_ref == "€" * 128


def test_wrong_searches_and_pages_are_refused(gallery: Gallery) -> None:
    for top_k in (0, -1):
        with pytest.raises(ValueError, match="top_k"):
            gallery.search(UNIT, top_k=top_k)
    with pytest.raises(ValueError, match="Probes"):
        gallery.search(UNIT[:, :2], top_k=1)
    for limit in (0, 1001):
        with pytest.raises(ValueError, match="limit"):
            gallery.subjects(limit=limit)
    for after in ("", "x", "-1", "²", "9" * 19):
        with pytest.raises(ValueError, match="next_after"):
            gallery.subjects(limit=1, after=after)


def test_removing_a_subject(gallery: Gallery) -> None:
    gallery.enroll(UNIT[:2], subject_id="ann", external_id="7")
    gallery.enroll(UNIT[2:], subject_id="bob")
    assert gallery.remove_subject("ann") == 3
    assert counts(gallery) == (3, 1, 2)
    assert ids(gallery.search(UNIT[:1], top_k=5)) == [["bob"]]
    for call in (gallery.subject, gallery.templates, gallery.remove_subject):
        with pytest.raises(SubjectNotFoundError, match="'ann'"):
            call("ann")
    assert gallery.revision == 3
    # Both ids are free again.
    assert gallery.enroll(UNIT[:1], subject_id="ann").created
    assert gallery.enroll(UNIT[:1], external_id="7").created
    gallery.verify()


def test_removing_one_template_leaves_its_subject(gallery: Gallery) -> None:
    first, second = gallery.enroll(UNIT[:2], subject_id="ann", crops=[b"1", b"2"]).template_ids
    gallery.enroll(UNIT[2:3], subject_id="bob")
    assert gallery.remove_template(first) == 3
    assert counts(gallery) == (3, 2, 2)
    assert [template.id for template in gallery.templates("ann")] == [second]
    assert (gallery.crop(first), gallery.crop(second)) == (None, b"2")
    (found,) = gallery.search(UNIT[:1], top_k=5).candidates
    assert [(c.subject.id, c.template_id == second) for c in found] == [
        ("ann", True),
        ("bob", False),
    ]
    with pytest.raises(TemplateNotFoundError, match=first):
        gallery.remove_template(first)
    # Not even its last one takes the subject along; only nobody finds it.
    gallery.remove_template(second)
    assert gallery.subject("ann").template_count == 0
    assert gallery.templates("ann") == ()
    assert ids(gallery.search(UNIT[:1], top_k=5)) == [["bob"]]
    gallery.verify()
    gallery.enroll(UNIT[:1], subject_id="ann")
    assert ids(gallery.search(UNIT[:1], top_k=1)) == [["ann"]]


def test_a_crop_is_given_back_as_it_was(gallery: Gallery) -> None:
    picture = bytes(range(256)) * 4_096
    done = gallery.enroll(UNIT[:2], subject_id="ann", crops=[picture, None])
    assert [gallery.crop(template_id) for template_id in done.template_ids] == [picture, None]
    assert [template.has_crop for template in gallery.templates("ann")] == [True, False]
    assert gallery.crop("nothing") is None
    gallery.remove_subject("ann")
    assert gallery.crop(done.template_ids[0]) is None


def test_pages_go_on_when_their_last_subject_is_removed(gallery: Gallery) -> None:
    for n in range(7):
        gallery.enroll(UNIT[:1], subject_id=f"s{n}")
    first = gallery.subjects(limit=3)
    assert [s.id for s in first.subjects] == ["s0", "s1", "s2"]
    for gone in ("s2", "s3"):
        gallery.remove_subject(gone)
    gallery.enroll(UNIT[:1], subject_id="s2")
    second = gallery.subjects(limit=2, after=first.next_after)
    assert [s.id for s in second.subjects] == ["s4", "s5"]
    third = gallery.subjects(limit=2, after=second.next_after)
    assert [s.id for s in third.subjects] == ["s6", "s2"]
    assert third.next_after is None


def test_numbers_are_never_given_out_again(gallery: Gallery) -> None:
    """A page's end or a late hit may name a row that is gone; it must not name a new one."""
    for n in range(4):
        gallery.enroll(UNIT[:1], subject_id=f"s{n}")
    first = gallery.subjects(limit=3)
    for gone in ("s2", "s3"):
        gallery.remove_subject(gone)
    gallery.enroll(UNIT[:1], subject_id="s4")
    assert [s.id for s in gallery.subjects(limit=3, after=first.next_after).subjects] == ["s4"]
    numbers = gallery.read(lambda scope: scope.c.execute("SELECT number FROM templates"))
    assert sorted(numbers) == [(1,), (2,), (5,)]


def test_what_was_acknowledged_is_there_after_reopening(open_gallery: GalleryOpener) -> None:
    with open_gallery() as gallery:
        ann = gallery.enroll(UNIT[:2], subject_id="ann", metadata={"k": "v"}, crops=[b"c", None])
        gallery.enroll(UNIT[2:], subject_id="bob")
        gallery.remove_subject("bob")
        before = gallery.search(UNIT, top_k=5)
        held = gallery.templates("ann")
    with open_gallery(None) as gallery:
        assert gallery.contract == CONTRACT
        assert gallery.search(UNIT, top_k=5) == before
        assert gallery.subject("ann") == ann.subject
        assert gallery.templates("ann") == held
        assert gallery.crop(ann.template_ids[0]) == b"c"
        assert counts(gallery) == (3, 1, 2)
        gallery.verify()


def test_embeddings_are_stored_bit_for_bit(gallery: Gallery) -> None:
    smallest = np.finfo(np.float32).smallest_subnormal
    given = np.array([[0.1, -0.0, smallest, 65_504], [1 / 3, -1e-7, 0, -65_504]], dtype=np.float32)
    gallery.enroll(given)

    def stored(scope: Any) -> list[bytes]:
        rows = scope.c.execute("SELECT embedding FROM templates ORDER BY number")
        return [row.tobytes() for row in scope.c.unpack([row[0] for row in rows], size=4)]

    assert gallery.read(stored) == [row.tobytes() for row in given]
    for row in given:
        assert gallery.search(row[None], top_k=1).candidates[0][0].similarity == 1.0


def test_a_closed_gallery_refuses_everything(open_gallery: GalleryOpener) -> None:
    gallery = open_gallery()
    gallery.close()
    gallery.close()
    for call in (
        lambda: gallery.enroll(UNIT),
        lambda: gallery.search(UNIT, top_k=1),
        lambda: gallery.subject("ann"),
        lambda: gallery.subjects(limit=1),
        lambda: gallery.remove_subject("ann"),
        lambda: gallery.remove_expired(),
        lambda: gallery.revision,
        gallery.verify,
    ):
        with pytest.raises(GalleryUnavailableError, match="closed"):
            call()


def test_each_write_is_in_the_audit_log_without_names_and_embeddings(gallery: Gallery) -> None:
    ann = gallery.enroll(UNIT[:2], subject_id="ann", name="Annabel Secret")
    gallery.update_subject("ann", name="Ann Secret", consent_ref="c")
    gallery.remove_template(ann.template_ids[0])
    gallery.enroll(UNIT[2:3], subject_id="bob")
    gallery.merge_subjects("bob", into="ann")
    gallery.update_subject("ann", expires_at="2020-01-01T00:00:00Z")
    gallery.remove_expired()
    gallery.enroll(UNIT[:1], subject_id="ann")
    gallery.remove_subject("ann")
    with pytest.raises(SubjectNotFoundError):
        gallery.remove_subject("ann")
    first, second = ann.template_ids
    assert log_of(gallery, "ann") == [
        (1, "enrol", f'{{"template_ids": ["{first}", "{second}"], "by": null}}'),
        (2, "amend", '{"fields": ["consent_ref", "name"], "by": null}'),
        (3, "remove_template", f'{{"template_ids": ["{first}"], "by": null}}'),
        (5, "merge", '{"source_id": "bob", "by": null}'),
        (6, "amend", '{"fields": ["expires_at"], "by": null}'),
        (7, "expire", '{"templates": 2, "embeddings": 2, "crops": 0, "feedback": 0, "by": null}'),
        (8, "enrol", log_of(gallery, "ann")[6][2]),
        (9, "remove", '{"templates": 1, "embeddings": 1, "crops": 0, "feedback": 0, "by": null}'),
    ]
    assert [entry[:2] for entry in log_of(gallery, "bob")] == [(4, "enrol"), (5, "merged_away")]
    whole = gallery.read(lambda scope: scope.c.execute("SELECT * FROM audit"))
    assert "Secret" not in str(whole)


def test_threads_see_each_write_whole(gallery: Gallery) -> None:
    """Writers enrol pairs and remove them; a search that sees half of one finds an odd count."""
    gallery.enroll(UNIT[3:], subject_id="fixed")
    faults: list[object] = []
    done = threading.Event()

    def write(name: str) -> None:
        for n in range(15):
            gallery.enroll(UNIT[:2], subject_id=f"{name}{n}")
            if n % 2:
                gallery.remove_subject(f"{name}{n}")

    def read() -> None:
        last = 0
        while not done.is_set():
            result = gallery.search(UNIT[:2], top_k=200)
            first, second = ({c.subject.id for c in found} for found in result.candidates)
            inexact = [c for found in result.candidates for c in found
                       if c.subject.id != "fixed" and c.similarity != 1.0]  # fmt: skip
            if first != second or inexact or "fixed" not in first or result.revision < last:
                faults.append(result)
            last = result.revision

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert faults == []
    assert counts(gallery) == (1 + 2 * (15 + 7), 17, 33)
    gallery.verify()
