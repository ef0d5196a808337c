"""Gallery.search is a plain computation over what was enrolled, bit by bit; both backends."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from contract.similarity import pairwise_similarity
from index.gallery import Gallery
from index.records import Embeddings
from tests.conftest import GalleryOpener

Expected = list[list[tuple[str, float, str]]]
# Kinds of embeddings, by what makes them hard.
KINDS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Any]] = {
    # As face embeddings are.
    "unit": lambda rng, shape: _unit(rng.standard_normal(shape)),
    # Doubles and ties by the dozen.
    "grid": lambda rng, shape: rng.integers(-1, 2, shape),
    # Apart by less than half precision can tell.
    "near": lambda rng, shape: _unit(np.ones(shape)) + 1e-6 * rng.standard_normal(shape),
    "all the same": lambda rng, shape: np.ones(shape),
    "from tiny to large": lambda rng, shape: (
        rng.standard_normal(shape) * 10.0 ** rng.integers(-9, 3, (shape[0], 1))
    ),
}


def _unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def expected_of(
    probes: Embeddings, held: list[tuple[str, str, Embeddings]], top_k: int, d_max: float
) -> Expected:
    """By the definition: each subject's best template, best first, then as enrolled."""
    answers = []
    for probe in probes.astype(np.float64):
        best: dict[str, tuple[float, str]] = {}
        for subject_id, template_id, row in held:
            distance = np.sqrt(np.square(row.astype(np.float64) - probe).sum())
            similarity = float(np.clip(1.0 - distance / d_max, 0.0, 1.0))
            if subject_id not in best or similarity > best[subject_id][0]:
                best[subject_id] = (similarity, template_id)
        # Sorting keeps the order of equals, and dictionaries that of enrolment.
        order = sorted(best.items(), key=lambda item: -item[1][0])
        answers.append([(subject_id, *hit) for subject_id, hit in order][:top_k])
    return answers


def shown(gallery: Gallery, probes: Embeddings, top_k: int) -> Expected:
    result = gallery.search(probes, top_k=top_k)
    return [
        [(c.subject.id, c.similarity, c.template_id) for c in candidates]
        for candidates in result.candidates
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_is_the_plain_computation_bit_by_bit(
    open_gallery: GalleryOpener, kind: str
) -> None:
    rng = np.random.default_rng(len(kind))
    size, d_max = 16, 2.0 if kind in ("unit", "near") else 100.0
    gallery = open_gallery(EmbeddingContract(id=f"test:{kind}", size=size, d_max=d_max))
    held: list[tuple[str, str, Embeddings]] = []
    for n in range(60):
        rows = KINDS[kind](rng, (int(rng.integers(1, 7)), size)).astype(np.float32)
        subject_id = f"s{n % 45}"
        ids = gallery.enroll(rows, subject_id=subject_id).template_ids
        held += [(subject_id, i, row) for i, row in zip(ids, rows, strict=True)]
    for gone in ("s3", "s44", "s0"):
        gallery.remove_subject(gone)
        held = [one for one in held if one[0] != gone]
    gallery.remove_template(held[5][1])
    del held[5]
    held.sort(key=lambda one: int(one[0][1:]))  # The order of their first enrolment.
    probes = np.concatenate(
        [np.array([row for _, _, row in held[:4]]), KINDS[kind](rng, (4, size))]
    ).astype(np.float32)
    for top_k in (1, 2, 5, 41, 100):
        assert shown(gallery, probes, top_k) == expected_of(probes, held, top_k, d_max)
    gallery.verify()


def test_similarities_do_not_depend_on_who_else_is_searched_for(
    gallery_location: Path | str,
) -> None:
    """One probe alone, and amid others, has the same answer to the last bit."""
    rng = np.random.default_rng(3)
    contract = EmbeddingContract(id="test:many", size=128, d_max=2.0)
    rows = _unit(rng.standard_normal((70, 128))).astype(np.float32)
    with Gallery.open(gallery_location, contract) as gallery:
        for row in rows[:60]:
            gallery.enroll(row[None])
        together = shown(gallery, rows[50:], 7)
        alone = [shown(gallery, row[None], 7)[0] for row in rows[50:]]
        assert together == alone
        truth = pairwise_similarity(rows[50:], rows[:60], 2.0)
        assert [[s for _, s, _ in found] for found in together] == np.sort(truth)[
            :, :-8:-1
        ].tolist()
        assert math.isclose(together[0][0][1], 1.0)
