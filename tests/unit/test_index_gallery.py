"""Gallery: what enrolling, removing, listing and searching mean."""

import dataclasses
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from contract.errors import (
    GalleryError,
    GalleryUnavailableError,
    SubjectConflictError,
    SubjectNotFoundError,
)
from index.flat import FlatIndex
from index.gallery import Gallery
from index.records import Candidate, SearchResult, TemplateBatch
from index.store import GalleryStore

CONTRACT = EmbeddingContract(id="test:a", size=4, d_max=2.0)
UNIT = np.eye(4, dtype=np.float32)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as opened:
        yield opened


def ids(result: SearchResult) -> list[list[str]]:
    return [[c.subject.id for c in candidates] for candidates in result.candidates]


def test_a_new_gallery_is_empty_and_answers(gallery: Gallery) -> None:
    assert (gallery.revision, gallery.subject_count, gallery.template_count) == (0, 0, 0)
    assert gallery.contract is CONTRACT
    assert gallery.search(UNIT[:2], top_k=3) == SearchResult(candidates=((), ()), revision=0)
    assert gallery.search(UNIT[:0], top_k=3) == SearchResult(candidates=(), revision=0)
    assert gallery.subjects(limit=10).subjects == ()
    gallery.verify()


def test_enrolling_and_finding(gallery: Gallery) -> None:
    enrolled = gallery.enroll(
        UNIT[:2], name="Ann", external_id="staff 7", metadata={"b": [1, None], "a": "ö"}
    )
    subject = enrolled.subject
    assert enrolled.created
    assert enrolled.revision == 1
    assert len(set(enrolled.template_ids)) == 2
    assert re.fullmatch(r"[0-9a-f]{32}", subject.id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", subject.created_at)
    assert (subject.name, subject.external_id) == ("Ann", "staff 7")
    assert subject.metadata == {"a": "ö", "b": [1, None]}
    assert subject.template_count == 2
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
    first = gallery.enroll(
        UNIT[:1], subject_id="ann", name="Ann", external_id="7", metadata={"a": 1}
    )
    by_id = gallery.enroll(UNIT[1:2], subject_id="ann")
    by_external_id = gallery.enroll(UNIT[2:3], external_id="7")
    same = gallery.enroll(
        UNIT[3:], subject_id="ann", name="Ann", external_id="7", metadata={"a": 1}
    )
    assert [e.created for e in (first, by_id, by_external_id, same)] == [True, False, False, False]
    assert same.subject == dataclasses.replace(first.subject, template_count=4)
    assert gallery.subject("ann") == same.subject
    assert (gallery.subject_count, gallery.template_count, gallery.revision) == (1, 4, 4)
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
    ],
)
def test_conflicts_change_nothing(gallery: Gallery, given: dict[str, object], words: str) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann", name="Ann", external_id="7", metadata={"a": 1})
    gallery.enroll(UNIT[1:2], subject_id="bob")
    with pytest.raises(SubjectConflictError, match=words):
        gallery.enroll(UNIT[2:3], **given)  # type: ignore[arg-type]
    assert (gallery.subject_count, gallery.template_count, gallery.revision) == (2, 2, 2)
    gallery.verify()
    gallery.enroll(UNIT[2:3])


@pytest.mark.parametrize(
    "embeddings",
    [
        UNIT[:0],
        UNIT[0],
        UNIT[:, :3],
        UNIT[None],
        UNIT.astype(np.int64),
        np.array([["a", "b", "c", "d"]]),
        np.array([[0, np.nan, 0, 0]], dtype=np.float32),
        np.array([[0, np.inf, 0, 0]], dtype=np.float32),
        np.array([[0, 1e300, 0, 0]]),
    ],
    ids=["none", "1-d", "size", "3-d", "integers", "text", "nan", "infinite", "overflow"],
)
def test_unusable_embeddings_are_refused(gallery: Gallery, embeddings: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"[Ee]mbedding"):
        gallery.enroll(embeddings)
    assert gallery.revision == 0


