"""What is probably wrong: the decisions of a health report, on places and not on ids.

A finding stands where chance explains few of its kind, see chance.py. Duplicates come first: they
explain templates that look like the other one. A mislabelled template explains what else makes
the two subjects look alike.
Shapes: N templates, S subjects, D embedding size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.similarity import Float
from index.health.chance import discoveries
from index.health.enrolled import Enrolled
from index.health.likeness import Likeness, at_length, similarities
from index.records import Numbers

Flags = npt.NDArray[np.bool_]

# Share of the findings of a kind that chance may have made.
FALSE_SHARE: Final = 0.02
# A template is unlike its siblings where this share of strangers, or more, are as near to them: all
# but so many misplaced ones are. With 0.05 more are found, with 0.1 fewer are false.
UNLIKE: Final = 0.07
# Of templates that are unlike their siblings, so many may be named after the wrong subject.
_FALSE_NAMES: Final = 0.1
# What is left of a duplicate without its best templates must be as like as one pair in a hundred.
_STILL_LIKE: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Places of what was found, worst first.

    duplicates: pairs of subjects, the first enrolled first, and how similar they are. mislabelled:
    templates; each looks like its `Likeness.nearest`. outlying: of a subject one template, or all
    that are not mislabelled.
    """

    duplicates: Mapping[tuple[int, int], float]
    mislabelled: tuple[int, ...]
    outlying: tuple[tuple[int, ...], ...]


def find_faults(all_of: Enrolled, like: Likeness) -> Findings:
    """Needs two subjects at least."""
    duplicates = _duplicates(all_of, like)
    twins = {(a, b) for pair in duplicates for a, b in (pair, pair[::-1])}
    mislabelled = _mislabelled(all_of, like, twins)
    return Findings(
        duplicates=duplicates,
        mislabelled=tuple(mislabelled),
        outlying=tuple(_outlying(all_of, like, twins, set(mislabelled))),
    )


def _duplicates(all_of: Enrolled, like: Likeness) -> dict[tuple[int, int], float]:
    """Pairs of a subject and its nearest one with their similarity, most similar first."""
    subjects = len(all_of.counts)
    near = {
        (min(a, b), max(a, b)): float(like.twin_near[a]) for a, b in enumerate(like.twin.tolist())
    }
    pairs = sorted(near, key=lambda pair: (-near[pair], pair))
    standing = discoveries(
        like.by_subject.of(np.array([near[pair] for pair in pairs])),
        tests=subjects * (subjects - 1) // 2,
        false_share=FALSE_SHARE,
    )
    level = like.by_subject.level(_STILL_LIKE)
    return {
        (a, b): near[a, b]
        for (a, b), stands in zip(pairs, standing, strict=True)
        if stands and min(_worse_half(all_of, like, a, b), _worse_half(all_of, like, b, a)) >= level
    }


def _worse_half(all_of: Enrolled, like: Likeness, one: int, other: int) -> float:
    """Similarity of a subject to another by those of its templates that are less like it.

    Two subjects may be alike because one has a template of the other: a minority at its place.
    """
    rows = all_of.embeddings[all_of.owners == one]
    mean = like.means[other][None]
    order = np.argsort(similarities(rows, mean, all_of.d_max)[:, 0])
    worse = rows[order[: (len(rows) + 1) // 2]].astype(np.float64)
    length = np.linalg.norm(worse, axis=1).mean(keepdims=True)
    left = at_length(worse.sum(axis=0, keepdims=True), length)
    return float(similarities(left, mean, all_of.d_max)[0, 0])


def _mislabelled(all_of: Enrolled, like: Likeness, twins: set[tuple[int, int]]) -> list[int]:
    """Templates that look like another subject and not like their own, clearest first."""
    found: list[int] = []
    explained: set[tuple[int, int]] = set()
    lead = like.near - like.own
    suspects = np.flatnonzero((lead > 0) & (_named(like) | _surely_elsewhere(like)))
    for place in suspects[np.argsort(-lead[suspects], kind="stable")].tolist():
        mine, theirs = int(all_of.owners[place]), int(like.nearest[place])
        if (mine, theirs) not in twins | explained:
            found.append(place)
            # The other's templates look like this subject because of this one.
            explained.add((theirs, mine))
    return found


def _unlike(like: Likeness) -> Flags:
    """Templates that are no nearer to their siblings than strangers may be."""
    # NaN, of templates without siblings, is not either.
    unlike: Flags = like.strangers_nearer >= UNLIKE
    return unlike


def _named(like: Likeness) -> Flags:
    """Templates unlike their siblings, for whom another subject is nearer than chance explains."""
    unlike = np.flatnonzero(_unlike(like))
    stands = discoveries(
        _by_chance(like, like.near[unlike]), tests=len(unlike), false_share=_FALSE_NAMES
    )
    return _flags(unlike[stands], len(like.own))


def _surely_elsewhere(like: Likeness) -> Flags:
    """Of all templates those that are another subject's, and not as surely their own one's."""
    sure = discoveries(_by_chance(like, like.near), tests=len(like.near), false_share=FALSE_SHARE)
    level = like.near[sure].min(initial=1.0)
    elsewhere: Flags = sure & (like.own < level)
    return elsewhere


def _by_chance(like: Likeness, near: Float) -> Float:
    """The chance that one of all other subjects is as near to a template."""
    return np.minimum(like.by_template.of(near) * (len(like.twin) - 1), 1.0)


def _outlying(
    all_of: Enrolled, like: Likeness, twins: set[tuple[int, int]], mislabelled: set[int]
) -> list[tuple[int, ...]]:
    """Templates unlike their siblings that nothing else explains, least like them first."""
    found: list[tuple[int, ...]] = []
    unlike = {int(place) for place in np.flatnonzero(_unlike(like))} - mislabelled
    for subject in sorted({int(all_of.owners[place]) for place in unlike}):
        left = [
            p for p in np.flatnonzero(all_of.owners == subject).tolist() if p not in mislabelled
        ]
        bad = [p for p in left if p in unlike and (subject, int(like.nearest[p])) not in twins]
        if len(left) < 2:
            # What it was unlike is mislabelled itself.
            continue
        found += [tuple(left)] if len(bad) == len(left) else [(place,) for place in bad]
    return sorted(found, key=lambda places: max(like.own[place] for place in places))


def _flags(places: Numbers, count: int) -> Flags:
    flags = np.zeros(count, dtype=np.bool_)
    flags[places] = True
    return flags
