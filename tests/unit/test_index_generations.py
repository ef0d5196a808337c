"""Approximate search: built beside searches and writes, kept up to date, rebuilt and dropped."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np
import pytest

from index import generations
from index.exact import ExactIndex
from index.generations import FinderKind, Policy
from index.hnsw import Hnsw
from index.rabitq import Rabitq
from index.records import TemplateBatch
from index.rows import Rows
from index.search import Change
from index.tiered import TieredIndex

SIZE = 8
SOON = 20.0
both = pytest.mark.parametrize("kind", ["rabitq", "hnsw"])


def vectors(count: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, SIZE))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def change(added: range, removed: Any = (), *, revision: int = 1, seed: int = 0) -> Change:
    """Row n is vectors(added.stop, seed)[n], of subject n // 2."""
    numbers = np.array(added, dtype=np.int64)
    return Change(
        removed=np.array(removed, dtype=np.int64),
        added=TemplateBatch(
            numbers=numbers,
            subject_numbers=numbers // 2,
            embeddings=vectors(added.stop, seed)[added.start :],
        ),
        revision=revision,
    )


@pytest.fixture
def opened() -> Iterator[list[TieredIndex]]:
    indexes: list[TieredIndex] = []
    yield indexes
    for index in indexes:
        index.close()


def make(opened: list[TieredIndex], kind: FinderKind, above: int = 2400) -> TieredIndex:
    policy = Policy(finder=kind, above=above, below=2200)
    opened.append(TieredIndex(Rows(SIZE), d_max=2.0, policy=policy))
    return opened[-1]


def recall(index: TieredIndex, oracle: ExactIndex, rows: int = 5) -> float:
    """Share of the oracle's best rows that are listed; what is listed must be there, and true."""
    probes = vectors(60, seed=99)
    found, wanted = (one.shortlist(probes, rows=rows) for one in (index, oracle))
    shares = []
    for short, best, probe in zip(found.lists, wanted.lists, probes, strict=True):
        assert len(short.numbers) == len(set(short.numbers.tolist())) == rows
        assert (np.diff(short.similarities) <= 0).all()
        held = oracle.embeddings(short.numbers).astype(np.float64)
        true = 1 - np.linalg.norm(held - probe, axis=1) / 2.0
        assert np.abs(true - short.similarities).max() <= found.error
        assert short.subject_numbers.tolist() == oracle.subjects(short.numbers).tolist()
        shares.append(len(set(short.numbers.tolist()) & set(best.numbers.tolist())) / rows)
    return float(np.mean(shares))


@both
def test_a_generation_takes_over_and_follows_changes(
    opened: list[TieredIndex], kind: FinderKind
) -> None:
    index, oracle = make(opened, kind), ExactIndex(size=SIZE, d_max=2.0)
    steps = [
        (change(range(3000)), False),
        (change(range(3000, 3040), range(50, 350), revision=2), True),
        # Replaced, by rows elsewhere.
        (change(range(350, 380), range(350, 380), revision=3, seed=5), True),
    ]
    for step, was_approximate in steps:
        for one in (index, oracle):
            one.apply(step)
        assert index.is_approximate is was_approximate or not was_approximate
        index.settle()
        assert index.is_approximate
        assert recall(index, oracle) > 0.98
    found = index.shortlist(vectors(1, seed=5), rows=5)
    assert (found.revision, found.lists[0].left_out) == (3, -1.0)


@both
def test_the_scan_answers_long_lists_and_until_the_first_generation(
    opened: list[TieredIndex], kind: FinderKind
) -> None:
    index = make(opened, kind, above=5_000)
    index.apply(change(range(3000)))
    assert not index.is_approximate
    assert index.shortlist(vectors(1), rows=5).lists[0].left_out > 0.5
    index.apply(change(range(3000, 6000), revision=2))
    index.settle()
    assert index.is_approximate
    assert index.shortlist(vectors(1), rows=5).lists[0].left_out == -1.0
    assert index.shortlist(vectors(1), rows=3000).lists[0].left_out > 0
    (short,) = index.shortlist(vectors(1), rows=7000).lists
    assert (len(short.numbers), short.left_out) == (6000, -1.0)


@both
def test_many_dead_positions_lead_to_another_generation(
    opened: list[TieredIndex], kind: FinderKind
) -> None:
    index, oracle = make(opened, kind), ExactIndex(size=SIZE, d_max=2.0)
    for step in (change(range(4000)), change(range(4000, 4000), range(700), revision=2)):
        for one in (index, oracle):
            one.apply(step)
        index.settle()
    first = index._generations.live
    assert first is not None
    assert (len(first.positions), first.positions.dead) == (4000, 700)
    for one in (index, oracle):
        one.apply(change(range(4000, 4000), range(700, 900), revision=3))
    index.settle()
    second = index._generations.live
    assert second is not None
    assert second is not first
    assert (len(second.positions), second.positions.dead) == (3100, 0)
    assert recall(index, oracle) > 0.98


