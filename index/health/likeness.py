"""How like the templates of a gallery are to their own subjects and to others.

All similarities are to mean templates, see `mean_embedding` of index/scoring.py: single pairs of
photos differ more than people do.
Shapes: N templates, S subjects, B a block of them, D embedding size.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from contract.similarity import Float, similarity_from_distance
from index.health.chance import Chance
from index.health.enrolled import Enrolled
from index.records import Embeddings, Numbers

# Float32 numbers of one block of similarities: 16 MiB.
_BLOCK: Final = 1 << 22
# Rows and columns of the similarities that show chance: half a million pairs.
_SAMPLE: Final = 1_024

Tell = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Likeness:
    """own: similarity of each template to the mean of its siblings, NaN without one, float64 (N,).

    strangers_nearer: share of the other subjects' templates that are at least as similar to its
    siblings as it is, NaN without one, (N,); of two templates of a subject, the mean of both.
    nearest: the most similar other subject, int64 (N,); near: similarity to its mean, (N,).
    twin, twin_near: the same of each subject's mean, (S,). means: of the subjects, float32 (S, D).
    by_template, by_subject: what chance does to `near` and `twin_near`, of one pair.
    """

    own: Float
    strangers_nearer: Float
    nearest: Numbers
    near: Float
    twin: Numbers
    twin_near: Float
    means: Embeddings
    by_template: Chance
    by_subject: Chance


def likeness(all_of: Enrolled, tell: Tell) -> Likeness:
    """S at least 2. Work O(N (N + S) D), memory O(N D). tell: hears the share that is done."""
    rows, owners, d_max = all_of.embeddings, all_of.owners, all_of.d_max
    subjects = len(all_of.counts)
    sums, lengths = _sums(all_of)
    means = at_length(sums, lengths / all_of.counts)
    everyone = np.arange(subjects)
    twin, twin_near = _nearest(means, everyone, means, d_max)
    tell(0.1)
    nearest, near = _nearest(rows, owners, means, d_max)
    tell(0.3)
    own, nearer = _among_siblings(all_of, sums, lengths, lambda done: tell(0.3 + 0.7 * done))
    return Likeness(
        own=own,
        strangers_nearer=nearer,
        nearest=nearest,
        near=near,
        twin=twin,
        twin_near=twin_near,
        means=means,
        by_template=_chance(rows, owners, means, d_max),
        by_subject=_chance(means, everyone, means, d_max),
    )


def at_length(sums_BD: Float, lengths_B: Float) -> Embeddings:
    """Sums of templates as mean templates, float32 (B, D), of these lengths; zero stays zero."""
    norms = np.linalg.norm(sums_BD, axis=1)
    scale = np.divide(lengths_B, norms, out=np.zeros_like(norms), where=norms > 0)
    return np.asarray(sums_BD * scale[:, None], dtype=np.float32)


def similarities(rows_BD: Embeddings, means_SD: Embeddings, d_max: float) -> Float:
    """float64 (B, S), to within float32."""
    return _similarity(_squared(rows_BD, means_SD), d_max)


def _similarity(squared: Float, d_max: float) -> Float:
    return similarity_from_distance(np.sqrt(np.maximum(squared, 0.0)), d_max)


def _squared(rows_BD: Embeddings, others_SD: Embeddings) -> Embeddings:
    """Squared distances, float32 (B, S), slightly negative ones of what is the same."""
    squared = rows_BD @ (-2.0 * others_SD.T)
    squared += np.square(rows_BD).sum(axis=1)[:, None]
    squared += np.square(others_SD).sum(axis=1)[None, :]
    return squared


def _sums(all_of: Enrolled) -> tuple[Float, Float]:
    """Of each subject's templates, float64 (S, D), and of their lengths, (S,)."""
    rows, owners = all_of.embeddings, all_of.owners
    sums = np.zeros((len(all_of.counts), rows.shape[1]))
    np.add.at(sums, owners, rows)
    lengths = np.zeros(len(all_of.counts))
    np.add.at(lengths, owners, np.linalg.norm(rows, axis=1))
    return sums, lengths


def _blocks(count: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK // max(1, width))
    for first in range(0, count, step):
        yield slice(first, min(first + step, count))


def _nearest(
    rows: Embeddings, owners: Numbers, means: Embeddings, d_max: float
) -> tuple[Numbers, Float]:
    nearest = np.zeros(len(rows), dtype=np.int64)
    near = np.zeros(len(rows))
    for block in _blocks(len(rows), len(means)):
        squared = _squared(rows[block], means)
        places = np.arange(len(squared))
        squared[places, owners[block]] = np.inf
        nearest[block] = squared.argmin(axis=1)
        near[block] = _similarity(squared[places, nearest[block]], d_max)
    return nearest, near


def _among_siblings(
    all_of: Enrolled, sums: Float, lengths: Float, tell: Tell
) -> tuple[Float, Float]:
    """Each template's similarity to its siblings, and the share of strangers that are as near."""
    rows, owners, counts = all_of.embeddings, all_of.owners, all_of.counts
    own, nearer = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    several = np.flatnonzero(counts[owners] > 1)
    for block in _blocks(len(several), len(rows)):
        tell(block.start / len(several))
        some = several[block]
        whose = owners[some]
        siblings = at_length(
            sums[whose] - rows[some],
            (lengths[whose] - np.linalg.norm(rows[some], axis=1)) / (counts[whose] - 1),
        )
        squared = _squared(siblings, rows)
        own_squared = squared[np.arange(len(some)), some]
        own[some] = _similarity(own_squared, all_of.d_max)
        as_near = squared <= own_squared[:, None]
        as_near &= whose[:, None] != owners[None, :]
        nearer[some] = as_near.sum(axis=1) / (len(rows) - counts[whose])
    return own, _even_of_two(nearer, all_of)


def _even_of_two(nearer: Float, all_of: Enrolled) -> Float:
    """Of subjects with two templates, the mean for both: they are as unlike as each other."""
    places = np.flatnonzero(all_of.counts[all_of.owners] == 2)
    pairs = places[np.argsort(all_of.owners[places], kind="stable")].reshape(-1, 2)
    even = nearer.copy()
    even[pairs] = nearer[pairs].mean(axis=1, keepdims=True)
    return even


def _chance(rows: Embeddings, owners: Numbers, means: Embeddings, d_max: float) -> Chance:
    choose = np.random.default_rng(0)
    some = np.sort(choose.permutation(len(rows))[:_SAMPLE])
    others = np.sort(choose.permutation(len(means))[:_SAMPLE])
    found = similarities(rows[some], means[others], d_max)
    return Chance.fitted(found[owners[some, None] != others[None, :]], subjects=len(means))
