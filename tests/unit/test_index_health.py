"""The health report of galleries with planted faults; in a file and in PostgreSQL."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from contract.embedding_contract import EmbeddingContract
from contract.errors import GalleryTooLargeError
from index.gallery import Gallery
from index.health.records import (
    DuplicateSubjects,
    HealthReport,
    MislabelledTemplate,
    OutlyingTemplates,
    Side,
)
from index.health.report import MIN_SUBJECTS, health_report
from index.scoring import mean_embedding
from tests.conftest import GalleryOpener

Rows = npt.NDArray[np.float32]

SIZE = 32
CONTRACT = EmbeddingContract(id="test:health", size=SIZE, d_max=2.0)


class People:
    """Photos of people who are drawn at random on a sphere, near to each one's own direction."""

    def __init__(self, seed: int = 0, noise: float = 0.5) -> None:
        self._choose = np.random.default_rng(seed)
        self._noise = noise / np.sqrt(SIZE)
        self._faces: dict[str, Any] = {}

    def photos(self, person: str, count: int = 1) -> Rows:
        """float32 (count, SIZE), of length 1, another one each time."""
        face = self._faces.setdefault(person, unit(self._choose.normal(size=SIZE)))
        noise = self._choose.normal(size=(count, SIZE)) * self._noise
        return np.asarray(unit(face + noise), dtype=np.float32)


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def enrol(gallery: Gallery, subject_id: str, rows: Iterable[Rows], **facts: Any) -> tuple[str, ...]:
    return gallery.enroll(np.concatenate(list(rows)), subject_id=subject_id, **facts).template_ids


def fill(gallery: Gallery, people: People, count: int = 40, sizes: tuple[int, ...] = (3,)) -> None:
    """Subjects s0, s1, … of one person each, without a fault."""
    for n in range(count):
        enrol(gallery, f"s{n}", [people.photos(f"s{n}", sizes[n % len(sizes)])])


def is_clean(report: HealthReport) -> bool:
    return not (report.duplicates or report.mislabelled or report.outlying)


@pytest.fixture
def gallery(open_gallery: GalleryOpener) -> Any:
    """An empty gallery of SIZE numbers an embedding."""
    return open_gallery(CONTRACT)


def similarity(one: Rows, other: Rows) -> float:
    """Of mean templates, exact."""
    a, b = (mean_embedding(rows).astype(np.float64) for rows in (one, other))
    return float(1 - np.linalg.norm(a - b) / 2)


def test_each_kind_of_fault_is_found_and_nothing_else(gallery: Gallery) -> None:
    people = People()
    fill(gallery, people, 40, sizes=(1, 2, 3, 5))
    one, other = people.photos("twice", 3), people.photos("twice", 2)
    enrol(gallery, "ann", [one])
    enrol(gallery, "anna", [other])
    single, pair = people.photos("single", 1), people.photos("single", 2)
    enrol(gallery, "bob", [pair])
    enrol(gallery, "bobby", [single])
    own, strayed = people.photos("cy", 3), people.photos("s3", 1)
    cy = enrol(gallery, "cy", [own, strayed])
    dee = enrol(gallery, "dee", [people.photos("stranger"), people.photos("dee", 3)])
    eve = enrol(gallery, "eve", [people.photos("other stranger"), people.photos("eve")])
    fay = enrol(gallery, "fay", [people.photos("fay"), people.photos("s6")])

    report = health_report(gallery)

    stored = gallery.stored()
    assert report.collection_id == "default"
    assert report.gallery_revision == stored.revision
    assert (report.subject_count, report.template_count) == (
        stored.subject_count,
        stored.template_count,
    )
    assert report.single_template_subject_count == 11
    assert report.too_little is None
    assert {(d.first, d.second) for d in report.duplicates} == {
        (
            Side(subject_id="ann", template_count=3, nearest_count=3),
            Side(subject_id="anna", template_count=2, nearest_count=2),
        ),
        (
            Side(subject_id="bob", template_count=2, nearest_count=2),
            Side(subject_id="bobby", template_count=1, nearest_count=1),
        ),
    }
    by_id = {d.first.subject_id: d.similarity for d in report.duplicates}
    assert by_id["ann"] == pytest.approx(similarity(one, other), abs=1e-6)
    assert by_id["bob"] == pytest.approx(similarity(pair, single), abs=1e-6)
    assert [d.similarity for d in report.duplicates] == sorted(by_id.values(), reverse=True)
    assert report.duplicate_similarity == min(by_id.values())
    assert {(m.template_id, m.subject_id, m.looks_like) for m in report.mislabelled} == {
        (cy[3], "cy", "s3"),
        (fay[1], "fay", "s6"),
    }
    found = {m.subject_id: m for m in report.mislabelled}
    assert found["cy"].own_similarity == pytest.approx(similarity(strayed, own), abs=1e-6)
    assert found["cy"].similarity > 0.6 > found["cy"].own_similarity
    # Of two templates that are unlike each other nobody can tell which is wrong.
    assert {(o.template_ids, o.subject_id) for o in report.outlying} == {
        ((dee[0],), "dee"),
        (eve, "eve"),
    }
    assert all(o.strangers_nearer >= 0.07 for o in report.outlying)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sizes", [(1,), (2,), (5,), (1, 2, 3)])
