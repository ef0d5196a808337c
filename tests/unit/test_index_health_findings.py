"""What a health report decides, on likenesses written by hand."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from index.health.chance import Chance
from index.health.enrolled import Enrolled, enrolled
from index.health.findings import Findings, find_faults
from index.health.likeness import Likeness

# 0.5 is reached by one pair in a hundred, each further 0.1 by a hundredth of those.
CHANCE = Chance(start=0.5, near=0.01, rate=np.log(100) / 0.1)
FILLERS = 30
STRAIGHT, ASKEW, AWAY = [1.0, 0.0], [0.8, 0.6], [-1.0, 0.0]


@dataclass
class Told:
    """Subjects 0 to 29 have two templates each without a fault; those of a test come after."""

    rows: list[list[float]] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    strangers: list[float] = field(default_factory=list)
    nearest: list[int] = field(default_factory=list)
    near: list[float] = field(default_factory=list)
    twins: dict[int, tuple[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for subject in range(FILLERS):
            for _ in range(2):
                self.template(subject)

    def template(self, owner: int, **facts: Any) -> int:
        """Add one; by default it is at home. Its place."""
        self.owners.append(owner)
        self.rows.append(facts.get("row", AWAY))
        self.own.append(facts.get("own", 0.7))
        self.strangers.append(facts.get("strangers", 0.0))
        self.nearest.append(facts.get("nearest", (owner + 1) % FILLERS))
        self.near.append(facts.get("near", 0.4))
        return len(self.owners) - 1

    def find(self) -> Findings:
        """Every subject's templates must be added one after another."""
        subjects = max(self.owners) + 1
        rows = np.array(self.rows, dtype=np.float32)
        held: Enrolled = enrolled(
            rows, np.array(self.owners), numbers=np.arange(len(rows)), d_max=2.0, revision=0
        )
        means = np.stack([rows[held.owners == s].mean(axis=0) for s in range(subjects)])
        twin = [self.twins.get(s, ((s + 1) % FILLERS, 0.3)) for s in range(subjects)]
        return find_faults(
            held,
            Likeness(
                own=np.array(self.own),
                strangers_nearer=np.array(self.strangers),
                nearest=np.array(self.nearest),
                near=np.array(self.near),
                twin=np.array([t for t, _ in twin]),
                twin_near=np.array([near for _, near in twin]),
                means=means.astype(np.float32),
                by_template=CHANCE,
                by_subject=CHANCE,
            ),
        )


@pytest.fixture
def told() -> Told:
    return Told()


A, B = FILLERS, FILLERS + 1


def test_nothing_is_found_where_nothing_is(told: Told) -> None:
    assert told.find() == Findings(duplicates={}, mislabelled=(), outlying=())


@pytest.mark.parametrize(("near", "found"), [(0.58, False), (0.75, True)])
def test_subjects_are_duplicates_from_a_likeness_on_that_chance_does_not_explain(
    told: Told, near: float, found: bool
) -> None:
    for subject in (A, B):
        told.template(subject, row=STRAIGHT)
        told.template(subject, row=ASKEW)
    told.twins = {A: (B, near), B: (A, near)}
    assert told.find().duplicates == ({(A, B): near} if found else {})


@pytest.mark.parametrize("polluted", [A, B])
@pytest.mark.parametrize("own", [1, 2])
def test_subjects_alike_by_a_minority_of_templates_are_no_duplicates(
    told: Told, polluted: int, own: int
) -> None:
    for subject in (A, B):
        told.template(subject, row=STRAIGHT)
        for _ in range(own):
            told.template(subject, row=AWAY if subject == polluted else STRAIGHT)
    told.twins = {A: (B, 0.9), B: (A, 0.9)}
    assert told.find().duplicates == {}


def test_a_template_unlike_its_siblings_is_named_after_whom_it_looks_like(told: Told) -> None:
    told.template(A)
    told.template(A)
    wrong = told.template(A, own=0.3, strangers=0.4, nearest=3, near=0.62)
    assert told.find() == Findings(duplicates={}, mislabelled=(wrong,), outlying=())


