"""Open-set search and its calibration, each against one search after the other."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import training.evaluation.calibration as calibration_module
from contract.calibration.intervals import (
    draw_counts,
    fnir_replicates,
    interval,
    share_interval,
    upper_bound,
)
from contract.calibration.operating_points import gallery_calibration, unsupported_reason
from contract.calibration.records import GalleryCalibration
from contract.calibration.searches import Searches, fnir_at, fpir_at, threshold_at
from training.evaluation.calibration import default_threshold, gallery_sizes, open_set
from training.evaluation.open_set import TooFewError, cmc, det_curve, draw_searches

CHECKED = settings(derandomize=True, database=None, max_examples=60, deadline=None)

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def people(
    counts: list[int], *, seed: int = 0, spread: float = 0.8
) -> tuple[npt.NDArray[np.float32], Labels]:
    """Unit vectors around a centre for each identity, shuffled; labels with gaps."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)) * 7 + 2, counts))
    centres = rng.standard_normal((len(counts) * 7 + 2, 6))
    points = centres[labels] + spread * rng.standard_normal((len(labels), 6))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), labels


def made(
    mated: list[tuple[int, float, int]], nonmated: list[tuple[int, float]], **changes: Any
) -> Searches:
    """Searches by hand: (subject, similarity, rank) and (subject, best similarity)."""
    values: dict[str, Any] = {
        "gallery_subjects": 5, "enrolled": 1, "draws": 1,
        "mated_subjects": len({s for s, _, _ in mated}),
        "nonmated_subjects": len({s for s, _ in nonmated}),
        "mated_subject_S": np.array([s for s, _, _ in mated], dtype=np.int64),
        "similarity_S": np.array([s for _, s, _ in mated], dtype=np.float64),
        "rank_S": np.array([r for _, _, r in mated], dtype=np.int64),
        "nonmated_subject_T": np.array([s for s, _ in nonmated], dtype=np.int64),
        "best_T": np.array([s for _, s in nonmated], dtype=np.float64),
    }  # fmt: skip
    return Searches(**{**values, **changes})


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


# --- intervals ---


def test_replicates_equal_the_loops_over_subjects_drawn_again() -> None:
    rng = np.random.default_rng(3)
    searches = made(
        [(int(s), float(v), int(r)) for s, v, r in zip(
            # Just above what strangers reach, where thresholds are.
            rng.integers(0, 12, 90), np.nextafter(np.round(rng.random(90), 1), 2),
            rng.integers(1, 3, 90), strict=True)],
        # Subjects 10 to 39: two of them are mated, too.
        [(int(s), float(v)) for s, v in zip(
            rng.integers(10, 40, 200), np.round(rng.random(200), 2), strict=True)],
    )  # fmt: skip
    subjects = sorted({*searches.mated_subject_S.tolist(), *searches.nonmated_subject_T.tolist()})
    known = set(searches.mated_subject_S.tolist())
    counts = draw_counts(np.array([s in known for s in subjects]), replicates=25, seed=9)
    fpirs = (0.3, 0.1, 0.01)
    found = fnir_replicates(searches, fpirs, replicates=25, seed=9)
    assert found.shape == (25, 3)
    for r in range(25):
        weight = dict(zip(subjects, counts[r].tolist(), strict=True))
        best = [
            b
            for s, b in zip(searches.nonmated_subject_T, searches.best_T, strict=True)
            for _ in range(weight[int(s)])
        ]
        reached = [
            f
            for s, f in zip(searches.mated_subject_S, searches.found_S, strict=True)
            for _ in range(weight[int(s)])
        ]
        for i, fpir in enumerate(fpirs):
            threshold = threshold_at(np.array(best), fpir)
            # No threshold up to 1 refuses enough: everything is missed.
            slow = 1.0 if threshold is None else sum(f < threshold for f in reached) / len(reached)
            assert found[r, i] == pytest.approx(slow)


def test_as_many_subjects_of_each_stratum_are_drawn_as_it_has() -> None:
    strata = np.arange(50) < 7
    counts = draw_counts(strata, replicates=2_000, seed=0)
    assert (counts[:, :7].sum(axis=1) == 7).all()
    assert (counts[:, 7:].sum(axis=1) == 43).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(50), abs=0.15)
    assert counts[:, 0].var() == pytest.approx(1 - 1 / 7, abs=0.1)  # with replacement


