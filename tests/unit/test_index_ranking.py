"""From shortlists to the answer: ties, crowds, rounding, and who is gone meanwhile.

Shapes: N rows, D embedding size 1: a row is a place on a line, its similarity 1 - distance / 10.
"""

from collections.abc import Collection

import numpy as np
import pytest

from contract.similarity import pairwise_similarity
from index.ranking import Truth, rank
from index.records import Embeddings, StoredTemplate, Subject
from index.scoring import Row
from index.search import Shortlist, Shortlists

D_MAX = 10.0
AT_ZERO = np.zeros((1, 1), dtype=np.float32)


class Line:
    """Rows of a line: the truth, and a shortlist of them that is off by up to `error`.

    asked: how many rows each shortlist was asked for. looked_up: numbers of each look-up.
    """

    def __init__(self, *rows: tuple[int, float], error: float = 0.0, exact: bool = True) -> None:
        """rows: subject and place of each, numbered from 1."""
        self.rows = dict(enumerate(rows, 1))
        self.error = error
        self.exact = exact
        self.gone: set[int] = set()
        self.gone_subjects: set[int] = set()
        self.asked: list[int] = []
        self.looked_up: list[set[int]] = []
        rng = np.random.default_rng(1)
        self._noise = {n: rng.uniform(-error, error) for n in self.rows}

    def search(self, top_k: int, probes: Embeddings = AT_ZERO) -> list[list[tuple[str, str]]]:
        """(subject, template) of each probe's candidates."""
        result = rank(
            probes, top_k=top_k, d_max=D_MAX, shortlists=self.shortlists, truth=self.truth
        )
        assert result.revision == 7
        return [[(c.subject.id, c.template_id) for c in found] for found in result.candidates]

    def shortlists(self, probes: Embeddings, rows: int) -> Shortlists:
        self.asked.append(rows)
        return Shortlists(
            lists=tuple(self._shortlist(probe, rows) for probe in probes),
            revision=7,
            error=self.error,
        )

    def _shortlist(self, probe: Embeddings, rows: int) -> Shortlist:
        numbers = np.array(list(self.rows), dtype=np.int64)
        places = np.array([[place] for _, place in self.rows.values()], dtype=np.float32)
        similarities = pairwise_similarity(probe[None], places.reshape(-1, 1), D_MAX)[0]
        similarities = similarities + np.array([self._noise[n] for n in self.rows])
        order = np.lexsort((-numbers, -similarities))  # Of equals not the first in front.
        listed, left = order[:rows], order[rows:]
        left_out = similarities[left[0]] + self.error if len(left) and self.exact else -1.0
        return Shortlist(
            numbers=numbers[listed],
            subject_numbers=np.array([self.rows[n][0] for n in numbers[listed]], dtype=np.int64),
            similarities=similarities[listed],
            left_out=float(left_out),
        )

    def truth(self, numbers: Collection[int]) -> Truth:
        self.looked_up.append(set(numbers))
        rows = {n: self._row(n) for n in numbers if n not in self.gone}
        there = {row.subject_number for row in rows.values()} - self.gone_subjects
        return Truth(rows=rows, subjects={n: subject(n) for n in there})

    def _row(self, number: int) -> Row:
        owner, place = self.rows[number]
        embedding = np.array([place], dtype=np.float32)
        template = StoredTemplate(
            number=number, subject_number=owner, id=f"t{number}", created_at="", embedding=embedding
        )
        return Row(number=number, subject_number=owner, embedding=embedding, templates=(template,))


def subject(number: int) -> Subject:
    return Subject(
        id=f"s{number}", name=None, external_id=None, metadata={}, template_count=1, created_at=""
    )


def test_subjects_come_once_by_their_best_row() -> None:
    line = Line((1, 5), (2, 3), (1, 1), (2, 2), (3, 4))
    assert line.search(9) == [[("s1", "t3"), ("s2", "t4"), ("s3", "t5")]]
    assert line.search(2) == [[("s1", "t3"), ("s2", "t4")]]
    assert line.search(1, np.array([[0], [3], [9]], dtype=np.float32)) == [
        [("s1", "t3")],
        [("s2", "t2")],
        [("s1", "t1")],
    ]
    assert line.search(1, AT_ZERO[:0]) == []
    assert Line().search(3) == [[]]


def test_equals_come_in_the_order_of_enrolment() -> None:
    line = Line((3, 1), (2, 1), (1, 1), (1, -1), (4, 0))
    assert line.search(9) == [[("s4", "t5"), ("s1", "t3"), ("s2", "t2"), ("s3", "t1")]]
    assert line.search(2) == [[("s4", "t5"), ("s1", "t3")]]


def test_more_equals_than_the_first_shortlist_holds_do_not_hide_the_first_of_them() -> None:
    line = Line(*((n, 1) for n in range(1, 200)))
    assert line.search(2) == [[("s1", "t1"), ("s2", "t2")]]
    assert line.asked == [18, 72, 288]


def test_a_crowd_of_one_subjects_rows_does_not_hide_the_others() -> None:
    line = Line(*((1, n / 1000) for n in range(1, 301)), (2, 2), (3, 3))
    assert line.search(3) == [[("s1", "t1"), ("s2", "t301"), ("s3", "t302")]]
    assert line.search(1) == [[("s1", "t1")]]


@pytest.mark.parametrize("seed", range(20))
def test_rounded_shortlists_give_the_answer_of_exact_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [(int(rng.integers(1, 30)), float(rng.normal(0, 0.05))) for _ in range(120)]
    for top_k in (1, 3, 29, 50):
        assert Line(*rows, error=0.002).search(top_k) == Line(*rows).search(top_k)


def test_only_rows_that_can_matter_are_looked_up() -> None:
    line = Line(*((n, n) for n in range(1, 10)), error=0.01)
    line.search(2)
    assert line.looked_up == [{1, 2}]


def test_an_index_that_may_miss_rows_is_asked_again_only_while_subjects_are_missing() -> None:
    line = Line(*((n // 10, n / 1000) for n in range(10, 300)), exact=False)
    assert [s for s, _ in line.search(1)[0]] == ["s1"]
    assert line.asked == [16]
    assert [s for s, _ in line.search(4)[0]] == ["s1", "s2", "s3", "s4"]
    assert line.asked == [16, 22, 88]


def test_who_is_gone_gives_the_place_to_the_next() -> None:
    line = Line(*((n, n / 100) for n in range(1, 300)))
    line.gone_subjects = set(range(1, 200))
    line.gone = {200, 202}
    assert [s for s, _ in line.search(2)[0]] == ["s201", "s203"]
    # In few rounds, however many are gone.
    assert len(line.asked) <= 12


def test_a_subject_stays_with_its_next_row_where_its_best_one_is_gone() -> None:
    line = Line((1, 1), (1, 2), (2, 3))
    line.gone = {1}
    assert line.search(1) == [[("s1", "t2")]]
    assert line.search(5) == [[("s1", "t2"), ("s2", "t3")]]


def test_nobody_is_left() -> None:
    line = Line((1, 1), (2, 2))
    line.gone_subjects = {1, 2}
    assert line.search(1) == [[]]


def test_who_is_gone_for_one_probe_is_no_matter_to_another() -> None:
    line = Line(*((n, n) for n in range(1, 10)))
    line.gone_subjects = {1, 2}
    probes = np.array([[1], [9], [2], [1]], dtype=np.float32)
    assert [[s for s, _ in found] for found in line.search(1, probes)] == [
        ["s3"], ["s9"], ["s3"], ["s3"],
    ]  # fmt: skip
