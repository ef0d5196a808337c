"""The index in memory beside the truth in a file: what happens where the two part."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.errors import GalleryError, GalleryUnavailableError
from index import galleries
from index.gallery import Gallery
from index.memory_searcher import MemorySearcher
from index.records import SearchResult, TemplateBatch
from index.scoring import ScoringName
from index.search import Change
from tests.conftest import CONTRACT, UNIT

LIMIT_S = 10.0


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as opened:
        yield opened


def ids(result: SearchResult) -> list[list[str]]:
    return [[c.subject.id for c in candidates] for candidates in result.candidates]


def index_of(gallery: Gallery) -> Any:
    return gallery._view.searcher._index  # type: ignore[attr-defined]


def change(gallery: Gallery, *, removed: list[int], added: list[tuple[int, int, Any]]) -> Change:
    return Change(
        removed=np.array(removed, dtype=np.int64),
        added=TemplateBatch(
            numbers=np.array([number for number, _, _ in added], dtype=np.int64),
            subject_numbers=np.array([subject for _, subject, _ in added], dtype=np.int64),
            embeddings=np.array([row for _, _, row in added], dtype=np.float32).reshape(-1, 4),
        ),
        revision=gallery.revision,
    )


def test_a_write_that_reached_only_the_truth_stops_the_gallery(tmp_path: Path) -> None:
    """Truth is ahead of the index then: rather no answer than a wrong one."""
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:

        def fail(change: Change) -> None:
            raise MemoryError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(index_of(gallery), "apply", fail)
            with pytest.raises(MemoryError):
                gallery.enroll(UNIT, subject_id="ann")
        for call in (
            lambda: gallery.search(UNIT, top_k=1),
            lambda: gallery.enroll(UNIT),
            lambda: gallery.revision,
            gallery.verify,
        ):
            with pytest.raises(GalleryUnavailableError, match="open the gallery anew"):
                call()
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        assert ids(gallery.search(UNIT[:1], top_k=1)) == [["ann"]]
        gallery.verify()


def test_an_error_while_the_index_is_built_lets_the_file_go(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        gallery.enroll(UNIT)

    def fail(**options: object) -> object:
        raise MemoryError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("index.memory_searcher.make_index", fail)
        with pytest.raises(MemoryError):
            Gallery.open(tmp_path / "g.db", CONTRACT)
    Gallery.open(tmp_path / "g.db", CONTRACT).close()


@pytest.mark.parametrize("damage", ["remove", "add", "change", "subject"])
@pytest.mark.parametrize("scoring", ["best", "mean"])
def test_verify_tells_index_and_truth_apart(
    tmp_path: Path, damage: str, scoring: ScoringName
) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT, scoring=scoring) as gallery:
        for row in UNIT:
            gallery.enroll(row[None])
        gallery.verify()
        removed, added = {
            "remove": ([2], []),
            "add": ([], [(9, 2, UNIT[1])]),
            "change": ([2], [(2, 2, -UNIT[1])]),
            "subject": ([2], [(2, 3, UNIT[1])]),
        }[damage]
        index_of(gallery).apply(change(gallery, removed=removed, added=added))
        with pytest.raises(GalleryError, match="search index"):
            gallery.verify()


def test_a_subject_removed_between_shortlist_and_lookup_gives_its_place_to_the_next(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        gallery.enroll(UNIT[:1] * np.float32(1 - n / 10), subject_id=f"s{n}")
    lookup = gallery._truth
    removed = []

    def slow_lookup(of: object, numbers: object) -> object:
        if not removed:
            # Committed, but not yet out of memory.
            removed.append(gallery.galleries.database)
            with removed[0].writing() as c:
                c.execute("DELETE FROM subjects WHERE id = 's0'")
        return lookup(of, numbers)  # type: ignore[arg-type]

    monkeypatch.setattr(gallery, "_truth", slow_lookup)
    assert ids(gallery.search(UNIT[:1], top_k=2)) == [["s1", "s2"]]
    assert ids(gallery.search(UNIT[:1], top_k=9)) == [["s1", "s2", "s3"]]


def test_a_search_does_not_wait_for_a_write_to_reach_the_disk(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann")
    committing, searched = threading.Event(), threading.Event()
    database = gallery.galleries.database
    usual = database.writing

    @contextmanager
    def slow_commit() -> Iterator[Any]:
        with usual() as connection:
            yield connection
            committing.set()
            assert searched.wait(LIMIT_S)

    monkeypatch.setattr(database, "writing", slow_commit)
    writer = threading.Thread(target=gallery.enroll, args=(UNIT[1:2],))
    writer.start()
    assert committing.wait(LIMIT_S)
    found = gallery.search(UNIT[1:2], top_k=5)
    assert gallery.subject("ann").template_count == 1
    assert gallery.revision == 1
    searched.set()
    writer.join()
    assert (ids(found), found.revision) == ([["ann"]], 1)
    assert gallery.template_count == 2


def test_the_index_is_built_from_more_rows_than_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.sqlite_connection._STREAM_ROWS", 3)
    monkeypatch.setattr("index.scoring._BATCH_ROWS", 3)
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        for n in range(10):
            gallery.enroll(UNIT[: 1 + n % 4], subject_id=f"s{n}")
        before = gallery.search(UNIT, top_k=20)
    for scoring in ("best", "mean"):
        with Gallery.open(tmp_path / "g.db", CONTRACT, scoring=scoring) as gallery:
            assert len(gallery._view.searcher) == {"best": 23, "mean": 10}[scoring]  # type: ignore[arg-type]
            gallery.verify()
            if scoring == "best":
                assert gallery.search(UNIT, top_k=20) == before


def test_the_index_is_closed_with_the_gallery_and_when_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[object] = []
    monkeypatch.setattr(MemorySearcher, "close", lambda searcher: closed.append(searcher))
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        first = gallery._view
        second = gallery.galleries.make_view(gallery.stored(), CONTRACT, 1)
        assert isinstance(second, galleries.View)
        gallery.galleries.adopt(second)
        assert closed == [first.searcher]
    assert closed == [first.searcher, second.searcher]
