"""Searches of a gallery and their rates, against one after the other by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.calibration.searches import fnir_at, fpir_at, threshold_at
from tests.embedded_people import Labels, made, people
from training.evaluation.open_set import TooFewError, cmc, det_curve, draw_searches

CHECKED = settings(derandomize=True, database=None, max_examples=60, deadline=None)

# --- searches ---


def slow_searches(
    embeddings: Any, labels: Labels, *, gallery_subjects: int, enrolled: int, draws: int, seed: int
) -> tuple[list[tuple[int, float, int]], list[tuple[int, float]]]:
    """The same draws, one search at a time."""
    rng = np.random.default_rng([seed, gallery_subjects, enrolled])
    names = sorted(set(labels.tolist()))
    number = {name: int((labels == name).sum()) for name in names}
    spare = [i for i, name in enumerate(names) if number[name] > enrolled]
    enough = [i for i, name in enumerate(names) if number[name] == enrolled]
    mated, nonmated = [], []
    for _ in range(draws):
        keys = rng.random(len(labels))
        images = {
            name: sorted(np.flatnonzero(labels == name).tolist(), key=lambda row: keys[row])
            for name in names
        }
        inside = [names[i] for i in rng.permutation(spare)[:gallery_subjects]]
        fillers = [names[i] for i in rng.permutation(enough)]
        gallery = inside + fillers[: gallery_subjects - len(inside)]

        def nearest(row: int, name: int, images: Any = images) -> float:
            probe = embeddings[row].astype(float).tolist()
            return min(
                math.dist(probe, embeddings[t].astype(float).tolist())
                for t in images[name][:enrolled]
            )

        for name in inside:
            for row in images[name][enrolled:]:
                own = nearest(row, name)
                before = sum(nearest(row, other) <= own for other in gallery if other != name)
                mated.append((name, 1 - own / 2, 1 + before))
        for name in names:
            if name not in gallery:
                best = min(nearest(images[name][0], other) for other in gallery)
                nonmated.append((name, 1 - best / 2))
    return mated, nonmated


COUNTS = [1, 4, 2, 1, 3, 1, 2, 5, 1, 2]


@pytest.mark.parametrize(("gallery_subjects", "enrolled"), [(1, 1), (4, 1), (9, 1), (4, 2), (6, 2)])
def test_searches_equal_one_after_the_other(gallery_subjects: int, enrolled: int) -> None:
    embeddings, labels = people(COUNTS)
    options = {"gallery_subjects": gallery_subjects, "enrolled": enrolled, "draws": 3, "seed": 5}
    found = draw_searches(embeddings, labels, d_max=2.0, **options)
    mated, nonmated = slow_searches(embeddings, labels, **options)
    assert found.mated_subject_S.tolist() == [name for name, _, _ in mated]
    assert found.similarity_S == pytest.approx([s for _, s, _ in mated], abs=1e-7)
    assert found.rank_S.tolist() == [rank for _, _, rank in mated]
    assert found.nonmated_subject_T.tolist() == [name for name, _ in nonmated]
    assert found.best_T == pytest.approx([s for _, s in nonmated], abs=1e-7)
    assert found.nonmated_subjects * 3 == len(nonmated)
    with_images_to_spare = sum(count > enrolled for count in COUNTS)
    assert found.mated_subjects == min(gallery_subjects, with_images_to_spare)


def test_searches_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = people(COUNTS)
    whole = draw_searches(embeddings, labels, gallery_subjects=4, enrolled=2, d_max=2.0)
    monkeypatch.setattr("training.evaluation.distances.PIECE", 9)
    pieces = draw_searches(embeddings, labels, gallery_subjects=4, enrolled=2, d_max=2.0)
    assert pieces.similarity_S == pytest.approx(whole.similarity_S)
    assert np.array_equal(pieces.rank_S, whole.rank_S)
    assert pieces.best_T == pytest.approx(whole.best_T)


def test_nobody_is_enrolled_and_a_stranger_in_one_draw() -> None:
    embeddings, labels = people([2] * 12)
    found = draw_searches(embeddings, labels, gallery_subjects=5, draws=20, d_max=2.0)
    strangers = found.nonmated_subject_T.reshape(20, 7)
    known = found.mated_subject_S.reshape(20, 5)  # each has one image to search for
    for others, enrolled in zip(strangers.tolist(), known.tolist(), strict=True):
        assert len({*others, *enrolled}) == 12
    assert len({tuple(sorted(draw)) for draw in known.tolist()}) > 15  # and each draw has others


def test_no_probe_is_its_own_template() -> None:
    """Every image is a point of its own; only itself would have similarity 1."""
    embeddings, labels = people([3] * 8)
    found = draw_searches(embeddings, labels, gallery_subjects=4, draws=10, d_max=2.0)
    assert max(found.similarity_S.max(), found.best_T.max()) < 1 - 1e-6


def test_subjects_with_images_to_spare_are_enrolled_first() -> None:
    embeddings, labels = people([1] * 20 + [2] * 3)
    found = draw_searches(embeddings, labels, gallery_subjects=6, draws=4, d_max=2.0)
    assert (found.mated_subjects, found.nonmated_subjects) == (3, 17)
    assert len(found.rank_S) == 3 * 4
    assert len(found.best_T) == 17 * 4


def test_a_gallery_of_everyone_leaves_no_strangers() -> None:
    embeddings, labels = people([2, 2, 2])
    found = draw_searches(embeddings, labels, gallery_subjects=3, draws=2, d_max=2.0)
    assert (found.nonmated_subjects, len(found.best_T), len(found.rank_S)) == (0, 0, 6)


@pytest.mark.parametrize("wrong", [{"gallery_subjects": 0}, {"enrolled": 0}, {"draws": 0}])
def test_a_search_without_anything_is_refused(wrong: dict[str, int]) -> None:
    embeddings, labels = people([2, 2, 2])
    with pytest.raises(ValueError, match="at least 1"):
        draw_searches(embeddings, labels, d_max=2.0, **{"gallery_subjects": 2, **wrong})


def test_too_few_identities_are_told() -> None:
    embeddings, labels = people([2, 2, 1])
    with pytest.raises(TooFewError, match="2 identities of at least 2 images"):
        draw_searches(embeddings, labels, gallery_subjects=3, enrolled=2, d_max=2.0)


# --- rates ---


def test_hand_computed_rates() -> None:
    """At 0.5 of four mated searches: found, below, found below another, just at it."""
    searches = made(
        [(1, 0.9, 1), (1, 0.4, 1), (2, 0.8, 2), (3, 0.5, 1)],
        [(7, 0.5), (8, 0.2), (9, 0.6), (7, 0.1)],
    )
    assert fnir_at(searches, 0.5) == 0.5
    assert fpir_at(searches, 0.5) == 0.5
    assert fnir_at(searches, 0.0) == 0.25  # the one at rank 2 is a miss at every threshold
    assert threshold_at(searches.best_T, 0.25) == np.nextafter(0.5, 1)
    assert threshold_at(searches.best_T, 0.24) == np.nextafter(0.6, 1)
    assert threshold_at(searches.best_T, 1.0) == 0.0
    assert cmc(searches.rank_S, ranks=3).tolist() == [0.75, 1.0, 1.0]


SIMILARITIES = st.one_of(st.integers(0, 5).map(lambda n: n / 5), st.floats(0, 1))


@CHECKED
@given(st.lists(SIMILARITIES, min_size=1, max_size=30), st.sampled_from([0.0, 0.1, 0.29, 0.5, 1.0]))
def test_the_threshold_keeps_its_promise_and_none_lower_does(
    best: list[float], fpir: float
) -> None:
    found = threshold_at(np.array(best), fpir)
    # Every threshold that decides differently, and that a service can have.
    candidates = [0.0, *(float(np.nextafter(b, 2)) for b in best)]
    kept = [
        t for t in candidates if t <= 1 and sum(b >= t for b in best) <= fpir * len(best) + 1e-9
    ]
    assert found == (min(kept) if kept else None)


def test_twenty_nine_of_a_hundred_are_twenty_nine_percent() -> None:
    """0.29 * 100 is 28.999999999999996 in floating point."""
    best = np.arange(100) / 100
    assert fpir_at(made([], [(i, b) for i, b in enumerate(best)]), threshold_at(best, 0.29)) == 0.29


@pytest.mark.parametrize(
    "rate",
    [lambda s: fnir_at(s, 0.5), lambda s: fpir_at(s, 0.5), det_curve,
     lambda s: threshold_at(s.best_T, 0.1), lambda s: cmc(s.rank_S, ranks=1)],
)  # fmt: skip
def test_rates_of_no_search_are_refused(rate: Any) -> None:
    with pytest.raises(ValueError, match="searches"):
        rate(made([], []))


@CHECKED
@given(
    mated=st.lists(st.tuples(st.just(1), SIMILARITIES, st.integers(1, 2)), min_size=1, max_size=12),
    nonmated=st.lists(st.tuples(st.just(2), SIMILARITIES), min_size=1, max_size=12),
)
def test_the_det_curve_is_one_threshold_after_the_other(
    mated: list[tuple[int, float, int]], nonmated: list[tuple[int, float]]
) -> None:
    searches = made(mated, nonmated)
    curve = det_curve(searches)
    places = {0.0, float(np.nextafter(1, 2))} | {b for _, b in nonmated}
    assert curve.threshold_C.tolist() == sorted(places | {s for _, s, r in mated if r == 1})
    for i, threshold in enumerate(curve.threshold_C):
        assert curve.fpir_C[i] == pytest.approx(fpir_at(searches, threshold))
        assert curve.fnir_C[i] == pytest.approx(fnir_at(searches, threshold))
    assert (curve.fpir_C[-1], curve.fnir_C[-1]) == (0, 1)