def test_the_interval_knows_that_images_of_a_subject_are_alike() -> None:
    """Ten subjects of a hundred searches that all hit or all miss: ten facts, not a thousand."""
    subject = np.repeat(np.arange(10), 100)
    hit = subject < 5
    alike = share_interval(hit, subject, replicates=2_000)
    apart = share_interval(np.random.default_rng(0).permutation(hit), subject, replicates=2_000)
    assert (alike.value, apart.value) == (0.5, 0.5)
    # Ten throws of a coin: 0.2 to 0.8 holds 97.8 %.
    assert (alike.low95, alike.high95) == pytest.approx((0.2, 0.8), abs=0.01)
    assert apart.high95 - apart.low95 < 0.15


def test_a_share_of_subjects_with_unequal_searches_equals_the_loops() -> None:
    rng = np.random.default_rng(0)
    subject, hit = rng.integers(0, 9, 60) ** 2, rng.random(60) < 0.6
    names = sorted(set(subject.tolist()))
    counts = draw_counts(np.ones(len(names), dtype=bool), replicates=300, seed=4)
    shares = []
    for replicate in counts.tolist():
        weight = dict(zip(names, replicate, strict=True))
        drawn = [h for s, h in zip(subject, hit, strict=True) for _ in range(weight[int(s)])]
        shares.append(sum(drawn) / len(drawn))
    found = share_interval(hit, subject, replicates=300, seed=4)
    assert found.value == hit.mean()
    assert (found.low95, found.high95) == pytest.approx(tuple(np.quantile(shares, [0.025, 0.975])))


def test_intervals_cover_the_truth_in_95_of_100_worlds() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for world in range(200):
        chance = rng.beta(2, 2, 40)  # of each subject to be found; half on average
        subject = np.repeat(np.arange(40), 20)
        found = share_interval(
            rng.random(800) < chance[subject], subject, seed=world, replicates=400
        )
        covered += found.low95 <= 0.5 <= found.high95
    assert 0.90 <= covered / 200 <= 0.985


def test_an_interval_holds_its_value_and_leaves_out_what_is_no_number() -> None:
    found = interval(0.9, np.array([0.1, 0.2, math.nan]))
    assert (found.value, found.high95) == (0.9, 0.9)
    assert found.low95 == pytest.approx(0.1, abs=0.01)
    below = interval(0.05, np.array([0.1, 0.2]))
    assert (below.low95, below.value) == (0.05, 0.05)
    with pytest.raises(ValueError, match="there are none"):
        share_interval(np.array([], dtype=bool), np.array([], dtype=np.int64))


def test_replicates_without_a_stranger_are_no_number() -> None:
    """The one stranger is mated in another draw, and not in every replicate."""
    searches = made([(1, 0.9, 1), (2, 0.9, 1)], [(1, 0.3)])
    found = fnir_replicates(searches, (0.1,), replicates=200)
    assert 0.1 < np.isnan(found).mean() < 0.5
    assert set(found[~np.isnan(found)].tolist()) == {0.0}


@pytest.mark.parametrize(
    ("errors", "trials"), [(0, 1), (0, 300), (1, 30), (26, 2_562), (5, 5), (250, 2_500)]
)
def test_the_upper_bound_is_clopper_and_pearsons(errors: int, trials: int) -> None:
    from scipy.stats import beta

    exact = 1.0 if errors == trials else float(beta.ppf(0.95, errors + 1, trials - errors))
    assert upper_bound(errors, trials) == pytest.approx(exact, abs=1e-9)


def test_the_rule_of_three_is_the_bound_of_no_errors() -> None:
    assert upper_bound(0, 300) == pytest.approx(3 / 300, rel=0.01)
    for wrong in ((0, 0), (4, 3), (-1, 3)):
        with pytest.raises(ValueError, match="no rate"):
            upper_bound(*wrong)


# --- calibration ---


def many(strangers: int, mated: int, *, similarity: float = 0.3) -> Searches:
    rng = np.random.default_rng(0)
    return made(
        [(i, float(s), 1) for i, s in enumerate(rng.random(mated))],
        [(10_000 + i, float(s)) for i, s in enumerate(rng.random(strangers) * similarity)],
        gallery_subjects=mated,
        mated_subjects=mated,
    )


