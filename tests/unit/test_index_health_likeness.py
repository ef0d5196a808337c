"""What a health report measures, against plain loops over exact similarities."""

import numpy as np
import pytest

from contract.similarity import pairwise_similarity
from index.health import likeness as module
from index.health.enrolled import Enrolled, enrolled
from index.health.likeness import likeness
from index.scoring import mean_embedding

D_MAX = 3.0


def some_gallery(seed: int, sizes: list[int]) -> Enrolled:
    choose = np.random.default_rng(seed)
    # Not of one length: a mean template has the mean length.
    rows = choose.normal(0, 0.3, (sum(sizes), 6)).astype(np.float32)
    numbers = np.repeat(np.arange(len(sizes)) * 10 + 3, sizes)
    order = choose.permutation(len(rows))
    return enrolled(
        rows, numbers[order], numbers=np.arange(len(rows)) + 100, d_max=D_MAX, revision=0
    )


@pytest.mark.parametrize("block", [1, 40, 1 << 22])
def test_it_is_as_plain_loops_say(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    sizes = [1, 2, 3, 1, 5, 2, 2, 4, 1, 3, 2, 3]
    held = some_gallery(block, sizes)
    told: list[float] = []
    found = likeness(held, told.append)
    assert told == sorted(told)
    rows, owners = held.embeddings, held.owners
    means = np.stack([mean_embedding(rows[owners == s]) for s in range(len(sizes))])
    np.testing.assert_allclose(found.means, means, atol=1e-6)
    for subject in range(len(sizes)):
        to_means = pairwise_similarity(means[subject][None], means, D_MAX)[0]
        to_means[subject] = -1
        assert found.twin[subject] == to_means.argmax()
        assert found.twin_near[subject] == pytest.approx(to_means.max(), abs=1e-6)
    nearer = {}
    for place, row in enumerate(rows):
        to_means = pairwise_similarity(row[None], means, D_MAX)[0]
        to_means[owners[place]] = -1
        assert found.nearest[place] == to_means.argmax()
        assert found.near[place] == pytest.approx(to_means.max(), abs=1e-6)
        siblings = rows[(owners == owners[place]) & (np.arange(len(rows)) != place)]
        if not len(siblings):
            assert np.isnan(found.own[place])
            assert np.isnan(found.strangers_nearer[place])
            continue
        to_siblings = pairwise_similarity(mean_embedding(siblings)[None], rows, D_MAX)[0]
        assert found.own[place] == pytest.approx(to_siblings[place], abs=1e-6)
        strangers = to_siblings[owners != owners[place]]
        nearer[place] = float((strangers >= to_siblings[place]).mean())
    for place, share in nearer.items():
        both = [share]
        if held.counts[owners[place]] == 2:
            both = [nearer[p] for p in np.flatnonzero(owners == owners[place]).tolist()]
        assert found.strangers_nearer[place] == pytest.approx(np.mean(both))


def test_opposite_templates_have_a_mean_of_zero() -> None:
    rows = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [0.6, 0.8]], dtype=np.float32)
    held = enrolled(rows, np.array([1, 1, 2, 2, 3]), numbers=np.arange(5), d_max=2.0, revision=0)
    found = likeness(held, lambda done: None)
    assert found.means[:2].tolist() == [[0, 0], [0, 0]]
    assert np.isfinite(found.near).all()
