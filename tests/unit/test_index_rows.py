"""Rows and their rounding: golden values, refusals, moves, and what a removal leaves in memory."""

import numpy as np
import pytest

from index.positions import Positions
from index.rows import Rows, to_half


def test_rounding_is_to_the_nearest_even_and_measured() -> None:
    half = to_half(np.array([[1.0, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 65504.0]], dtype=np.float32))
    assert half.codes.tolist() == [[1.0, 1.0, 1 + 2.0**-9, 65504.0]]
    assert half.rounding == pytest.approx(np.sqrt(2) * 2.0**-11, rel=1e-8)
    assert half.rounding > np.sqrt(2) * 2.0**-11


def test_the_measured_bound_is_within_the_worst_case() -> None:
    rng = np.random.default_rng(5)
    rows = (rng.standard_normal((500, 40)) * 10.0 ** rng.integers(-9, 4, (500, 1))).astype("f4")
    for row in rows:
        half = to_half(row[None])
        off = np.linalg.norm(row.astype(float) - half.codes[0].astype(float))
        worst = 2.0**-11 * np.linalg.norm(row.astype(float)) + np.sqrt(40) * 2.0**-25
        assert off <= half.rounding <= worst * (1 + 1e-8)


@pytest.mark.parametrize("value", [65520.0, -70000.0, np.inf, -np.inf, np.nan])
def test_values_beyond_half_precision_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite, with values from"):
        to_half(np.array([[0.0, 1.0], [0.0, value]], dtype=np.float32))


def filled(count: int, size: int = 4) -> tuple[Rows, np.ndarray]:
    embeddings = np.random.default_rng(count).standard_normal((count, size)).astype(np.float16)
    rows = Rows(size)
    numbers = np.arange(count) + 100
    rows.add(numbers, numbers // 2, to_half(embeddings.astype(np.float32)))
    return rows, embeddings


def test_a_removal_moves_the_last_row_into_the_gap_and_no_other() -> None:
    rows, embeddings = filled(6)
    assert rows.remove([101, 104, 100]) == [(1, 5), (4, 4), (0, 3)]
    assert rows.numbers.tolist() == [103, 105, 102]
    assert rows.subject_numbers.tolist() == [51, 52, 51]
    assert rows.codes.tobytes() == embeddings[[3, 5, 2]].tobytes()
    assert rows.slots(np.array([102, 103, 105])).tolist() == [2, 0, 1]
    with pytest.raises(KeyError):
        rows.slots(np.array([101]))


def test_a_removed_embedding_does_not_linger_in_memory() -> None:
    rows, embeddings = filled(3)
    rows.remove([100, 102])
    memory = rows._codes.tobytes()
    assert [row.tobytes() in memory for row in embeddings] == [False, True, False]
    assert not rows._codes[1:].any()


def test_the_arrays_grow_and_keep_what_they_hold() -> None:
    rows, embeddings = Rows(3), np.random.default_rng(3).standard_normal((5_000, 3)).astype("f2")
    for first in range(0, 5_000, 700):
        part = np.arange(first, min(first + 700, 5_000))
        rows.add(part, part, to_half(embeddings[part].astype(np.float32)))
    assert rows.numbers.tolist() == rows.subject_numbers.tolist() == list(range(5_000))
    assert rows.codes.tobytes() == embeddings.tobytes()
    _, slots = rows.nearest(embeddings[::499].astype(np.float32), 1)
    assert slots[:, 0].tolist() == list(range(0, 5_000, 499))


@pytest.mark.parametrize(
    ("removed", "added", "message"),
    [
        ([99], [], "each once"),
        ([100, 100], [], "each once"),
        ([], [100], "only once"),
        ([101], [100, 101], "only once"),
        ([], [7, 7], "only once"),
    ],
)
def test_what_cannot_be_done_is_told_before(
    removed: list[int], added: list[int], message: str
) -> None:
    rows, _ = filled(3)
    with pytest.raises(ValueError, match=message):
        rows.check(removed, added)


def test_a_number_may_come_back_with_its_removal() -> None:
    rows, _ = filled(3)
    rows.check([100, 101], [101, 7, 100])


def test_distances_are_those_of_the_rows_as_they_are_held() -> None:
    rows = Rows(2)
    rows.add(np.arange(3), np.arange(3), to_half(np.array([[3, 4], [0, 0], [1e-9, 0]], "f4")))
    found = rows.distances(np.array([0, 0], dtype=np.float32), np.array([0, 2, 1]))
    assert found.tolist() == [5.0, 0.0, 0.0]


def test_positions_follow_rows_through_any_changes() -> None:
    """Against a list of numbers by position, kept the plain way."""
    rng = np.random.default_rng(11)
    rows, positions, plain = Rows(1), Positions.first(0), []
    for step in range(60):
        held = rows.numbers.copy()
        gone = rng.permutation(held)[: rng.integers(0, len(held) + 1)].tolist()
        new = 1000 * step + np.arange(rng.integers(0, 12))
        died = positions.remove(rows.remove(gone))
        assert [plain[position] for position in died] == gone
        rows.add(new, new, to_half(np.zeros((len(new), 1), dtype=np.float32)))
        positions.add(len(new))
        plain = [None if number in gone else number for number in plain] + new.tolist()
        slots = positions.slots
        shown = [int(rows.numbers[slot]) if slot >= 0 else None for slot in slots]
        assert shown == plain
        assert (len(positions), positions.dead) == (len(plain), plain.count(None))
        again = Positions(slots)
        assert again.slots.tolist() == slots.tolist()
        assert again.dead == positions.dead


@pytest.mark.parametrize("slots", [[0, 0], [1], [-2], [0, 2, -1], [0, 5]])
def test_a_table_that_misses_a_slot_is_refused(slots: list[int]) -> None:
    with pytest.raises(ValueError, match="every slot"):
        Positions(np.array(slots))
