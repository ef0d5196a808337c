"""A collection searched for its own people: the evidence of a calibration on itself.

Leave one subject out: a template searched without its subject is the search of a stranger
(non-mated). Leave one sample out: searched without itself, it is the search of somebody who is
enrolled (mated). Searches run in *rounds*. In each every subject is the probe by one template, the
next of its own in a random order, over again where it has fewer than there are rounds: so nobody
counts for more than another, however many templates they have. Feedback adds searches of its own,
see index/told_searches.py.

The gallery of such a non-mated search has one subject less than the collection, for which the
result is stated. Where anything can be stated there are at least 30 strangers, so that this hides
at most a thirtieth of FPIR.

Shapes: U subjects, P probes, N rows of the gallery, S strangers, R rounds, D embedding size.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.calibration.intervals import RULE_OF_THREE
from contract.calibration.operating_points import TARGET_FPIRS, gallery_calibration
from contract.calibration.records import GalleryCalibration
from contract.calibration.searches import Searches
from contract.errors import TooLittleDataError
from contract.similarity import pairwise_similarity, similarity_from_distance
from index.checks import check_embeddings
from index.missed import MatedSearches, missed
from index.open_collection import OpenCollection
from index.records import Embeddings, Numbers, TemplateBatch
from index.scoring import Scoring, ScoringName, compared_rows
from index.tables import collections, templates
from index.told_searches import NOTHING_TOLD, ToldSearches, told_searches
from index.writes.scope import Scope

Distances = npt.NDArray[np.float64]
Tell = Callable[[float], None]

MAX_PROBES: Final = 10_000
# More say little: templates of one subject are alike.
MAX_ROUNDS: Final = 10
# Float64 numbers of one block of distances: 4 MiB, what a core's cache holds.
_BLOCK: Final = 2**19
# Of the work, what comes before the searches themselves.
_READING: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelfSearch:
    """A collection's searches of itself, as it was at `revision`, under one contract.

    searches: strangers that are not enrolled have negative numbers. mated: more about its mated
    ones. templates: of the gallery. uploaded: how many of the strangers are not enrolled but were
    given. rejected: how many feedback tells of. feedback: how much of it counts, and how much not.
    """

    searches: Searches
    mated: MatedSearches
    templates: int
    uploaded: int
    rejected: int
    feedback: int
    feedback_left_out: int
    revision: int
    contract_id: str
    scoring: ScoringName


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the searches take place, how a subject is scored, and who hears of it."""

    scope: Scope
    scoring: Scoring
    d_max: float
    tell: Tell


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Probes:
    """Templates to search for. own_P3, others_P: see MatedSearches; without others nothing is left
    of the subject. first_U, count_U: where the probes of each subject begin, and how many."""

    subject_P: Numbers
    embeddings_PD: Embeddings
    own_P3: Distances
    others_P: Numbers
    first_U: Numbers
    count_U: Numbers

    @property
    def rounds(self) -> int:
        """Rounds in which each probe of the subject with the most of them has a turn."""
        return int(self.count_U.max(initial=0))

    def places(self, rounds: int) -> Numbers:
        """The places of the probes of so many rounds, one of each subject a round."""
        turns = [self.first_U + turn % self.count_U for turn in range(rounds)]
        return np.concatenate([np.zeros(0, dtype=np.int64), *turns])


