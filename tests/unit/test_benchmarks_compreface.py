"""proof-compreface can fail: each part of its bar by itself."""

import copy

import pytest

from benchmarks.compreface import passed, report
from benchmarks.compreface_steps import Outcome, middle


def good() -> Outcome:
    outcome = Outcome(
        looked_for=20,
        right=18,
        strangers=50,
        strangers_above=2,
        right_similarities=[0.6],
        stranger_similarities=[0.4],
        threshold=0.46,
    )
    outcome.check("subjects.add", True)
    return outcome


def test_the_bar_holds_at_its_edge() -> None:
    assert passed(good())
    assert report(good())[-1].startswith("compreface-sdk 0.6.0, unmodified: 1 of 1 answers")


@pytest.mark.parametrize(
    ("field", "value"), [("right", 17), ("strangers_above", 3), ("looked_for", 17)]
)
def test_each_figure_can_miss_it(field: str, value: int) -> None:
    outcome = copy.deepcopy(good())
    setattr(outcome, field, value)
    assert not passed(outcome)


def test_one_wrong_answer_misses_it() -> None:
    outcome = good()
    outcome.check("subjects.add", False)
    assert outcome.wrong == ["subjects.add"]
    assert not passed(outcome)
    assert "FAIL subjects.add: 1 of 2" in report(outcome)


def test_the_middle_face_is_meant() -> None:
    def face(x: int) -> dict[str, dict[str, int]]:
        return {"box": {"x_min": x, "x_max": x + 50, "y_min": 100, "y_max": 150}}

    assert middle([face(0), face(100), face(200)]) == face(100)
