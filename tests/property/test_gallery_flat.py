"""FlatIndex equals the oracle, hit by hit and bit by bit, after any additions and removals."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.similarity import pairwise_similarity
from index.exact import ExactIndex
from index.flat import FlatIndex
from index.records import TemplateBatch

CHECKED = settings(derandomize=True, database=None, max_examples=400, deadline=None)


def seeded_rows(kind: str, count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Embeddings with what breaks a search: ties, zeros, near doubles, several magnitudes."""
    rows = rng.standard_normal((count, size))
    if kind == "unit":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    elif kind == "grid":  # Few values: many equal distances and equal vectors.
        rows = rng.integers(-1, 2, (count, size)).astype(float)
    elif kind == "zero":
        rows *= 0
    elif kind == "near":  # Around one point, by a few units in the last place.
        rows = 1.0 + 1e-7 * rows
    elif kind == "far":  # Large norms, small gaps: as near() but for probes elsewhere.
        rows = 1000.0 + 1e-3 * rows
    elif kind == "tiny":  # Squared distances that underflow float32.
        rows *= 1e-21
    elif kind == "huge":  # And some that overflow it.
        rows *= 1e19
    elif kind == "scales":
        rows *= 10.0 ** rng.integers(-30, 19, (count, 1))
    return rows.astype(np.float32)


KINDS = st.sampled_from(["unit", "grid", "zero", "near", "far", "tiny", "huge", "scales"])


@st.composite
def galleries(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "kind": draw(KINDS),
        "probe_kind": draw(KINDS),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "size": draw(st.sampled_from([1, 2, 3, 16, 33])),
        "count": draw(st.sampled_from([0, 1, 15, 17, 60, 300])),
        "subjects": draw(st.sampled_from([1, 3, 40, 1000])),
        "removed": draw(st.floats(0, 1)),
        "top_k": draw(st.sampled_from([1, 2, 5, 50])),
        "d_max": draw(st.sampled_from([2.0, 1e-3, 1e4, 1e-20, 1e20])),
        "probes": draw(st.sampled_from([0, 1, 4, 25])),
    }


@CHECKED
@given(galleries())
def test_flat_index_equals_the_oracle(case: dict[str, Any]) -> None:
    rng = np.random.default_rng(case["seed"])
    count, size = case["count"], case["size"]
    rows = seeded_rows(case["kind"], count, size, rng)
    numbers = rng.permutation(10 * count)[:count]
    subjects = rng.integers(0, case["subjects"], count)
    fast, slow = (kind(size=size, d_max=case["d_max"]) for kind in (FlatIndex, ExactIndex))
    gone = numbers[rng.random(count) < case["removed"]].tolist()
    for index in (fast, slow):
        half = count // 2
        for part in (slice(half), slice(half, None)):
            index.add(
                TemplateBatch(
                    numbers=numbers[part], subject_numbers=subjects[part], embeddings=rows[part]
                )
            )
        index.remove(gone)
        assert len(index) == count - len(gone)
    probes = np.concatenate(
        [rows[: case["probes"] // 2], seeded_rows(case["probe_kind"], case["probes"], size, rng)]
    )
    found = fast.search(probes, top_k=case["top_k"])
    assert found == slow.search(probes, top_k=case["top_k"])
    held, expected = fast.templates(), slow.templates()
    order, other = np.argsort(held.numbers), np.argsort(expected.numbers)
    assert held.embeddings[order].tobytes() == expected.embeddings[other].tobytes()
    assert held.subject_numbers[order].tolist() == expected.subject_numbers[other].tolist()


@CHECKED
@given(galleries())
def test_every_subject_is_ranked_by_its_best_template(case: dict[str, Any]) -> None:
    """Straight from the definition, with the oracle's own code left out."""
    rng = np.random.default_rng(case["seed"])
    rows = seeded_rows(case["kind"], case["count"], case["size"], rng)
    subjects = rng.integers(0, case["subjects"], case["count"])
    index = FlatIndex(size=case["size"], d_max=case["d_max"])
    index.add(
        TemplateBatch(numbers=np.arange(case["count"]), subject_numbers=subjects, embeddings=rows)
    )
    probe = seeded_rows(case["probe_kind"], 1, case["size"], rng)
    (found,) = index.search(probe, top_k=case["top_k"])
    similarities = pairwise_similarity(probe, rows, case["d_max"])[0]
    best = sorted((-similarities[subjects == s].max(), s) for s in set(subjects.tolist()))
    assert [(-h.similarity, h.subject_number) for h in found] == best[: case["top_k"]]