def search_itself(
    collection: OpenCollection,
    *,
    strangers_SD: Embeddings | None = None,
    with_feedback: bool = False,
    max_probes: int = MAX_PROBES,
    seed: int = 0,
    tell: Tell = lambda _: None,
) -> SelfSearch:
    """Search a collection for its own people, and for strangers, float32 (S, D), one row each.

    Exact in float64, all of one moment; every row of the gallery is searched. Of more than
    `max_probes` subjects some are drawn as probes; strangers come on top. with_feedback: what was
    said of answers counts, too. tell: hears the share that is done, and may raise to stop. Raises
    ValueError.
    """

    def work(scope: Scope) -> SelfSearch:
        # As it is inside the transaction: a re-embedding may have switched it just before.
        contract = collections.get_contract(scope.c, scope.searched.contract)
        empty = np.zeros((0, contract.size), dtype=np.float32)
        strangers = check_embeddings(
            empty if strangers_SD is None else strangers_SD, size=contract.size, what="Strangers"
        )
        strangers = scope.searched.protection.protect(strangers)
        known = templates.subjects_with_templates(scope.c, scope.searched)
        count = templates.count_under(scope.c, scope.searched)
        plan = _Plan(scope, collection.galleries.scoring, contract.d_max, tell)
        probes = _probes(plan, known, max_probes=max_probes, seed=seed)
        best = _best_others(plan, probes, strangers, gallery_templates=count)
        told = NOTHING_TOLD
        if with_feedback:
            told = told_searches(
                scope,
                probes.subject_P.tolist(),
                floor=float(np.median(best)) if len(best) else 1.0,
                scoring=collection.scoring,
                most_each=MAX_ROUNDS,
            )
        searches, mated = _searches(
            probes, best, told, subjects=len(known), gallery_templates=count
        )
        return SelfSearch(
            searches=searches,
            mated=mated,
            templates=count,
            uploaded=len(strangers),
            rejected=len(told.rejected),
            feedback=told.count,
            feedback_left_out=told.left_out,
            revision=scope.collection.revision,
            contract_id=contract.id,
            scoring=collection.scoring,
        )

    return collection.read(work)


def calibrated(
    search: SelfSearch,
    *,
    fpirs: tuple[float, ...] = TARGET_FPIRS,
    tell: Tell = lambda _: None,
) -> GalleryCalibration:
    """What the searches support, and why not the rest; `tell` as in search_itself.

    Raises TooLittleDataError: they support nothing.
    """
    strangers = search.searches.nonmated_subjects
    needed = {fpir: math.ceil(RULE_OF_THREE / fpir - 1e-9) for fpir in fpirs}
    further = search.uploaded + search.rejected
    enrolled = strangers - further
    if strangers < min(needed.values()):
        raise TooLittleDataError(subjects=enrolled, uploaded=further, needed=needed)
    gallery = gallery_calibration(search.searches, fpirs=fpirs)
    if not gallery.points:
        raise TooLittleDataError(
            subjects=enrolled,
            uploaded=further,
            needed=needed,
            reason=gallery.unsupported[0].reason,
        )
    if gallery.points[0].fnir is None:
        return gallery
    targets = [point.target_fpir for point in gallery.points]
    estimates = missed(search.searches, search.mated, targets, tell=tell)
    points = [
        point.model_copy(update={"fnir": fnir})
        for point, fnir in zip(gallery.points, estimates, strict=True)
    ]
    return gallery.model_copy(update={"points": points})