@pytest.mark.parametrize(
    "given",
    [
        *({"subject_id": i} for i in ("", ".", "..", "a/b", "a b", "ä", "a\n", "-a", "a" * 129)),
        *({"name": n} for n in ("", "a\x00b", "a\nb", "\ud800", "n" * 257)),
        *({"external_id": e} for e in ("", "\t", "e" * 129)),
        *(
            {"metadata": m}
            for m in ({"a": float("nan")}, {1: "a"}, {"a": {2: 3}}, {"a": object()}, {"a": (1,)},
                      {"a": "\ud800"}, {"a": "x" * 65_536})
        ),
    ],
)  # fmt: skip
def test_unusable_facts_are_refused(gallery: Gallery, given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"The (subject id|name|external id|metadata)"):
        gallery.enroll(UNIT, **given)  # type: ignore[arg-type]
    assert gallery.revision == 0


def test_the_longest_facts_are_kept(gallery: Gallery) -> None:
    longest = {"subject_id": "a" + "._:@+~-Z9" * 14, "name": "名" * 256, "external_id": "é" * 128}
    subject = gallery.enroll(UNIT, **longest, metadata={"n": 10**30}).subject
    assert gallery.subject(longest["subject_id"]) == subject
    assert (subject.name, subject.external_id) == (longest["name"], longest["external_id"])
    assert subject.metadata == {"n": 10**30}


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
    assert (gallery.subject_count, gallery.template_count, gallery.revision) == (1, 2, 3)
    assert ids(gallery.search(UNIT[:1], top_k=5)) == [["bob"]]
    for call in (gallery.subject, gallery.remove_subject):
        with pytest.raises(SubjectNotFoundError, match="'ann'"):
            call("ann")
    assert gallery.revision == 3
    # Both ids are free again.
    assert gallery.enroll(UNIT[:1], subject_id="ann").created
    assert gallery.enroll(UNIT[:1], external_id="7").created
    gallery.verify()


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
    assert sorted(gallery._index.templates().numbers.tolist()) == [1, 2, 5]


def test_what_was_acknowledged_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with Gallery.open(path, CONTRACT) as gallery:
        ann = gallery.enroll(UNIT[:2], subject_id="ann", metadata={"k": "v"})
        gallery.enroll(UNIT[2:], subject_id="bob")
        gallery.remove_subject("bob")
        before = gallery.search(UNIT, top_k=5)
    with Gallery.open(path, CONTRACT) as gallery:
        assert gallery.search(UNIT, top_k=5) == before
        assert gallery.subject("ann") == ann.subject
        assert (gallery.subject_count, gallery.template_count, gallery.revision) == (1, 2, 3)
        gallery.verify()


def test_a_closed_gallery_refuses_everything(tmp_path: Path) -> None:
    gallery = Gallery.open(tmp_path / "g.db", CONTRACT)
    gallery.close()
    gallery.close()
    for call in (
        lambda: gallery.enroll(UNIT),
        lambda: gallery.search(UNIT, top_k=1),
        lambda: gallery.subject("ann"),
        lambda: gallery.subjects(limit=1),
        lambda: gallery.remove_subject("ann"),
        gallery.verify,
    ):
        with pytest.raises(GalleryUnavailableError, match="closed"):
            call()


class FailingIndex(FlatIndex):
    def add(self, batch: TemplateBatch) -> None:
        raise MemoryError


def test_a_write_that_reached_only_the_store_stops_the_gallery(tmp_path: Path) -> None:
    """Truth is ahead of the index then: rather no answer than a wrong one."""
    store = GalleryStore(tmp_path / "g.db", CONTRACT)
    with Gallery(CONTRACT, store, FailingIndex(size=4, d_max=2.0)) as gallery:
        with pytest.raises(MemoryError):
            gallery.enroll(UNIT, subject_id="ann")
        with pytest.raises(GalleryUnavailableError, match="open the gallery anew"):
            gallery.search(UNIT, top_k=1)
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        assert ids(gallery.search(UNIT[:1], top_k=1)) == [["ann"]]


