"""From shortlists to the answer: exact scores from the truth, until nobody left out can matter.

An index in memory holds rounded rows, and a database's index may be approximate, so both only say
who may be among the best. Those are scored again, in float64 from the stored float32 embeddings.
Shapes: B probes, K rows on a shortlist, D embedding size.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from contract.similarity import pairwise_similarity
from index.records import Candidate, Embeddings, SearchResult, Subject
from index.scoring import Row
from index.search import Shortlist, Shortlists


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is stored of some rows, and the subjects that they belong to; who is gone is missing."""

    rows: Mapping[int, Row]
    subjects: Mapping[int, Subject]


FindShortlists: TypeAlias = Callable[[Embeddings, int], Shortlists]
FindTruth: TypeAlias = Callable[[Collection[int]], Truth]


def rank(
    probes_BD: Embeddings,
    *,
    top_k: int,
    d_max: float,
    shortlists: FindShortlists,
    truth: FindTruth,
) -> SearchResult:
    """The `top_k` best subjects of each probe; fewer only where there are fewer.

    Order: similarity downwards, then who was enrolled first. Where the index is exact, so is the
    answer, ties included. Whoever turns out to be gone gives the place to the next.
    """
    answers: list[tuple[Candidate, ...]] = [()] * len(probes_BD)
    # Some room for further templates of the same subjects; then ever more.
    wanted = 2 * top_k + 14
    open_B = np.arange(len(probes_BD))
    # Rows on shortlists that the truth no longer has, or that belong to who has expired.
    gone: set[int] = set()
    while True:
        found = shortlists(probes_BD[open_B], wanted)
        # One more subject for each such row, and another: many of them take few rounds.
        subjects = top_k + 2 * len(gone)
        contenders = [_contenders(short, subjects, found.error) for short in found.lists]
        stored = truth({number for numbers in contenders for number in numbers})
        unsettled, grow = [], False
        newly_gone: set[int] = set()
        for i, short, numbers in zip(open_B.tolist(), found.lists, contenders, strict=True):
            rows = [stored.rows[number] for number in numbers if _is_there(number, stored)]
            answers[i] = _candidates(probes_BD[i], rows, stored.subjects, d_max)[:top_k]
            missing = {number for number in numbers if not _is_there(number, stored)}
            whole = len(short.numbers) < wanted and short.left_out < 0
            if not missing <= gone or not (whole or _settled(answers[i], short, top_k)):
                unsettled.append(i)
                grow |= not whole
            newly_gone |= missing
        if not unsettled:
            return SearchResult(candidates=tuple(answers), revision=found.revision)
        open_B = np.array(unsettled)
        gone |= newly_gone
        wanted *= 4 if grow else 1


def _is_there(number: int, stored: Truth) -> bool:
    return number in stored.rows and stored.rows[number].subject_number in stored.subjects


def _contenders(short: Shortlist, subjects: int, error: float) -> list[int]:
    """Numbers of the rows that can be the best of one of the best `subjects`."""
    _, first = np.unique(short.subject_numbers, return_index=True)
    if len(first) < subjects:
        return [int(n) for n in short.numbers]
    # Similarity of the last of the best subjects, each by its best row.
    last = np.sort(short.similarities[first])[-subjects]
    return [int(n) for n in short.numbers[short.similarities >= last - 2 * error]]


def _settled(answer: tuple[Candidate, ...], short: Shortlist, top_k: int) -> bool:
    return len(answer) == top_k and short.left_out < answer[-1].similarity


def _candidates(
    probe_D: Embeddings, rows: list[Row], subjects: Mapping[int, Subject], d_max: float
) -> tuple[Candidate, ...]:
    """The subjects of some rows, best first, each once."""
    if not rows:
        return ()
    similarities = pairwise_similarity(probe_D[None], np.stack([r.embedding for r in rows]), d_max)
    order = sorted(
        zip(similarities[0].tolist(), rows, strict=True),
        key=lambda scored: (-scored[0], scored[1].subject_number, scored[1].number),
    )
    best: dict[int, Candidate] = {}
    for similarity, row in order:
        number = row.subject_number
        if number not in best and number in subjects:
            best[number] = Candidate(
                subject=subjects[number],
                similarity=similarity,
                template_id=_nearest_template(probe_D, row, d_max),
            )
    return tuple(best.values())


def _nearest_template(probe_D: Embeddings, row: Row, d_max: float) -> str:
    if len(row.templates) == 1:
        return row.templates[0].id
    rows = np.stack([template.embedding for template in row.templates])
    return row.templates[int(pairwise_similarity(probe_D[None], rows, d_max)[0].argmax())].id
