"""Calibration by searches: which target can be promised, and what is said where none can."""

import math

import numpy as np
import pytest

import training.evaluation.calibration as calibration_module
from contract.calibration.intervals import (
    upper_bound,
)
from contract.calibration.operating_points import gallery_calibration, unsupported_reason
from contract.calibration.records import GalleryCalibration
from contract.calibration.searches import Searches, fnir_at, fpir_at, threshold_at
from tests.embedded_people import made, people
from training.evaluation.calibration import default_threshold, gallery_sizes, open_set
from training.evaluation.open_set import TooFewError


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
