"""FlatIndex and ExactIndex: golden values, ties, crowding, removal, refusals, large batches."""

from collections.abc import Callable

import faiss
import numpy as np
import pytest

from index.exact import ExactIndex
from index.flat import FlatIndex
from index.records import Hit, TemplateBatch
from index.search import SearchIndex

MakeIndex = Callable[..., SearchIndex]
both = pytest.mark.parametrize("make_index", [ExactIndex, FlatIndex])


def batch(*rows: tuple[int, int, list[float]], size: int = 2) -> TemplateBatch:
    return TemplateBatch(
        numbers=np.array([r[0] for r in rows], dtype=np.int64),
        subject_numbers=np.array([r[1] for r in rows], dtype=np.int64),
        embeddings=np.array([r[2] for r in rows], dtype=np.float32).reshape(-1, size),
    )


def probes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def hit(subject: int, template: int, similarity: float) -> Hit:
    return Hit(subject_number=subject, template_number=template, similarity=similarity)


@both
def test_golden_similarities(make_index: MakeIndex) -> None:
    index = make_index(size=2, d_max=2.0)
    index.add(batch((1, 10, [1, 0]), (2, 20, [0, 1]), (3, 30, [-1, 0])))
    assert len(index) == 3
    assert index.search(probes([1, 0], [0.6, 0.8]), top_k=2) == [
        [hit(10, 1, 1.0), hit(20, 2, 1 - np.sqrt(2) / 2)],
        [
            hit(20, 2, pytest.approx(1 - np.sqrt(0.36 + 0.04) / 2, abs=1e-7)),
            hit(10, 1, pytest.approx(1 - np.sqrt(0.16 + 0.64) / 2, abs=1e-7)),
        ],
    ]


@both
def test_empty_index_finds_nobody_and_no_probe_gives_no_answer(make_index: MakeIndex) -> None:
    index = make_index(size=2, d_max=2.0)
    assert index.search(probes([1, 0], [0, 1]), top_k=3) == [[], []]
    index.add(batch())
    index.add(batch((1, 1, [1, 0])))
    assert index.search(np.zeros((0, 2), dtype=np.float32), top_k=3) == []


@both
def test_subjects_with_many_templates_do_not_crowd_others_out(make_index: MakeIndex) -> None:
    index = make_index(size=2, d_max=2.0)
    index.add(batch(*((n, 1, [1, 0.001 * n]) for n in range(1, 301))))
    index.add(batch((301, 2, [0, 1]), (302, 3, [-1, 0])))
    (found,) = index.search(probes([1, 0]), top_k=3)
    assert [(h.subject_number, h.template_number) for h in found] == [(1, 1), (2, 301), (3, 302)]


@both
def test_equal_scores_are_ordered_by_enrolment_whatever_the_rows(make_index: MakeIndex) -> None:
    index = make_index(size=2, d_max=2.0)
    index.add(batch(*((n, 100 - n, [1, 0]) for n in range(1, 100))))
    index.remove([1, 50])
    (found,) = index.search(probes([1, 0]), top_k=3)
    assert found == [hit(1, 99, 1.0), hit(2, 98, 1.0), hit(3, 97, 1.0)]


@both
def test_beyond_the_largest_distance_all_are_equally_unlike(make_index: MakeIndex) -> None:
    index = make_index(size=2, d_max=1.0)
    index.add(batch(*((n, 100 - n, [5.0 + n, 0]) for n in range(1, 100))))
    (found,) = index.search(probes([0, 0]), top_k=2)
    assert found == [hit(1, 99, 0.0), hit(2, 98, 0.0)]


@both
def test_removed_templates_are_forgotten(make_index: MakeIndex) -> None:
    index = make_index(size=2, d_max=2.0)
    index.add(batch((1, 1, [1, 0]), (2, 1, [0.9, 0]), (3, 2, [0, 1])))
    index.remove([1])
    assert [h.template_number for h in index.search(probes([1, 0]), top_k=9)[0]] == [2, 3]
    index.remove([3, 2])
    assert len(index) == 0
    assert index.search(probes([1, 0]), top_k=9) == [[]]


@both
@pytest.mark.parametrize("gone", [[9], [1, 9], [1, 1]])
def test_wrong_removals_change_nothing(make_index: MakeIndex, gone: list[int]) -> None:
    index = make_index(size=2, d_max=2.0)
    index.add(batch((1, 1, [1, 0]), (2, 1, [0.9, 0])))
    with pytest.raises(ValueError, match="each once"):
        index.remove(gone)
    assert sorted(index.templates().numbers.tolist()) == [1, 2]


