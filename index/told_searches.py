"""What feedback adds to the non-mated searches of a calibration, and what of it says nothing.

A face of which somebody knows whom it shows was a search for a stranger among all others: the best
similarity to anybody else is one more maximum of a non-mated search.

- *Right answers*, confirmed of the best candidate. The others of such a face were all less similar
  than its own subject, or it would not have been confirmed: the maxima are cut off there, and taken
  as they come FPIR would be too low. The calibration's own searches, which nothing cuts off, say
  how many are missing: where a share F of them ends below the cut, (1 - F) / F for each that is
  told, with maxima as theirs beyond it (the expectation step for truncated data: Dempster, Laird
  and Rubin 1977). So many are added, rounded up. It takes the similarity to the own subject to say
  nothing of those to others.
- *Wrong answers*: a match that is rejected, or a face that is another subject than the best
  candidate. Errors are told of more often than what goes well, which makes thresholds stricter than
  stated, never looser. Without a right answer that counts they say nothing of a rate, and none of
  them counts.
- A stranger who was answered as unknown, and is rejected as the best candidate, is a right answer,
  too, cut off at the threshold, which is far below the maxima that matter: it says nothing.

Those who were confirmed are strangers to the others already: they get more searches, and are no
more strangers for it. Whoever is taken for one subject again and again may be one person: rejected
answers count each as a search, and those of one subject together as one stranger.

Shapes: T non-mated searches.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from index.records import Numbers
from index.scoring import ScoringName
from index.tables import collections, feedback
from index.tables.feedback import Feedback
from index.writes.scope import Scope

Similarities = npt.NDArray[np.float64]

# A maximum over fewer than so many of the present subjects, or templates, is too low a one.
GALLERY_SHARE: Final = 0.8
# Of a maximum that nothing cuts off.
_WHOLE: Final = 1.0


@dataclass(frozen=True, slots=True)
class ToldMaximum:
    """The best similarity of a search, which nobody would have told if it were above `cut_off`."""

    best: float
    cut_off: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToldSearches:
    """Maxima of non-mated searches that feedback tells of.

    confirmed: of subjects, by their numbers, newest first. rejected: of strangers, by the number
    of the subject that they were taken for. count: of both together. left_out: feedback that says
    nothing here.
    """

    confirmed: dict[int, list[ToldMaximum]]
    rejected: dict[int, list[float]]
    count: int
    left_out: int

    @property
    def rounds(self) -> int:
        """Rounds in which each maximum of the subject with the most of them has a turn."""
        return max(map(len, self.confirmed.values()), default=0)

    def searches(
        self, subject_T: Numbers, best_T: Similarities, *, rounds: int, first_stranger: int
    ) -> tuple[Numbers, Similarities]:
        """Whom each search is for, and its maximum, over `rounds` rounds.

        A confirmed subject has one search a round, by its maxima in turn, and a rejected answer
        one; and then come those that nobody could confirm. Strangers are numbered downwards from
        `first_stranger`. subject_T, best_T: the calibration's own searches.
        """
        subject: list[int] = []
        best: list[float] = []
        cut_off: list[float] = []
        for number, maxima in self.confirmed.items():
            turns = [maxima[turn % len(maxima)] for turn in range(rounds)]
            subject += [number] * rounds
            best += [told.best for told in turns]
            cut_off += [told.cut_off for told in turns]
        for place, taken_for in enumerate(self.rejected.values()):
            subject += [first_stranger - place] * rounds * len(taken_for)
            best += taken_for * rounds
        untold = _untold(best_T, np.array(cut_off, dtype=np.float64))
        return (
            np.concatenate([np.array(subject, dtype=np.int64), subject_T[untold]]),
            np.concatenate([np.array(best, dtype=np.float64), best_T[untold]]),
        )


NOTHING_TOLD: Final = ToldSearches(confirmed={}, rejected={}, count=0, left_out=0)


def told_searches(
    scope: Scope, probed: Iterable[int], *, floor: float, scoring: ScoringName, most_each: int
) -> ToldSearches:
    """What the collection's feedback tells.

    probed: numbers of the subjects that a calibration searches for. floor: the middle one of its
    own maxima; what is cut off below it would stand for too many. most_each: of one confirmed
    subject at most so many, the newest.
    """
    chosen = set(probed)
    contract_id = collections.get_contract(scope.c, scope.searched.contract).id
    confirmed: dict[int, list[ToldMaximum]] = {}
    rejected: dict[int, list[float]] = {}
    right = 0
    given = feedback.all_feedback(scope.c, scope.collection.number)
    for said in given:
        other = said.other_number
        if other is None or said.other_similarity is None:
            continue
        if said.contract_id != contract_id or said.scoring != scoring or _outgrown(scope, said):
            continue
        if said.verdict == "rejected" and said.answered != "unknown":
            rejected.setdefault(other, []).append(said.other_similarity)
        elif said.verdict == "confirmed" and said.subject_number in chosen:
            # -1 of who was not among the two best: then somebody else was.
            own = -1.0 if said.subject_similarity is None else said.subject_similarity
            is_right = own >= said.other_similarity
            maxima = confirmed.setdefault(said.subject_number, [])
            if len(maxima) < most_each and not (is_right and own < floor):
                cut_off = own if is_right else _WHOLE
                maxima.append(ToldMaximum(said.other_similarity, cut_off))
                right += is_right
    if not right:
        confirmed, rejected = {}, {}
    confirmed = {number: maxima for number, maxima in confirmed.items() if maxima}
    counted = sum(map(len, confirmed.values())) + sum(map(len, rejected.values()))
    return ToldSearches(
        confirmed=confirmed, rejected=rejected, count=counted, left_out=len(given) - counted
    )


def _untold(best_T: Similarities, cut_off: Similarities) -> Numbers:
    """Places of the searches that stand for those that nobody could confirm, again and again.

    For each that is cut off, everyone beyond counts 1 / (how many are not); of the sums, from the
    highest maximum down, what is above a whole number counts as the next.
    """
    order = np.argsort(best_T, kind="stable")
    below = np.searchsorted(best_T[order], cut_off, side="right")
    each = np.bincount(below, weights=1 / below, minlength=len(best_T) + 1)
    # Of each place, from all that are cut off below it.
    share_T = np.cumsum(each)[: len(best_T)]
    downwards = np.ceil(np.cumsum(share_T[::-1]) - 1e-9).astype(np.int64)
    times = np.diff(downwards, prepend=0)[::-1]
    return np.repeat(order, times)


def _outgrown(scope: Scope, said: Feedback) -> bool:
    now = scope.collection
    if said.gallery_subjects < GALLERY_SHARE * now.subject_count:
        return True
    # By the mean a subject is one chance, however many templates it has.
    return said.scoring == "best" and said.gallery_templates < GALLERY_SHARE * now.template_count
