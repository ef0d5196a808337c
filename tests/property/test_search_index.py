"""The scan keeps what SearchIndex promises, as an oracle sees it, after any changes."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.similarity import pairwise_similarity
from index.exact import ExactIndex
from index.records import Numbers, TemplateBatch
from index.search import Change
from index.tiers import make_index

CHECKED = settings(derandomize=True, database=None, max_examples=300, deadline=None)


def seeded_rows(kind: str, count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Embeddings with what breaks a search: ties, zeros, near doubles, several magnitudes."""
    rows = rng.standard_normal((count, size))
    if kind == "unit":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    elif kind == "grid":  # Few values: many equal distances and equal vectors.
        rows = rng.integers(-1, 2, (count, size)).astype(float)
    elif kind == "zero":
        rows *= 0
    elif kind == "near":  # Around one point, by a few units in the last place of float32.
        rows = 1.0 + 1e-7 * rows
    elif kind == "far":  # Large norms, small gaps: as near() but for probes elsewhere.
        rows = 1000.0 + 1e-3 * rows
    elif kind == "tiny":  # Squared distances that underflow float32.
        rows *= 1e-21
    elif kind == "small":  # Around half precision's smallest number.
        rows *= 1e-7
    elif kind == "huge":  # Up to half precision's largest number.
        rows *= 3e4
    elif kind == "scales":
        rows *= 10.0 ** rng.integers(-30, 5, (count, 1))
    return np.clip(rows, -65504, 65504).astype(np.float32)


KINDS = ["unit", "grid", "zero", "near", "far", "tiny", "small", "huge", "scales"]


@st.composite
def galleries(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "kind": draw(st.sampled_from(KINDS)),
        "probe_kind": draw(st.sampled_from(KINDS)),
        # Probes are not held, so they may be beyond half precision, and overflow when squared.
        "probe_scale": draw(st.sampled_from([1.0, 1.0, 1.0, 1e15, 1e24])),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "size": draw(st.sampled_from([1, 2, 3, 16, 33])),
        "count": draw(st.sampled_from([0, 1, 15, 17, 60, 300])),
        "removed": draw(st.floats(0, 1)),
        "replaced": draw(st.floats(0, 1)),
        "rows": draw(st.sampled_from([1, 2, 5, 50, 400])),
        "d_max": draw(st.sampled_from([2.0, 1e-3, 1e4, 1e-20, 1e20])),
        "probes": draw(st.sampled_from([0, 1, 4, 25])),
    }


def batch(numbers: Numbers, rows: np.ndarray, chosen: Any) -> TemplateBatch:
    chosen = np.arange(len(numbers))[chosen]
    return TemplateBatch(
        numbers=numbers[chosen], subject_numbers=numbers[chosen] // 3, embeddings=rows[chosen]
    )


def changes(case: dict[str, Any], rng: np.random.Generator) -> list[Change]:
    """All rows in two steps, then some removed and some of these replaced at once."""
    count = case["count"]
    rows = seeded_rows(case["kind"], count, case["size"], rng)
    numbers = rng.permutation(10 * count)[:count]
    none = np.zeros(0, dtype=np.int64)
    gone = rng.random(count) < case["removed"]
    back = gone & (rng.random(count) < case["replaced"])
    return [
        Change(removed=none, added=batch(numbers, rows, slice(count // 2)), revision=1),
        Change(removed=none, added=batch(numbers, rows, slice(count // 2, None)), revision=2),
        Change(removed=numbers[gone], added=batch(numbers, rows[::-1], back), revision=3),
    ]


@CHECKED
@given(galleries())
def test_the_scan_keeps_its_promises(case: dict[str, Any]) -> None:
    rng = np.random.default_rng(case["seed"])
    fast, slow = (make(size=case["size"], d_max=case["d_max"]) for make in (make_index, ExactIndex))
    for change in changes(case, rng):
        fast.apply(change)
        slow.apply(change)
    held = np.array([n for n in range(10 * case["count"]) if n in slow], dtype=np.int64)
    assert [n in fast for n in range(10 * case["count"])] == [
        n in slow for n in range(10 * case["count"])
    ]
    assert len(fast) == len(slow) == len(held)
    embeddings = slow.embeddings(held)
    assert (fast.embeddings(held) == embeddings.astype(np.float16)).all()

    probes = np.concatenate(
        [
            embeddings[: case["probes"] // 2],
            case["probe_scale"]
            * seeded_rows(case["probe_kind"], case["probes"], case["size"], rng),
        ]
    ).astype(np.float32)
    found = fast.shortlist(probes, rows=case["rows"])
    assert found.revision == fast.revision == 3
    assert len(found.lists) == len(probes)
    truth_BN = pairwise_similarity(probes, embeddings, case["d_max"])
    for shortlist, truth_N in zip(found.lists, truth_BN, strict=True):
        true = dict(zip(held.tolist(), truth_N.tolist(), strict=True))
        listed = shortlist.numbers.tolist()
        assert len(listed) == len(set(listed)) >= min(case["rows"], len(held))
        assert shortlist.subject_numbers.tolist() == [n // 3 for n in listed]
        assert (np.diff(shortlist.similarities) <= 0).all()
        exact = np.array([true.pop(n) for n in listed])
        assert (np.abs(shortlist.similarities - exact) <= found.error).all()
        assert max(true.values(), default=-1.0) <= shortlist.left_out
        assert true or shortlist.left_out == -1
