"""Open-set 1:N search (ISO/IEC 19795-1): somebody enrolled is found, a stranger is refused.

A mated search is a miss unless its own subject is at rank 1 with similarity >= threshold: what the
service answers. (FNIR without the rank condition would count the right subject in second place
below somebody else as found; the service would name the wrong one.) A non-mated search is an error
when its best candidate reaches the threshold. Thresholds come from the maxima of whole searches,
never from pooled pairs. A subject scores as its best template does; whoever is at least as similar
as the right subject stands before it, so that a network that cannot tell people apart is not
rewarded by ties.

Shapes: N images, D embedding size, S mated and T non-mated searches, C thresholds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.similarity import similarity_from_distance
from training.evaluation.distances import row_pieces, squared_distances

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]
Similarities = npt.NDArray[np.float64]


class TooFewError(ValueError):
    """The data have too few identities, or images of them, for what is asked."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searches:
    """Searches in galleries of `gallery_subjects` subjects with `enrolled` templates each.

    mated_subject_S, nonmated_subject_T: whom the probe shows (labels of the images).
    similarity_S: to the probe's own subject. rank_S: of that subject, 1 is best.
    best_T: similarity of the best candidate of a non-mated search.
    Each draw has as many subjects of either kind: `mated_subjects`, `nonmated_subjects`.
    """

    gallery_subjects: int
    enrolled: int
    draws: int
    mated_subjects: int
    nonmated_subjects: int
    mated_subject_S: Indices
    similarity_S: Similarities
    rank_S: Indices
    nonmated_subject_T: Indices
    best_T: Similarities

    @property
    def found_S(self) -> Similarities:  # noqa: N802 - a shape suffix
        """Up to which threshold a mated search finds its subject; -1 where another is before it."""
        return np.where(self.rank_S == 1, self.similarity_S, -1.0)


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


def threshold_at(best_T: Similarities, fpir: float) -> float | None:
    """The smallest threshold that at most a share `fpir` of non-mated searches reaches.

    None where there is none up to 1, since too many reach similarity 1. Raises ValueError without
    searches.
    """
    if not len(best_T):
        raise ValueError("A threshold needs non-mated searches, and there are none.")
    allowed = allowed_errors(len(best_T), fpir)
    if allowed >= len(best_T):
        return 0.0
    # Just above the first maximum that must be refused.
    threshold = float(np.nextafter(np.sort(best_T)[::-1][allowed], 2.0))
    return threshold if threshold <= 1.0 else None


def allowed_errors(searches: int, fpir: float) -> int:
    """Non-mated searches that may be accepted: floor(fpir * searches), safe from rounding."""
    return int(np.floor(fpir * searches + 1e-9))


def fpir_at(searches: Searches, threshold: float) -> float:
    """Share of the non-mated searches that reach `threshold`. Raises ValueError without any."""
    if not len(searches.best_T):
        raise ValueError("FPIR needs non-mated searches, and there are none.")
    return float((searches.best_T >= threshold).mean())


def fnir_at(searches: Searches, threshold: float) -> float:
    """Share of the mated searches that miss at `threshold`. Raises ValueError without any."""
    if not len(searches.rank_S):
        raise ValueError("FNIR needs mated searches, and there are none.")
    return float((searches.found_S < threshold).mean())


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
