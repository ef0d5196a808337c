"""The bar of the health report: faults are planted as told, and judged as told."""

import dataclasses

import numpy as np
import pytest

from benchmarks.gallery_health import Photos, Tally, examine, judge, within_bar
from benchmarks.planted_faults import Misplaced, Plan, TooFewPeopleError, plan_gallery
from index.health.records import (
    DuplicateSubjects,
    HealthReport,
    MislabelledTemplate,
    OutlyingTemplates,
    Side,
)

PEOPLE = np.repeat(np.arange(60), 10)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("shape", [(2,) * 40, (3,) * 30, (1,) * 20 + (2,) * 10 + (5,) * 10])
def test_faults_are_planted_as_told_and_no_others(shape: tuple[int, ...], seed: int) -> None:
    plan = plan_gallery(PEOPLE, shape, duplicates=5, misplaced=6, seed=seed)
    assert sorted(np.bincount(plan.subjects).tolist()) == sorted(shape)
    # No photo is enrolled twice.
    assert len(np.unique(plan.photos)) == len(plan.photos) == sum(shape)
    people = PEOPLE[plan.photos]
    shown = {s: people[plan.subjects == s].tolist() for s in range(len(shape))}
    misplaced = {fault.template: fault for fault in plan.misplaced}
    faulty = {int(plan.subjects[template]) for template in misplaced}
    assert len(misplaced) == len(faulty) == 6
    assert len(plan.duplicates) == 5
    # Who a subject is, without its misplaced template.
    whose: dict[int, int] = {}
    for place, subject in enumerate(plan.subjects.tolist()):
        if place not in misplaced:
            assert whose.setdefault(subject, int(people[place])) == people[place]
    same = {(a, b) for a in whose for b in whose if a < b and whose[a] == whose[b]}
    assert same == plan.duplicates
    strangers = [f for f in plan.misplaced if f.belongs_to is None]
    assert len(strangers) == 3
    for fault in plan.misplaced:
        person = int(people[fault.template])
        assert len(shown[int(plan.subjects[fault.template])]) > 1
        if fault.belongs_to is None:
            assert person not in whose.values()
        else:
            assert whose[fault.belongs_to] == person
    assert not faulty & {subject for pair in plan.duplicates for subject in pair}


def test_the_same_seed_plans_the_same() -> None:
    one, same, other = (
        plan_gallery(PEOPLE, (2,) * 30, duplicates=2, misplaced=2, seed=seed) for seed in (1, 1, 2)
    )
    assert one.photos.tolist() == same.photos.tolist()
    assert one.photos.tolist() != other.photos.tolist()


def test_too_few_people_are_refused() -> None:
    for shape, duplicates in (((2,) * 61, 0), ((6,) * 10, 1), ((2,) * 6, 3)):
        with pytest.raises(TooFewPeopleError):
            plan_gallery(PEOPLE, shape, duplicates=duplicates, misplaced=2, seed=0)
    with pytest.raises(TooFewPeopleError, match="two templates"):
        plan_gallery(PEOPLE, (1,) * 10, duplicates=0, misplaced=2, seed=0)


PLAN = Plan(
    photos=np.arange(8),
    subjects=np.array([0, 0, 1, 1, 2, 2, 3, 3]),
    duplicates=frozenset({(0, 1)}),
    misplaced=(),
)
IDS = list("abcdefgh")
EMPTY = HealthReport(
    collection_id="default",
    gallery_revision=4,
    subject_count=4,
    template_count=8,
    single_template_subject_count=0,
    too_little=None,
    duplicate_similarity=None,
    duplicates=(),
    mislabelled=(),
    outlying=(),
)


def duplicates_of(first: int, second: int) -> DuplicateSubjects:
    one, other = (
        Side(subject_id=str(n), template_count=2, nearest_count=2) for n in (first, second)
    )
    return DuplicateSubjects(first=one, second=other, similarity=0.7)