def test_the_same_likeness_does_not_do_for_a_template_that_is_like_its_siblings(
    told: Told,
) -> None:
    told.template(A)
    told.template(A)
    told.template(A, own=0.5, strangers=0.01, nearest=3, near=0.62)
    assert told.find() == Findings(duplicates={}, mislabelled=(), outlying=())


def test_a_template_like_its_siblings_is_mislabelled_where_it_surely_is_anothers(
    told: Told,
) -> None:
    told.template(A)
    told.template(A)
    wrong = told.template(A, own=0.5, strangers=0.01, nearest=3, near=0.8)
    assert told.find().mislabelled == (wrong,)


def test_a_template_that_surely_is_its_own_subjects_is_not_mislabelled(told: Told) -> None:
    told.template(A)
    told.template(A, own=0.79, nearest=3, near=0.8)
    # It shows how near a template must be to be surely somebody's.
    told.template(B, own=0.3, strangers=0.01, nearest=5, near=0.75)
    told.template(B)
    found = told.find()
    assert [told.owners[place] for place in found.mislabelled] == [B]


def test_a_template_nearer_to_its_own_is_not_mislabelled(told: Told) -> None:
    told.template(A, own=0.6, strangers=0.2, nearest=3, near=0.55)
    told.template(A)
    found = told.find()
    assert found.mislabelled == ()


def test_templates_of_duplicates_are_neither_mislabelled_nor_outlying(told: Told) -> None:
    for subject, other in ((A, B), (B, A)):
        told.template(subject, row=STRAIGHT)
        told.template(subject, row=ASKEW, own=0.3, strangers=0.4, nearest=other, near=0.8)
        told.template(subject, row=ASKEW, own=0.3, strangers=0.4, nearest=other, near=0.2)
    told.twins = {A: (B, 0.9), B: (A, 0.9)}
    assert told.find() == Findings(duplicates={(A, B): 0.9}, mislabelled=(), outlying=())


def test_a_mislabelled_template_explains_who_looks_like_its_subject(told: Told) -> None:
    told.template(A)
    wrong = told.template(A, own=0.2, strangers=0.5, nearest=B, near=0.9)
    told.template(B, own=0.55, strangers=0.01, nearest=A, near=0.75)
    told.template(B)
    assert told.find().mislabelled == (wrong,)


def test_mislabelled_templates_come_clearest_first(told: Told) -> None:
    told.template(A)
    less = told.template(A, own=0.4, strangers=0.2, nearest=3, near=0.8)
    told.template(B)
    more = told.template(B, own=0.2, strangers=0.5, nearest=4, near=0.8)
    assert told.find().mislabelled == (more, less)


def test_a_template_like_nobody_is_outlying(told: Told) -> None:
    told.template(A)
    told.template(A)
    outlying = told.template(A, own=0.3, strangers=0.3)
    assert told.find() == Findings(duplicates={}, mislabelled=(), outlying=((outlying,),))


def test_templates_of_which_none_is_like_the_others_are_outlying_together(told: Told) -> None:
    together = tuple(told.template(A, own=0.3, strangers=0.3) for _ in range(3))
    worse = tuple(told.template(B, own=0.2, strangers=0.5) for _ in range(2))
    assert told.find().outlying == (worse, together)


def test_who_was_unlike_mislabelled_siblings_only_is_not_outlying(told: Told) -> None:
    told.template(A, own=0.3, strangers=0.4)
    told.template(A, own=0.3, strangers=0.4, nearest=3, near=0.8)
    assert told.find().outlying == ()


@pytest.mark.parametrize(("strangers", "found"), [(0.06, False), (0.07, True)])
def test_unlike_is_what_enough_strangers_are_as_near_as(
    told: Told, strangers: float, found: bool
) -> None:
    told.template(A)
    told.template(A)
    told.template(A, own=0.3, strangers=strangers)
    assert bool(told.find().outlying) == found


def test_one_template_is_neither_mislabelled_nor_outlying(told: Told) -> None:
    told.template(A, own=np.nan, strangers=np.nan, nearest=3, near=0.9)
    assert told.find() == Findings(duplicates={}, mislabelled=(), outlying=())
