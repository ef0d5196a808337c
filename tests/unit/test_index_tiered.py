"""ExactIndex and TieredIndex: golden values, changes that are whole, refusals."""

import threading
from collections.abc import Callable

import numpy as np
import pytest

from index.exact import ExactIndex
from index.records import TemplateBatch
from index.search import Change, SearchIndex
from index.tiers import make_index

MakeIndex = Callable[..., SearchIndex]
both = pytest.mark.parametrize("make", [ExactIndex, make_index])


def change(
    *added: tuple[int, int, list[float]],
    removed: tuple[int, ...] = (),
    revision: int = 1,
    size: int = 2,
) -> Change:
    return Change(
        removed=np.array(removed, dtype=np.int64),
        added=TemplateBatch(
            numbers=np.array([row[0] for row in added], dtype=np.int64),
            subject_numbers=np.array([row[1] for row in added], dtype=np.int64),
            embeddings=np.array([row[2] for row in added], dtype=np.float32).reshape(-1, size),
        ),
        revision=revision,
    )


def probes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


@both
def test_golden_similarities(make: MakeIndex) -> None:
    index = make(size=2, d_max=2.0)
    index.apply(change((1, 10, [1, 0]), (2, 20, [0, 1]), (3, 30, [-1, 0]), revision=7))
    assert (len(index), index.revision) == (3, 7)
    found = index.shortlist(probes([1, 0], [0.6, 0.8]), rows=2)
    assert found.revision == 7
    assert [short.numbers.tolist() for short in found.lists] == [[1, 2], [2, 1]]
    assert [short.subject_numbers.tolist() for short in found.lists] == [[10, 20], [20, 10]]
    assert found.lists[0].similarities.tolist() == pytest.approx(
        [1.0, 1 - np.sqrt(2) / 2], abs=1e-7
    )
    assert found.lists[1].similarities.tolist() == pytest.approx(
        [1 - np.sqrt(0.4) / 2, 1 - np.sqrt(0.8) / 2], abs=1e-7
    )
    # By the oracle it is that of the third row; FAISS tells no more than that of the second.
    assert 0.0 <= found.lists[0].left_out < 1 - np.sqrt(2) / 2 + 1e-5
    assert index.subjects(np.array([3, 1])).tolist() == [30, 10]
    assert index.embeddings(np.array([3, 1])).tolist() == [[-1, 0], [1, 0]]
    assert 2 in index
    assert 4 not in index


@both
def test_nothing_is_found_where_nothing_is(make: MakeIndex) -> None:
    index = make(size=2, d_max=2.0)
    (short, _) = index.shortlist(probes([1, 0], [0, 1]), rows=3).lists
    assert (len(short.numbers), len(short.similarities), short.left_out) == (0, 0, -1.0)
    index.apply(change(revision=3))
    assert (index.revision, len(index)) == (3, 0)
    index.apply(change((1, 1, [1, 0])))
    assert index.shortlist(np.zeros((0, 2), dtype=np.float32), rows=3).lists == ()
    (short,) = index.shortlist(probes([1, 0]), rows=3).lists
    assert (short.numbers.tolist(), short.left_out) == ([1], -1.0)


@both
def test_a_change_removes_first_so_a_row_can_be_replaced(make: MakeIndex) -> None:
    index = make(size=2, d_max=2.0)
    index.apply(change((1, 1, [1, 0]), (2, 1, [0.5, 0]), (3, 2, [0, 1])))
    index.apply(change((1, 9, [0, -1]), (4, 2, [0, 1]), removed=(2, 1), revision=2))
    assert index.embeddings(np.array([1, 3, 4])).tolist() == [[0, -1], [0, 1], [0, 1]]
    assert index.subjects(np.array([1])).tolist() == [9]
    (short,) = index.shortlist(probes([1, 0]), rows=9).lists
    assert sorted(short.numbers.tolist()) == [1, 3, 4]
    with pytest.raises(KeyError):
        index.subjects(np.array([2]))
    index.apply(change(removed=(1, 3, 4), revision=3))
    assert (len(index), index.revision) == (0, 3)


WRONG = [
    change((2, 1, [0, 0]), (1, 1, [0, 0])),
    change((2, 1, [0, 0]), (2, 1, [0, 0])),
    change((2, 1, [0, 0, 0]), size=3),
    change(removed=(9,)),
    change((2, 1, [0, 0]), removed=(1, 1)),
]


@both
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_change_changes_nothing(make: MakeIndex, wrong: Change) -> None:
    index = make(size=2, d_max=2.0)
    index.apply(change((1, 1, [1, 0]), revision=4))
    with pytest.raises(ValueError, match=r"each once|only once|shape"):
        index.apply(wrong)
    assert (index.revision, len(index), 2 in index) == (4, 1, False)
    assert index.embeddings(np.array([1])).tolist() == [[1, 0]]


def test_what_half_precision_cannot_hold_changes_nothing() -> None:
    index = make_index(size=2, d_max=2.0)
    index.apply(change((1, 1, [1, 0])))
    with pytest.raises(ValueError, match="finite"):
        index.apply(change((2, 1, [1e6, 0]), removed=(1,), revision=2))
    assert (index.revision, 1 in index, 2 in index) == (1, True, False)


@pytest.mark.parametrize(("rows", "size"), [(0, 2), (-1, 2), (1, 3)])
def test_a_search_that_makes_no_sense_is_refused(rows: int, size: int) -> None:
    index = make_index(size=2, d_max=2.0)
    with pytest.raises(ValueError, match="Search needs"):
        index.shortlist(np.zeros((1, size), dtype=np.float32), rows=rows)


def test_the_bound_on_errors_is_half_precisions() -> None:
    index = make_index(size=128, d_max=2.0)
    rows = np.random.default_rng(1).standard_normal((50, 128))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    numbers = np.arange(50)
    batch = TemplateBatch(numbers=numbers, subject_numbers=numbers, embeddings=rows)
    index.apply(Change(removed=numbers[:0], added=batch, revision=1))
    assert 5e-5 < index.shortlist(rows[:1], rows=1).error < 2.0**-12


def test_a_search_sees_each_change_whole() -> None:
    """Each change replaces all rows by rows of its own revision, in several threads' sight."""
    index, count, wrong = make_index(size=2, d_max=2.0), 40, []
    done = threading.Event()

    def rows_of(revision: int) -> list[tuple[int, int, list[float]]]:
        return [(1000 * revision + i, revision, [1.0, 0.01 * i]) for i in range(count)]

    def search() -> None:
        while not done.is_set():
            found = index.shortlist(probes([1, 0], [0, 1]), rows=count)
            for short in found.lists:
                if set(short.subject_numbers.tolist()) != {found.revision}:
                    wrong.append(short)

    index.apply(change(*rows_of(1), revision=1))
    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for revision in range(2, 150):
        gone = tuple(1000 * (revision - 1) + i for i in range(count))
        index.apply(change(*rows_of(revision), removed=gone, revision=revision))
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