def test_a_gallery_that_hovers_about_the_size_does_not_build_again(
    opened: list[TieredIndex],
) -> None:
    index = make(opened, "rabitq")
    index.apply(change(range(2400)))
    index.settle()
    assert not index.is_approximate
    index.apply(change(range(2400, 2401), revision=2))
    index.settle()
    first = index._generations.live
    index.apply(change(range(2401, 2401), range(201), revision=3))
    assert index._generations.live is first is not None
    index.apply(change(range(2401, 2401), [300], revision=4))
    assert not index.is_approximate
    index.apply(change(range(2401, 2500), revision=5))
    index.settle()
    assert not index.is_approximate


@both
def test_more_rows_than_searches_can_wait_for_are_built_in_the_background(
    opened: list[TieredIndex], kind: FinderKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations.FINDERS[kind], "bulk", 100)
    index = make(opened, kind)
    index.apply(change(range(3000)))
    index.settle()
    first = index._generations.live
    index.apply(change(range(3000, 3100), revision=2))
    assert index._generations.live is first
    index.apply(change(range(3100, 3201), [5], revision=3))
    index.settle()
    live = index._generations.live
    assert live is first is not None
    assert (live.built, live.positions.dead) == (3201, 1)
    assert 5 not in index.shortlist(vectors(3201)[5:6], rows=5).lists[0].numbers
    assert index.shortlist(vectors(3201)[-1:], rows=5).lists[0].numbers[0] == 3200


class Held(Rabitq):
    """A finder that waits, in its first `add`, until it may go on."""

    reached, go = threading.Event(), threading.Event()

    def add(self, embeddings_ND: np.ndarray) -> None:
        self.reached.set()
        assert self.go.wait(SOON)
        super().add(embeddings_ND)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> type[Held]:
    Held.reached.clear()
    Held.go.clear()
    monkeypatch.setitem(generations.FINDERS, "rabitq", Held)
    return Held


def test_meanwhile_the_scan_answers(opened: list[TieredIndex], held: type[Held]) -> None:
    index = make(opened, "rabitq")
    held.go.set()
    index.apply(change(range(3000)))
    index.settle()
    held.go.clear()
    index.apply(change(range(3000, 8000), revision=2))
    assert not index.is_approximate
    assert index.shortlist(vectors(8000)[-1:], rows=5).lists[0].numbers[0] == 7999
    # A generation that has fallen behind is finished even if a new one would not be begun.
    index.apply(change(range(8000, 8000), range(5700), revision=3))
    held.go.set()
    index.settle()
    assert index.is_approximate


def test_writes_and_searches_go_on_while_a_generation_is_built(
    opened: list[TieredIndex], held: type[Held]
) -> None:
    index, oracle = make(opened, "rabitq"), ExactIndex(size=SIZE, d_max=2.0)
    steps = [
        change(range(6000)),
        # While the first rows are being added: some of them and of the others go.
        change(range(6000, 6100), [*range(300), *range(4000, 4300)], revision=2),
        change(range(10, 20), range(6050, 6060), revision=3, seed=4),
    ]
    for i, step in enumerate(steps):
        for one in (index, oracle):
            one.apply(step)
        assert held.reached.wait(SOON)
        assert not index.is_approximate
        assert recall(index, oracle) == 1.0
        assert index.revision == i + 1
    held.go.set()
    index.settle()
    assert index.is_approximate
    assert recall(index, oracle) > 0.98


def test_closing_stops_a_build_and_searches_still_work(
    opened: list[TieredIndex], held: type[Held]
) -> None:
    index = make(opened, "rabitq")
    index.apply(change(range(9000)))
    assert held.reached.wait(SOON)
    threading.Timer(0.05, held.go.set).start()
    index.close()
    assert not index.is_approximate
    index.apply(change(range(9000, 9001), revision=2))
    index.settle()
    assert not index.is_approximate
    assert len(index.shortlist(vectors(1), rows=3).lists[0].numbers) == 3
    index.close()


def test_shrinking_stops_a_build(opened: list[TieredIndex], held: type[Held]) -> None:
    index = make(opened, "rabitq")
    index.apply(change(range(3000)))
    assert held.reached.wait(SOON)
    index.apply(change(range(3000, 3000), range(1000), revision=2))
    held.go.set()
    index.settle()
    assert not index.is_approximate


def test_where_a_generation_fails_the_scan_goes_on(
    opened: list[TieredIndex], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(finder: Rabitq, embeddings_ND: np.ndarray) -> None:
        raise MemoryError

    index, after = make(opened, "rabitq"), make(opened, "rabitq")
    after.apply(change(range(3000)))
    after.settle()
    monkeypatch.setattr(Rabitq, "add", fail)
    with caplog.at_level(logging.ERROR):
        index.apply(change(range(3000)))
        index.settle()
        after.apply(change(range(3000, 3001), revision=2))
        after.settle()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the search index could not be built",
        "the search index drops its approximate part",
    ]
    for one in (index, after):
        assert not one.is_approximate
        assert one.shortlist(vectors(1), rows=2).lists[0].numbers[0] == 0
    assert 3000 in after