def test_a_target_needs_three_over_it_strangers() -> None:
    """Counted are strangers, not searches for them."""
    assert unsupported_reason(many(300, 10), 0.01) is None
    assert unsupported_reason(many(299, 10), 0.01) == (
        "299 strangers cannot show it, 300 are needed"
    )
    few = made([(1, 0.5, 1)], [(i % 10, 0.1) for i in range(5_000)])
    assert unsupported_reason(few, 0.1) == "10 strangers cannot show it, 30 are needed"


def test_strangers_at_similarity_one_leave_no_threshold() -> None:
    searches = made([(1, 1.0, 1)], [(i, 1.0 if i < 20 else 0.1) for i in range(100)])
    assert unsupported_reason(searches, 0.25) is None
    assert "20.0% of the searches by strangers reach similarity 1" in str(
        unsupported_reason(searches, 0.1)
    )


def test_the_points_of_a_gallery_are_its_rates() -> None:
    searches = many(400, 50)
    found = gallery_calibration(searches, fpirs=(0.1, 0.01, 0.001), replicates=200)
    assert [p.target_fpir for p in found.points] == [0.1, 0.01]
    assert [p.target_fpir for p in found.unsupported] == [0.001]
    assert "3000 are needed" in found.unsupported[0].reason
    for point in found.points:
        assert point.threshold == threshold_at(searches.best_T, point.target_fpir)
        assert point.fpir == fpir_at(searches, point.threshold) == point.target_fpir
        assert point.fnir is not None
        assert point.fnir.value == fnir_at(searches, point.threshold)
        assert point.fnir.low95 < point.fnir.value < point.fnir.high95
    assert found.points[1].fpir_upper95 == upper_bound(4, 400)
    assert (found.subjects, found.draws, found.mated_subjects) == (50, 1, 50)
    assert (found.mated_searches, found.nonmated_subjects, found.nonmated_searches) == (
        50,
        400,
        400,
    )


def test_a_second_search_for_the_same_strangers_adds_nobody() -> None:
    """The bound on FPIR and the end of the tail are those of 400 strangers, not of 800 searches."""
    once = many(400, 50)
    values = {name: getattr(once, name) for name in Searches.__slots__}
    for name in ("nonmated_subject_T", "best_T"):
        values[name] = np.concatenate([values[name]] * 2)
    twice = Searches(**{**values, "draws": 2})
    first, second = (gallery_calibration(s, fpirs=(0.01,), replicates=10) for s in (once, twice))
    assert second.points[0].fpir_upper95 == first.points[0].fpir_upper95
    assert [p.share for p in second.tail] == [p.share for p in first.tail]
    assert (second.nonmated_subjects, second.nonmated_searches) == (400, 800)


def test_few_mated_subjects_have_a_threshold_but_no_fnir() -> None:
    assert gallery_calibration(many(50, 10), replicates=50).points[0].fnir is not None
    assert gallery_calibration(many(50, 9), replicates=50).points[0].fnir is None


def test_the_tail_says_which_share_each_similarity_let_through() -> None:
    searches = many(1_000, 20)
    tail = gallery_calibration(searches, replicates=10).tail
    for point in tail:
        passed = (searches.best_T >= point.similarity).sum()
        assert passed == math.floor(point.share * 1_000 + 1e-9)
    assert tail[0].share == 0.5
    assert tail[-1].share == pytest.approx(0.001)  # as far as one stranger goes
    assert len(tail) == 22


def test_the_tail_of_collapsed_embeddings_is_still_one() -> None:
    found = gallery_calibration(made([(1, 1.0, 2)], [(5, 1.0)]), replicates=10)
    assert [(p.share, p.similarity) for p in found.tail] == [(0.5, 1.0)]


def test_galleries_leave_at_least_as_many_strangers() -> None:
    def sizes(counts: list[int], enrolled: int = 1) -> tuple[int, ...]:
        labels = np.repeat(np.arange(len(counts)), counts)
        return gallery_sizes(labels, enrolled=enrolled)

    assert sizes([1] * 700) == (10, 30, 100, 300)
    assert sizes([1] * 20) == (10,)
    assert sizes([1] * 19) == (9,)
    assert sizes([3] * 2) == (1,)
    assert sizes([2] * 30 + [1] * 600, enrolled=2) == (10, 30)
    for counts, enrolled in (([5], 1), ([1, 1], 2)):
        with pytest.raises(TooFewError, match="needs two identities"):
            sizes(counts, enrolled)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_module, "DRAWS", 2)
    monkeypatch.setattr(calibration_module, "ENROLMENTS", 60)