@both
def test_wrong_additions_change_nothing(make_index: MakeIndex) -> None:
    index = make_index(size=2, d_max=2.0)
    index.add(batch((1, 1, [1, 0])))
    for wrong in (batch((2, 1, [0, 0]), (1, 1, [0, 0])), batch((2, 1, [0, 0]), (2, 1, [0, 0]))):
        with pytest.raises(ValueError, match="only once"):
            index.add(wrong)
    with pytest.raises(ValueError, match=r"shape \(N, 2\)"):
        index.add(batch((2, 1, [0, 0, 0]), size=3))
    assert index.templates().numbers.tolist() == [1]


def test_a_batch_of_unequal_lengths_is_refused() -> None:
    one = batch((1, 1, [1, 0]))
    with pytest.raises(ValueError, match="one subject"):
        TemplateBatch(
            numbers=one.numbers, subject_numbers=one.subject_numbers[:0], embeddings=one.embeddings
        )


@pytest.mark.parametrize("threshold", [1, 2**31 - 1], ids=["blas", "direct"])
def test_large_batches_are_exact_on_either_path_of_faiss(threshold: int) -> None:
    """Unit vectors around one point, where |x|² + |y|² - 2xy keeps no digit of the distance."""
    rng = np.random.default_rng(7)
    rows = 1.0 + 1e-4 * rng.standard_normal((600, 128))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    numbers = np.arange(1, 601)
    fast, slow = FlatIndex(size=128, d_max=2.0), ExactIndex(size=128, d_max=2.0)
    for index in (fast, slow):
        index.add(TemplateBatch(numbers=numbers, subject_numbers=numbers // 3, embeddings=rows))
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = threshold
    try:
        found = fast.search(rows[:64], top_k=5)
    finally:
        faiss.cvar.distance_compute_blas_threshold = before
    assert [hits[0].similarity for hits in found] == [1.0] * 64
    assert found == slow.search(rows[:64], top_k=5)


def test_a_far_template_and_values_that_overflow_float32_are_still_ranked() -> None:
    index = FlatIndex(size=2, d_max=1e30)
    index.add(batch(*((n, n, [1e25 * n, 0]) for n in range(1, 40)), (99, 99, [3e38, 0])))
    (found,) = index.search(probes([1e25, 0]), top_k=2)
    assert [h.subject_number for h in found] == [1, 2]


def test_the_arrays_grow_and_keep_what_they_hold() -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((5_000, 4)).astype(np.float32)
    index = FlatIndex(size=4, d_max=20.0)
    for start in range(0, 5_000, 700):
        part = np.arange(start, min(start + 700, 5_000))
        index.add(TemplateBatch(numbers=part, subject_numbers=part, embeddings=rows[part]))
    held = index.templates()
    assert held.numbers.tolist() == list(range(5_000))
    assert held.embeddings.tobytes() == rows.tobytes()
    assert [hits[0].subject_number for hits in index.search(rows[::499], top_k=1)] == list(
        range(0, 5_000, 499)
    )


def test_a_removed_embedding_does_not_linger_in_memory() -> None:
    rows = np.random.default_rng(1).standard_normal((3, 2)).astype(np.float32)
    index = FlatIndex(size=2, d_max=2.0)
    index.add(TemplateBatch(numbers=np.arange(3), subject_numbers=np.arange(3), embeddings=rows))
    index.remove([0, 2])
    memory = index._embeddings.tobytes()
    assert [row.tobytes() in memory for row in rows] == [False, True, False]


def test_squared_distances_below_float32_are_still_told_apart() -> None:
    """All templates at the same few multiples of float32's smallest number, seen from the probe."""
    rng = np.random.default_rng(2)
    rows = (1e-22 * (1 + 0.02 * rng.standard_normal((300, 2)))).astype(np.float32)
    numbers = np.arange(300)
    fast, slow = FlatIndex(size=2, d_max=1e-20), ExactIndex(size=2, d_max=1e-20)
    for index in (fast, slow):
        index.add(TemplateBatch(numbers=numbers, subject_numbers=numbers, embeddings=rows))
    probe = np.zeros((1, 2), dtype=np.float32)
    assert fast.search(probe, top_k=3) == slow.search(probe, top_k=3)
