"""Subjects with a time of expiry; in a file and in PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

from contract.errors import SubjectNotFoundError
from index.clock import text_of
from index.gallery import Gallery
from tests.conftest import UNIT

PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


def found(gallery: Gallery, top_k: int) -> list[str]:
    (candidates,) = gallery.search(UNIT[:1], top_k=top_k).candidates
    return [candidate.subject.id for candidate in candidates]


def test_who_has_expired_is_found_by_no_search_and_gives_the_place_to_the_next(
    gallery: Gallery,
) -> None:
    for n in range(60):
        gallery.enroll(
            UNIT[:1] * (1 - n / 100), subject_id=f"s{n}", expires_at=PAST if n < 40 else FUTURE
        )
    for top_k in (1, 2, 20, 21):
        assert found(gallery, top_k) == [f"s{n}" for n in range(40, 60)][:top_k]
    # Until a sweep the subject itself is still there.
    assert gallery.subject("s0").expires_at == "2020-01-01T00:00:00.000Z"
    assert gallery.subject_count == 60


def test_nobody_is_found_where_all_have_expired(gallery: Gallery) -> None:
    for n in range(3):
        gallery.enroll(UNIT[:1], subject_id=f"s{n}", expires_at=PAST)
    assert found(gallery, 1) == []


def test_expiry_begins_at_its_moment(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2100, 5, 1, tzinfo=UTC)
    gallery.enroll(UNIT[:1], subject_id="ann", expires_at="2100-05-01T02:00:00+02:00")

    def set_clock(at: datetime) -> None:
        for module in ("gallery", "open_collection", "writes.scope"):
            monkeypatch.setattr(f"index.{module}.now", lambda: text_of(at))

    set_clock(moment - timedelta(milliseconds=1))
    assert found(gallery, 1) == ["ann"]
    assert gallery.remove_expired() == ()
    set_clock(moment)
    assert found(gallery, 1) == []
    assert gallery.remove_expired() == ("ann",)


def test_a_sweep_removes_who_has_expired_and_nobody_else(gallery: Gallery) -> None:
    for n in range(9):
        gallery.enroll(UNIT, subject_id=f"s{n}", expires_at=[PAST, FUTURE, None][n % 3])
    assert sorted(gallery.remove_expired()) == ["s0", "s3", "s6"]
    assert [s.id for s in gallery.subjects(limit=9).subjects] == [
        "s1",
        "s2",
        "s4",
        "s5",
        "s7",
        "s8",
    ]
    assert (gallery.revision, gallery.template_count) == (10, 24)
    with pytest.raises(SubjectNotFoundError):
        gallery.subject("s0")
    assert gallery.remove_expired() == ()
    assert gallery.revision == 10
    gallery.verify()


def test_a_sweep_goes_on_until_all_are_gone(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.gallery._SWEEP_SUBJECTS", 2)
    for n in range(5):
        gallery.enroll(UNIT[:1], subject_id=f"s{n}", expires_at=PAST)
    assert len(gallery.remove_expired()) == 5
    assert gallery.revision == 5 + 3
    assert gallery.subject_count == 0


def test_a_subject_whose_expiry_is_taken_away_is_found_again(gallery: Gallery) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann", expires_at=PAST)
    gallery.update_subject("ann", expires_at=None)
    assert found(gallery, 1) == ["ann"]
    gallery.update_subject("ann", expires_at=PAST)
    assert found(gallery, 1) == []