def test_a_clean_gallery_has_no_report(
    open_gallery: GalleryOpener, sizes: tuple[int, ...], seed: int
) -> None:
    with open_gallery(CONTRACT) as gallery:
        fill(gallery, People(seed), 60, sizes=sizes)
        assert is_clean(health_report(gallery))


def test_a_mislabelled_template_makes_no_duplicate_of_its_two_subjects(gallery: Gallery) -> None:
    people = People()
    fill(gallery, people, 40, sizes=(2,))
    for n in range(6):
        enrol(gallery, f"x{n}", [people.photos(f"x{n}"), people.photos(f"s{n}")])
    report = health_report(gallery)
    assert report.duplicates == ()
    assert {(m.subject_id, m.looks_like) for m in report.mislabelled} == {
        (f"x{n}", f"s{n}") for n in range(6)
    }
    assert report.outlying == ()


def test_duplicates_have_no_mislabelled_templates_of_each_other(gallery: Gallery) -> None:
    people = People(noise=0.6)
    fill(gallery, people, 60, sizes=(1, 2, 3))
    for n in range(6):
        enrol(gallery, f"t{n}", [people.photos(f"s{10 + n}", 1 + n % 3)])
    report = health_report(gallery)
    assert {(d.first.subject_id, d.second.subject_id) for d in report.duplicates} == {
        (f"s{10 + n}", f"t{n}") for n in range(6)
    }
    assert (report.mislabelled, report.outlying) == ((), ())


def test_several_ids_of_one_person_are_connected(gallery: Gallery) -> None:
    people = People()
    fill(gallery, people)
    for name in ("a", "b", "c", "d"):
        enrol(gallery, name, [people.photos("one", 2)])
    connected = {"a"}
    pairs = [{d.first.subject_id, d.second.subject_id} for d in health_report(gallery).duplicates]
    for _ in pairs:
        connected |= {name for pair in pairs if pair & connected for name in pair}
    assert connected == {"a", "b", "c", "d"}


def test_the_same_photo_under_two_ids_is_a_duplicate(gallery: Gallery) -> None:
    people = People()
    fill(gallery, people, 30, sizes=(1,))
    photo = people.photos("copied")
    enrol(gallery, "a", [photo])
    enrol(gallery, "b", [photo])
    (pair,) = health_report(gallery).duplicates
    assert pair.similarity == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("count", [0, 1, 2, MIN_SUBJECTS - 1])
def test_too_few_subjects_are_not_judged(gallery: Gallery, count: int) -> None:
    people = People()
    fill(gallery, people, count)
    report = health_report(gallery)
    assert report.too_little is not None
    assert f"{count} subjects" in report.too_little
    assert str(MIN_SUBJECTS) in report.too_little
    assert is_clean(report)
    assert (report.subject_count, report.template_count) == (count, 3 * count)