def test_an_error_while_the_index_is_built_lets_the_file_go(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        gallery.enroll(UNIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("index.gallery.FlatIndex", FailingIndex)
        with pytest.raises(MemoryError):
            Gallery.open(tmp_path / "g.db", CONTRACT)
    Gallery.open(tmp_path / "g.db", CONTRACT).close()


@pytest.mark.parametrize("damage", ["remove", "add", "change", "subject"])
def test_verify_tells_index_and_store_apart(gallery: Gallery, damage: str) -> None:
    gallery.enroll(UNIT, subject_id="ann")
    index = gallery._index
    held = index.templates()
    index.remove([2])
    other = {"change": -1, "subject": 1}.get(damage, 1)
    if damage != "remove":
        number = 9 if damage == "add" else 2
        for n in (2, 9) if damage == "add" else (number,):
            index.add(
                TemplateBatch(
                    numbers=np.array([n]),
                    subject_numbers=held.subject_numbers[:1] + (damage == "subject"),
                    embeddings=held.embeddings[1:2] * np.float32(other),
                )
            )
    with pytest.raises(GalleryError, match="search index"):
        gallery.verify()


def test_a_subject_removed_between_search_and_lookup_gives_its_place_to_the_next(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        gallery.enroll(UNIT[:1] * np.float32(1 - n / 10), subject_id=f"s{n}")
    lookup = gallery._store.templates
    removed = []

    def slow_lookup(numbers: set[int]) -> object:
        if not removed:
            removed.append(gallery._store.remove_subject(1))  # Committed, not yet in memory.
        return lookup(numbers)

    monkeypatch.setattr(gallery._store, "templates", slow_lookup)
    assert ids(gallery.search(UNIT[:1], top_k=2)) == [["s1", "s2"]]
    assert ids(gallery.search(UNIT[:1], top_k=9)) == [["s1", "s2", "s3"]]


def test_a_search_does_not_wait_for_a_write_to_reach_the_disk(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann")
    committing, searched = threading.Event(), threading.Event()
    commit = gallery._store._count_up

    def slow_commit() -> int:
        committing.set()
        assert searched.wait(10)
        return commit()

    monkeypatch.setattr(gallery._store, "_count_up", slow_commit)
    writer = threading.Thread(target=gallery.enroll, args=(UNIT[1:2],))
    writer.start()
    assert committing.wait(10)
    found = gallery.search(UNIT[1:2], top_k=5)
    assert gallery.subject("ann").template_count == 1
    searched.set()
    writer.join()
    assert (ids(found), found.revision) == ([["ann"]], 1)
    assert gallery.template_count == 2


def test_threads_see_each_write_whole(gallery: Gallery) -> None:
    """Writers enrol pairs and remove them; a search that sees half of one finds an odd count."""
    gallery.enroll(UNIT[3:], subject_id="fixed")
    faults: list[object] = []
    done = threading.Event()

    def write(name: str) -> None:
        for n in range(25):
            gallery.enroll(UNIT[:2], subject_id=f"{name}{n}")
            if n % 2:
                gallery.remove_subject(f"{name}{n}")

    def read() -> None:
        last = 0
        while not done.is_set():
            result = gallery.search(UNIT[:2], top_k=200)
            first, second = ({c.subject.id for c in found} for found in result.candidates)
            exact = {c.subject.id for found in result.candidates for c in found
                     if c.subject.id != "fixed" and c.similarity != 1.0}  # fmt: skip
            if first != second or exact or "fixed" not in first or result.revision < last:
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
    assert (gallery.subject_count, gallery.template_count) == (27, 53)
    assert gallery.revision == 1 + 2 * (25 + 12)
    gallery.verify()


def test_nothing_of_a_removed_subject_is_left_in_the_closed_file(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    rng = np.random.default_rng(5)
    secret = rng.standard_normal((1, 4)).astype(np.float32)
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.enroll(secret, subject_id="ann", name="Annabel Secret")
        gallery.enroll(UNIT, subject_id="bob")
        gallery.remove_subject("ann")
    left = path.read_bytes()
    assert secret.tobytes() not in left
    assert b"Secret" not in left
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.db", "g.db.lock"]
    connection = apsw.Connection(str(path))
    assert connection.execute("SELECT id FROM subjects").fetchall() == [("bob",)]
    connection.close()