def test_where_no_thread_can_be_had_the_next_change_tries_again(
    opened: list[TieredIndex], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    index = make(opened, "rabitq")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        index.apply(change(range(3000)))
    assert "cannot be built now" in caplog.text
    index.settle()
    assert (len(index), index.is_approximate) == (3000, False)
    index.apply(change(range(3000, 3001), revision=2))
    index.settle()
    assert index.is_approximate


def test_an_erased_row_leaves_no_sketch(opened: list[TieredIndex]) -> None:
    index = make(opened, "rabitq")
    index.apply(change(range(3000)))
    index.settle()
    live = index._generations.live
    assert live is not None

    def code(position: int) -> bytes:
        scan: Any = live.finder._scan  # type: ignore[union-attr]
        packer = scan.get_CodePacker()
        memory = faiss.rev_swig_ptr(scan.codes.get(), scan.codes.size())
        blocks = memory.reshape(-1, packer.block_size)
        block, offset = divmod(position + 1, 32)
        return bytes(packer.unpack_1(blocks[block : block + 1], offset))

    before = [code(position) for position in range(64)]
    index.apply(change(range(3000, 3000), [31, 40], revision=2))
    after = [code(position) for position in range(64)]
    assert [i for i in range(64) if before[i] != after[i]] == [31, 40]
    assert after[31] == after[40] == code(-1)
    assert live.lingering == 0


def without_those_around(index: TieredIndex, oracle: ExactIndex, probe: np.ndarray) -> None:
    for one in (index, oracle):
        one.apply(change(range(4000)))
    index.settle()
    gone = oracle.shortlist(probe, rows=600).lists[0].numbers
    for one in (index, oracle):
        one.apply(change(range(4000, 4000), gone, revision=2))
    assert index.is_approximate


def test_an_erased_row_does_not_take_the_place_of_others(opened: list[TieredIndex]) -> None:
    index, oracle = make(opened, "rabitq"), ExactIndex(size=SIZE, d_max=2.0)
    probe = vectors(60, seed=99)[:1]
    without_those_around(index, oracle, probe)
    live = index._generations.live
    assert live is not None
    assert live.nearest(probe, 3400).min() >= 0
    assert live.nearest(probe, 3401).min() == -1


def test_where_a_graph_finds_only_the_dead_the_scan_answers(opened: list[TieredIndex]) -> None:
    index, oracle = make(opened, "hnsw"), ExactIndex(size=SIZE, d_max=2.0)
    probe = vectors(60, seed=99)[:1]
    without_those_around(index, oracle, probe)
    (best,), (found,) = (one.shortlist(probe, rows=3).lists for one in (oracle, index))
    assert found.left_out > 0
    assert found.similarities.tolist() == pytest.approx(best.similarities.tolist(), abs=2e-3)


@pytest.mark.parametrize("finder", [Rabitq, Hnsw])
@pytest.mark.parametrize("size", [1, 2, 33])
def test_any_size_of_embedding_will_do(finder: type[Rabitq] | type[Hnsw], size: int) -> None:
    rows = np.random.default_rng(size).standard_normal((500, size)).astype(np.float32)
    one = finder(size)
    one.train(rows)
    for first in range(0, 500, 7):
        one.add(rows[first : first + 7])
    assert len(one) == 500
    found = one.search(rows[:40], 10)
    assert (found == np.arange(40)[:, None]).any(axis=1).mean() > 0.9
    assert one.search(np.full((1, size), 1e30, dtype=np.float32), 3).max() <= 499


@both
def test_searches_and_writes_at_once(opened: list[TieredIndex], kind: FinderKind) -> None:
    """Writers churn all rows while generations come and go; a search sees no row that is gone.

    Change r removes the rows 40 (r - 2) to 40 (r - 1) and adds as many after the last.
    """
    index, wrong, done = make(opened, kind, above=2300), [], threading.Event()
    index.apply(change(range(3000)))

    def alive(number: int, revision: int) -> bool:
        return 40 * (revision - 1) <= number < 3000 + 40 * (revision - 1)

    def search() -> None:
        probes = vectors(4, seed=3)
        while not done.is_set():
            found = index.shortlist(probes, rows=10)
            for short in found.lists:
                seen = short.numbers.tolist()
                if len(seen) != 10 or not all(alive(n, found.revision) for n in seen):
                    wrong.append((found.revision, seen))

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for revision in range(2, 60):
        first = 40 * (revision - 2)
        index.apply(
            change(range(3000 + first, 3040 + first), range(first, first + 40), revision=revision)
        )
    done.set()
    for thread in threads:
        thread.join()
    index.settle()
    assert wrong == []
    assert index.is_approximate