def _probes(plan: _Plan, known: list[int], *, max_probes: int, seed: int) -> _Probes:
    rng = np.random.default_rng(seed)
    # Alone in its gallery nobody can be a stranger to it.
    chosen = np.array(known if len(known) > 1 else [], dtype=np.int64)
    if len(chosen) > max_probes:
        chosen = np.sort(rng.permutation(chosen)[:max_probes])
    most = min(MAX_ROUNDS, max_probes // max(1, len(chosen)))
    subject: list[int] = []
    rows: list[Embeddings] = []
    own: list[Distances] = []
    others: list[int] = []
    first: list[int] = []
    counts: list[int] = []
    for done, number in enumerate(chosen.tolist()):
        plan.tell(_READING * done / len(chosen))
        held = templates.templates_of(plan.scope.c, plan.scope.searched, number)
        held_MD = np.stack([template.embedding for template in held])
        order = rng.permutation(len(held))[:most]
        first.append(len(subject))
        counts.append(len(order))
        subject += [number] * len(order)
        rows += list(held_MD[order])
        own += [_own(plan, held_MD, place) for place in order]
        scored_as_one = plan.scoring.name == "mean"
        others += [min(len(held) - 1, 1) if scored_as_one else len(held) - 1] * len(order)
    return _Probes(
        subject_P=np.array(subject, dtype=np.int64),
        embeddings_PD=np.array(rows, dtype=np.float32).reshape(-1, plan.scope.searched.size),
        own_P3=np.array(own, dtype=np.float64).reshape(-1, 3),
        others_P=np.array(others, dtype=np.int64),
        first_U=np.array(first, dtype=np.int64),
        count_U=np.array(counts, dtype=np.int64),
    )


def _own(plan: _Plan, held_MD: Embeddings, place: int) -> Distances:
    """Similarities of a template to the best others of its subject, or to their mean, (3,)."""
    others = np.delete(held_MD, place, axis=0)
    if len(others):
        others = compared_rows(others, plan.scoring.name)
    found = pairwise_similarity(held_MD[place][None], others, plan.d_max)[0]
    return np.concatenate([np.sort(found)[::-1], np.full(3, -1.0)])[:3]


def _best_others(
    plan: _Plan, probes: _Probes, strangers_SD: Embeddings, *, gallery_templates: int
) -> Distances:
    """Best similarity of each probe among all other subjects, then of each stranger, (P + S,)."""
    embeddings = np.concatenate([probes.embeddings_PD, strangers_SD]).astype(np.float64)
    subject = np.concatenate([probes.subject_P, -1 - np.arange(len(strangers_SD))])
    nearest = np.full(len(embeddings), np.inf)
    seen = 0
    for batch in plan.scoring.all_rows(plan.scope.c, plan.scope.searched):
        step = max(1, _BLOCK // max(1, len(batch)))
        for first in range(0, len(embeddings), step):
            plan.tell(_READING + (1 - _READING) * min(1.0, seen / max(1, gallery_templates)))
            piece = slice(first, first + step)
            found = _nearest(embeddings[piece], subject[piece], batch)
            nearest[piece] = np.minimum(nearest[piece], found)
        seen += len(batch)
    # Without anybody to be compared with, as without any similarity.
    nearest[np.isinf(nearest)] = plan.d_max
    return similarity_from_distance(nearest, plan.d_max).astype(np.float64)


def _nearest(probes_PD: Distances, subject_P: Numbers, batch: TemplateBatch) -> Distances:
    """Distance to the nearest row of another subject, (P,); infinity where there is none."""
    rows_ND = batch.embeddings.astype(np.float64)
    squared_PN = np.square(rows_ND).sum(axis=1)[None, :] - 2.0 * (probes_PD @ rows_ND.T)
    own_PN = subject_P[:, None] == batch.subject_numbers[None, :]
    squared_PN[own_PN] = np.inf
    best_P = squared_PN.argmin(axis=1)
    # Again by differences: the product above loses digits where embeddings are alike.
    distances = np.sqrt(np.square(rows_ND[best_P] - probes_PD).sum(axis=1))
    return np.where(own_PN[np.arange(len(best_P)), best_P], np.inf, distances)


def _searches(
    probes: _Probes, best: Distances, told: ToldSearches, *, subjects: int, gallery_templates: int
) -> tuple[Searches, MatedSearches]:
    count = len(probes.subject_P)
    draws = max(1, probes.rounds)
    mated_S = probes.places(draws)
    mated_S = mated_S[probes.others_P[mated_S] > 0]
    # As many rounds of non-mated searches as feedback makes use of. A stranger has one photo: it
    # counts once a round, as everybody does.
    rounds = max(draws, told.rounds)
    enrolled_T = probes.places(rounds)
    uploaded = np.arange(len(best) - count)
    subject_T = np.concatenate([probes.subject_P[enrolled_T], np.tile(-1 - uploaded, rounds)])
    best_T = np.concatenate([best[enrolled_T], np.tile(best[count:], rounds)])
    told_subject_T, told_best_T = told.searches(
        subject_T, best_T, rounds=rounds, first_stranger=-1 - len(uploaded)
    )
    mated = MatedSearches(
        own_S3=probes.own_P3[mated_S], others_S=probes.others_P[mated_S], other_S=best[mated_S]
    )
    own_S = mated.own_S3[:, 0]
    strangers = len(probes.first_U) + len(uploaded) + len(told.rejected)
    searches = Searches(
        gallery_subjects=subjects,
        enrolled=max(1, gallery_templates // max(1, subjects)),
        draws=draws,
        mated_subjects=len(np.unique(probes.subject_P[mated_S])),
        nonmated_subjects=strangers,
        mated_subject_S=probes.subject_P[mated_S],
        similarity_S=own_S,
        # Whether somebody else is before it is all that an error rate asks: 1, or 2 for any other.
        rank_S=np.where(own_S > mated.other_S, 1, 2).astype(np.int64),
        nonmated_subject_T=np.concatenate([subject_T, told_subject_T]),
        best_T=np.concatenate([best_T, told_best_T]),
    )
    return searches, mated