def test_the_fewest_subjects_that_are_judged_show_a_duplicate(gallery: Gallery) -> None:
    people = People(noise=0.3)
    fill(gallery, people, MIN_SUBJECTS - 1)
    enrol(gallery, "again", [people.photos("s4", 3)])
    report = health_report(gallery)
    assert report.too_little is None
    assert [(d.first.subject_id, d.second.subject_id) for d in report.duplicates] == [
        ("s4", "again")
    ]


def test_who_has_expired_is_not_looked_at(gallery: Gallery) -> None:
    people = People()
    fill(gallery, people)
    past, future = "2020-01-01T00:00:00Z", "2990-01-01T00:00:00Z"
    enrol(gallery, "gone", [people.photos("s0", 2)], expires_at=past)
    enrol(gallery, "mixed", [people.photos("a"), people.photos("s2")], expires_at=past)
    enrol(gallery, "there", [people.photos("s1", 2)], expires_at=future)
    report = health_report(gallery)
    assert [d.second.subject_id for d in report.duplicates] == ["there"]
    assert (report.subject_count, report.mislabelled, report.outlying) == (41, (), ())


def test_what_is_removed_or_moved_while_it_computes_is_not_reported(gallery: Gallery) -> None:
    people = People()
    fill(gallery, people)
    for n in range(2):
        enrol(gallery, f"t{n}", [people.photos(f"s{n}", 3)])
    wrong = [
        enrol(gallery, f"w{n}", [people.photos(f"w{n}", 2), people.photos(f"s{10 + n}")])
        for n in range(4)
    ]
    out = [
        enrol(gallery, f"o{n}", [people.photos(f"o{n}", 2), people.photos(f"nobody {n}")])
        for n in range(3)
    ]
    before = health_report(gallery)
    assert (len(before.duplicates), len(before.mislabelled), len(before.outlying)) == (2, 4, 3)
    changed = False

    def progress(done: float) -> None:
        nonlocal changed
        if not changed and done > 0.1:
            changed = True
            gallery.remove_subject("t0")
            gallery.remove_template(wrong[0][2])
            gallery.remove_subject("s11")
            gallery.merge_subjects("w2", into="s12")
            gallery.remove_template(out[0][2])
            gallery.update_subject("o1", expires_at="2020-01-01T00:00:00Z")

    after = health_report(gallery, progress=progress)
    assert changed
    assert after.gallery_revision == before.gallery_revision
    assert [d.second.subject_id for d in after.duplicates] == ["t1"]
    assert [m.template_id for m in after.mislabelled] == [wrong[3][2]]
    assert [o.template_ids for o in after.outlying] == [(out[2][2],)]


def test_a_larger_gallery_than_allowed_is_refused_in_words(gallery: Gallery) -> None:
    fill(gallery, People(), 3)
    with pytest.raises(GalleryTooLargeError, match=r"has 9 templates.*takes 8 at most"):
        health_report(gallery, max_templates=8)
    assert health_report(gallery, max_templates=9).template_count == 9


def test_progress_rises_to_one_and_may_stop_it(gallery: Gallery) -> None:
    fill(gallery, People())
    told: list[float] = []
    health_report(gallery, progress=told.append)
    assert told[0] == 0.0
    assert told[-1] == 1.0
    assert told == sorted(told)

    class StopError(Exception):
        pass

    def stop(done: float) -> None:
        if done > 0.2:
            raise StopError

    with pytest.raises(StopError):
        health_report(gallery, progress=stop)
    gallery.verify()


def test_a_report_holds_no_embeddings(gallery: Gallery) -> None:
    people = People()
    fill(gallery, people)
    enrol(gallery, "t", [people.photos("s0", 3)])
    enrol(gallery, "w", [people.photos("w", 2), people.photos("s1")])
    enrol(gallery, "o", [people.photos("o", 2), people.photos("nobody")])
    report = health_report(gallery)
    records = [*report.duplicates, *report.mislabelled, *report.outlying]
    assert {type(record) for record in records} == {
        DuplicateSubjects,
        MislabelledTemplate,
        OutlyingTemplates,
    }
    plain = (str, int, float, type(None), tuple, Side)
    for record in [report, *records]:
        for name in record.__dataclass_fields__:
            assert isinstance(getattr(record, name), plain)
