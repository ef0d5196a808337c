"""Open-set 1:N search (ISO/IEC 19795-1) over random galleries made of labelled images.

A subject scores as its best template does; whoever is at least as similar as the right subject
stands before it, so that a network that cannot tell people apart is not rewarded by ties. What
counts as an error: contract/calibration/searches.py.

Shapes: N images, D embedding size, S mated and T non-mated searches, C thresholds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.calibration.searches import Indices, Searches, Similarities
from contract.similarity import similarity_from_distance
from training.evaluation.distances import row_pieces, squared_distances

Floats = npt.NDArray[np.floating]


class TooFewError(ValueError):
    """The data have too few identities, or images of them, for what is asked."""


def mateable(labels_N: Indices, *, enrolled: int) -> int:
    """How many identities have an image to search for beside `enrolled` templates."""
    return int((np.unique(labels_N, return_counts=True)[1] > enrolled).sum())


def draw_searches(
    embeddings_ND: Floats,
    labels_N: Indices,
    *,
    gallery_subjects: int,
    enrolled: int = 1,
    draws: int = 10,
    seed: int = 0,
    d_max: float,
) -> Searches:
    """Random galleries, each searched for everyone.

    A draw enrols `enrolled` random images each of `gallery_subjects` random identities: of those
    with an image to spare as many as fit, then of those with just enough. All other images of the
    enrolled are mated probes; one random image of every other identity is a non-mated probe, so
    that no subject is both in one draw and no stranger counts for more than another.
    Raises TooFewError without enough identities of `enrolled` images; strangers may be none.
    """
    if enrolled < 1 or gallery_subjects < 1 or draws < 1:
        raise ValueError("enrolled, gallery_subjects and draws must be at least 1.")
    identities, counts = np.unique(labels_N, return_counts=True)
    spare, enough = np.flatnonzero(counts > enrolled), np.flatnonzero(counts == enrolled)
    if len(spare) + len(enough) < gallery_subjects:
        raise TooFewError(
            f"{len(spare) + len(enough)} identities of at least {enrolled} images cannot make a "
            f"gallery of {gallery_subjects} subjects."
        )
    mated = min(gallery_subjects, len(spare))
    starts = np.cumsum(counts) - counts
    rng = np.random.default_rng([seed, gallery_subjects, enrolled])
    found: list[tuple[Indices, Similarities, Indices, Indices, Similarities]] = []
    for _ in range(draws):
        # Rows grouped by identity, in random order within each.
        rows = np.lexsort((rng.random(len(labels_N)), labels_N))
        known = rng.permutation(spare)[:mated]
        fillers = rng.permutation(enough)[: gallery_subjects - mated]
        gallery = np.concatenate([known, fillers])
        templates = rows[(starts[gallery][:, None] + np.arange(enrolled)).ravel()]
        others = np.setdiff1d(np.arange(len(identities)), gallery)
        # Probe rows of the mated and the column of their subject in the gallery.
        each = counts[known] - enrolled
        column_S = np.repeat(np.arange(mated), each)
        offset_S = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
        probes = rows[starts[known][column_S] + enrolled + offset_S]
        own, rank = _mated(embeddings_ND, probes, templates, column_S, enrolled)
        best = _nonmated(embeddings_ND, rows[starts[others]], templates)
        found.append(
            (
                identities[known][column_S],
                similarity_from_distance(own, d_max).astype(np.float64),
                rank,
                identities[others],
                similarity_from_distance(best, d_max).astype(np.float64),
            )
        )
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return Searches(
        gallery_subjects=gallery_subjects,
        enrolled=enrolled,
        draws=draws,
        mated_subjects=mated,
        nonmated_subjects=len(identities) - gallery_subjects,
        mated_subject_S=columns[0],
        similarity_S=columns[1],
        rank_S=columns[2],
        nonmated_subject_T=columns[3],
        best_T=columns[4],
    )


def _mated(
    embeddings_ND: Floats, probes_S: Indices, templates: Indices, column_S: Indices, enrolled: int
) -> tuple[Similarities, Indices]:
    """Distance to the own subject and its rank, (S,) each. `templates` are grouped by subject."""
    own, rank = np.empty(len(probes_S)), np.empty(len(probes_S), dtype=np.int64)
    gallery = embeddings_ND[templates]
    for piece in row_pieces(len(probes_S), len(templates)):
        squares = squared_distances(embeddings_ND[probes_S[piece]], gallery)
        subjects = squares.reshape(len(squares), -1, enrolled).min(axis=2)
        nearest = np.take_along_axis(subjects, column_S[piece, None], axis=1)
        own[piece] = np.sqrt(nearest[:, 0])
        rank[piece] = (subjects <= nearest).sum(axis=1)
    return own, rank


def _nonmated(embeddings_ND: Floats, probes_T: Indices, templates: Indices) -> Similarities:
    """Distance to the nearest template of all, (T,)."""
    best = np.empty(len(probes_T))
    gallery = embeddings_ND[templates]
    for piece in row_pieces(len(probes_T), len(templates)):
        squares = squared_distances(embeddings_ND[probes_T[piece]], gallery)
        best[piece] = np.sqrt(squares.min(axis=1))
    return best


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetCurve:
    """Both error rates at thresholds that ascend, (C,) each."""

    threshold_C: Similarities
    fpir_C: Similarities
    fnir_C: Similarities


def det_curve(searches: Searches) -> DetCurve:
    """Rates at every threshold in [0, 1] that decides differently.

    Raises ValueError unless there are searches of both kinds.
    """
    if not len(searches.rank_S) or not len(searches.best_T):
        raise ValueError("A DET curve needs mated and non-mated searches.")
    best, found = np.sort(searches.best_T), np.sort(searches.found_S)
    thresholds = np.unique(np.concatenate([[0.0], best, found[found >= 0], [np.nextafter(1, 2)]]))
    return DetCurve(
        threshold_C=thresholds,
        fpir_C=1.0 - np.searchsorted(best, thresholds) / len(best),
        fnir_C=np.searchsorted(found, thresholds) / len(found),
    )


def cmc(rank_S: Indices, *, ranks: int) -> Similarities:
    """Cumulative match characteristic: share of mated searches within rank 1, 2, ..., `ranks`.

    Raises ValueError without searches.
    """
    if not len(rank_S):
        raise ValueError("CMC needs mated searches, and there are none.")
    shares: Similarities = (rank_S[:, None] <= np.arange(1, ranks + 1)).mean(axis=0)
    return shares