def mislabelled(template_id: str, looks_like: int) -> MislabelledTemplate:
    return MislabelledTemplate(
        template_id=template_id,
        subject_id="?",
        looks_like=str(looks_like),
        similarity=0.7,
        own_similarity=0.3,
        strangers_nearer=0.5,
    )


def outlying(*template_ids: str) -> OutlyingTemplates:
    return OutlyingTemplates(
        template_ids=template_ids, subject_id="?", own_similarity=0.3, strangers_nearer=0.5
    )


def judged(plan: Plan, **found: object) -> tuple[Tally, Tally]:
    report = dataclasses.replace(EMPTY, **found)  # type: ignore[arg-type]
    outcome = judge(plan, report, IDS, [f"p/{name}.jpg" for name in IDS])
    assert len(outcome.false) == outcome.duplicates.false + outcome.templates.false
    return outcome.duplicates, outcome.templates


def test_duplicates_are_found_in_either_order_and_others_are_false() -> None:
    pairs = (duplicates_of(1, 0), duplicates_of(2, 3))
    assert judged(PLAN, duplicates=pairs)[0] == Tally(planted=1, found=1, false=1)
    assert judged(PLAN)[0] == Tally(planted=1, found=0, false=0)


def test_a_misplaced_template_of_an_enrolled_person_must_be_named_after_this_person() -> None:
    plan = dataclasses.replace(PLAN, misplaced=(Misplaced(template=4, belongs_to=3),))
    for found, tally in (
        ({"mislabelled": (mislabelled("e", 3),)}, (1, 0)),
        ({"mislabelled": (mislabelled("e", 1),)}, (0, 1)),
        ({"outlying": (outlying("e"),)}, (0, 1)),
        ({"mislabelled": (mislabelled("f", 3),)}, (0, 1)),
        ({}, (0, 0)),
    ):
        assert judged(plan, **found)[1] == Tally(planted=1, found=tally[0], false=tally[1])


def test_a_misplaced_template_of_a_stranger_must_be_named() -> None:
    plan = dataclasses.replace(PLAN, misplaced=(Misplaced(template=4, belongs_to=None),))
    for found, tally in (
        ({"outlying": (outlying("e"),)}, (1, 0)),
        ({"outlying": (outlying("e", "f"),)}, (1, 0)),
        ({"mislabelled": (mislabelled("e", 1),)}, (1, 0)),
        ({"outlying": (outlying("f"),)}, (0, 1)),
    ):
        assert judged(plan, **found)[1] == Tally(planted=1, found=tally[0], false=tally[1])


def test_shares_and_the_bar() -> None:
    tally = Tally(planted=20, found=18, false=0) + Tally(planted=20, found=20, false=2)
    assert (tally.found_share, tally.false_share) == (0.95, 0.05)
    all_found = Tally(planted=20, found=20, false=0)
    assert within_bar(all_found, Tally(planted=20, found=18, false=2))
    assert not within_bar(all_found, Tally(planted=20, found=17, false=0))
    assert not within_bar(Tally(planted=20, found=17, false=0), all_found)
    assert not within_bar(all_found, Tally(planted=20, found=20, false=3))
    assert Tally(planted=20, found=0, false=0).false_share == 0.0


def test_a_planned_gallery_is_enrolled_and_examined() -> None:
    choose = np.random.default_rng(0)
    faces = choose.normal(size=(60, 32))
    rows = faces[PEOPLE] + choose.normal(size=(600, 32)) / 4
    photos = Photos(
        embeddings_PD=(rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32),
        people_P=PEOPLE,
        paths=tuple(f"p{n}/{n}.jpg" for n in range(600)),
        d_max=2.0,
    )
    plan = plan_gallery(PEOPLE, (3,) * 40, duplicates=3, misplaced=4, seed=0)
    report, ids = examine(plan, photos)
    outcome = judge(plan, report, ids, [photos.paths[photo] for photo in plan.photos.tolist()])
    assert outcome.duplicates == Tally(planted=3, found=3, false=0)
    assert outcome.templates == Tally(planted=4, found=4, false=0)