@pytest.mark.usefixtures("quick")
def test_open_set_measures_each_size_and_says_what_it_cannot() -> None:
    embeddings, labels = people([4] * 15 + [1] * 330)
    result = open_set(embeddings, labels, d_max=2.0, data="made up", replicates=50)
    assert [s.gallery_subjects for s in result.searches] == [10, 30, 100]
    assert [s.draws for s in result.searches] == [6, 2, 2]  # 60 enrolments, at least two draws
    calibration = result.calibration
    assert calibration is not None
    assert (calibration.data, calibration.images_enrolled, calibration.replicates) == (
        "made up", 1, 50,
    )  # fmt: skip
    targets = [[p.target_fpir for p in g.points] for g in calibration.galleries]
    assert targets == [[0.1, 0.01], [0.1, 0.01], [0.1]]  # 335, 315 and 245 strangers
    said = "FPIR 1.0% among 100 subjects is not supported: 245 strangers cannot show it"
    assert any(line.startswith(said) for line in result.unsupported)
    assert result.reference.gallery_subjects == 100
    threshold = default_threshold(calibration)
    assert threshold is not None
    point = calibration.galleries[1].points[1]
    assert (threshold.similarity, threshold.fpir) == (point.threshold, point.fpir)
    assert (threshold.gallery_subjects, threshold.searches, threshold.data) == (30, 315, "made up")
    again = open_set(embeddings, labels, d_max=2.0, data="made up", replicates=50)
    assert again.calibration == calibration
    other = open_set(embeddings, labels, d_max=2.0, data="made up", replicates=50, seed=1)
    assert other.calibration != calibration


@pytest.mark.usefixtures("quick")
def test_ten_characters_have_searches_but_no_calibration() -> None:
    embeddings, labels = people([20] * 10)
    result = open_set(embeddings, labels, d_max=2.0, data="made up", replicates=20)
    assert result.calibration is None
    assert default_threshold(result.calibration) is None
    assert [s.gallery_subjects for s in result.searches] == [5]
    assert result.reference is result.searches[0]
    assert [line.split(" is not ")[0] for line in result.unsupported] == [
        "FPIR 10.0% among 5 subjects", "FPIR 1.0% among 5 subjects", "FPIR 0.3% among 5 subjects",
        "FPIR 0.1% among 5 subjects", "FNIR among 5 subjects",
    ]  # fmt: skip


@pytest.mark.usefixtures("quick")
def test_a_model_that_sends_everyone_to_one_point_has_no_threshold() -> None:
    embeddings, labels = people([2] * 400)
    result = open_set(np.ones_like(embeddings), labels, d_max=2.0, data="made up", replicates=20)
    assert result.calibration is None
    assert "100.0% of the searches by strangers reach similarity 1" in result.unsupported[0]


@pytest.mark.usefixtures("quick")
def test_the_threshold_holds_on_strangers_it_was_not_made_of() -> None:
    """On other identities of the same kind FPIR is the target, within the noise of 600 people."""
    embeddings, labels = people([2] * 1_400, seed=1)
    first = labels < np.median(labels)
    made_of, other = (
        open_set(embeddings[part], labels[part], d_max=2.0, data="x", replicates=10)
        for part in (first, ~first)
    )
    assert made_of.calibration is not None
    for gallery, searches in zip(made_of.calibration.galleries, other.searches, strict=True):
        for point in gallery.points:
            if point.target_fpir == 0.1:
                assert fpir_at(searches, point.threshold) == pytest.approx(0.1, abs=0.05)


def test_points_without_a_gallery_up_to_a_hundred_have_no_default() -> None:
    assert default_threshold(None) is None


def test_calibrations_are_plain_records() -> None:
    found = gallery_calibration(many(50, 10), replicates=10)
    assert GalleryCalibration.model_validate_json(found.model_dump_json()) == found
