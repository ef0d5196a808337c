"""The rates of every threshold, against plain counting and against the stated points."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from contract.calibration.curve import STEPS, RateCurve
from contract.calibration.intervals import draw_counts, upper_bound
from contract.calibration.searches import Searches
from index.calibrating import SelfSearch, calibrated
from index.missed import MatedSearches, fnir, missed_at
from index.rate_curve import THRESHOLDS, rate_curve

REPLICATES = 50


def self_search(seed: int, subjects: int = 60, photos: int = 3) -> SelfSearch:
    """Searches of people with so many photos each, some similarities on an edge of a part."""
    rng = np.random.default_rng(seed)
    count = subjects * photos
    subject = np.repeat(np.arange(subjects), photos)
    own = np.round(np.sort(rng.uniform(0.4, 1.0, (count, 3)))[:, ::-1], 2)
    own[:, photos - 1 :] = -1.0
    other = np.round(rng.uniform(0.2, 0.7, count), 2)
    return SelfSearch(
        searches=Searches(
            gallery_subjects=subjects,
            enrolled=photos,
            draws=photos,
            mated_subjects=subjects,
            nonmated_subjects=subjects,
            mated_subject_S=subject,
            similarity_S=own[:, 0],
            rank_S=np.where(own[:, 0] > other, 1, 2).astype(np.int64),
            nonmated_subject_T=subject,
            best_T=other,
        ),
        mated=MatedSearches(
            own_S3=own, others_S=np.full(count, photos - 1, dtype=np.int64), other_S=other
        ),
        templates=count,
        uploaded=0,
        rejected=0,
        feedback=0,
        feedback_left_out=0,
        revision=1,
        contract_id="test",
        scoring="best",
    )


@pytest.mark.parametrize("photos", [2, 3])
def test_each_point_has_the_rates_that_are_counted_at_its_threshold(photos: int) -> None:
    search = self_search(photos, photos=photos)
    curve = rate_curve(search, replicates=REPLICATES)
    best = search.searches.best_T.tolist()
    ones = np.ones(len(search.mated.other_S), np.int32)
    for point in curve.points:
        errors = sum(similarity >= point.threshold for similarity in best)
        assert point.fpir == pytest.approx(errors / len(best))
        people = -(-errors * 60 // len(best))
        assert point.fpir_upper95 == pytest.approx(upper_bound(people, 60))
        assert point.fnir is not None
        assert point.fnir.value == pytest.approx(fnir(search.mated, point.threshold, ones))
        assert point.fnir.low95 <= point.fnir.value <= point.fnir.high95


def test_the_curve_goes_through_the_stated_points() -> None:
    search = self_search(1)
    curve = rate_curve(search, replicates=REPLICATES)
    for stated in calibrated(search).points:
        above = next(p for p in curve.points if p.threshold >= stated.threshold)
        assert above.fpir <= stated.fpir
        assert above.fnir is not None
        assert stated.fnir is not None
        assert above.fnir.value >= stated.fnir.value


def test_rates_fall_and_rise_with_the_threshold() -> None:
    points = rate_curve(self_search(2), replicates=REPLICATES).points
    assert points[0].fpir == 1.0
    fpirs = [point.fpir for point in points]
    assert fpirs == sorted(fpirs, reverse=True)


def test_searches_are_counted_by_their_similarity() -> None:
    search = self_search(3)
    curve = rate_curve(search, replicates=REPLICATES)
    found = search.searches
    for part in range(STEPS):
        low, high = part / STEPS, (part + 1) / STEPS
        last = part == STEPS - 1

        def inside(
            similarity: float, low: float = low, high: float = high, last: bool = last
        ) -> bool:
            return low <= similarity < high or (last and similarity == 1.0)

        assert curve.nonmated[part] == sum(map(inside, found.best_T.tolist()))
        first = found.similarity_S[found.rank_S == 1].tolist()
        assert curve.mated[part] == sum(map(inside, first))
    assert sum(curve.mated) + curve.mated_not_first == len(found.rank_S)


def test_intervals_are_those_of_a_plain_bootstrap() -> None:
    search = self_search(4, subjects=20)
    (found,) = missed_at(
        search.mated, search.searches.mated_subject_S, [0.8], replicates=REPLICATES
    )
    counts_RU = draw_counts(np.ones(20, dtype=bool), replicates=REPLICATES, seed=0)
    drawn = [
        fnir(search.mated, 0.8, counts_U[search.searches.mated_subject_S]) for counts_U in counts_RU
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.low95 == pytest.approx(min(low, found.value))
    assert found.high95 == pytest.approx(max(high, found.value, upper_bound(0, 20)))


def test_of_few_people_with_two_photos_nothing_is_said() -> None:
    curve = rate_curve(self_search(5, subjects=9), replicates=REPLICATES)
    assert {point.fnir for point in curve.points} == {None}


def test_a_curve_with_other_thresholds_is_refused() -> None:
    curve = rate_curve(self_search(6), replicates=REPLICATES)
    told: dict[str, Any] = curve.model_dump()
    told["points"][3]["threshold"] = 0.5
    with pytest.raises(ValidationError, match="200th apart"):
        RateCurve.model_validate(told)
    assert THRESHOLDS[0] == 0.0
    assert THRESHOLDS[-1] == 1.0
