"""Embeddings in two dimensions, to look at.

Shapes: N images, D embedding size, P points shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

POINTS_MOST = 2_000
NAMED_MOST = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpaceView:
    """points_P2: places. named_P: index into `names` of the identity, -1 for all others.

    explained: share of the points' variance that the two axes show, in [0, 1]; 1 where D <= 2,
    where they are the space itself. data: whose images, in words.
    """

    points_P2: npt.NDArray[np.float64]
    named_P: Indices
    names: tuple[str, ...]
    explained: float
    data: str


def space_view(
    embeddings_ND: Floats, labels_N: Indices, names: Sequence[str], *, seed: int, data: str
) -> SpaceView:
    """At most POINTS_MOST random images; the NAMED_MOST identities of most images are named.

    names: of the labels. The axes are the first two principal components of these points, whose
    signs are chosen so that the largest coefficient is positive.
    """
    rng = np.random.default_rng(seed)
    identities, counts = np.unique(labels_N, return_counts=True)
    named = identities[np.argsort(-counts, kind="stable")][:NAMED_MOST]
    # The named first, else a few images of each would drown among thousands of others.
    is_named = np.isin(labels_N, named)
    order = rng.permutation(len(labels_N))
    order = np.concatenate([order[is_named[order]][: POINTS_MOST // 2], order[~is_named[order]]])
    rows = np.sort(order[:POINTS_MOST])
    points, explained = _plane(embeddings_ND[rows].astype(np.float64))
    position = {int(label): i for i, label in enumerate(named)}
    return SpaceView(
        points_P2=points,
        named_P=np.array([position.get(int(label), -1) for label in labels_N[rows]]),
        names=tuple(names[label] for label in named),
        explained=explained,
        data=data,
    )


def _plane(points_PD: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    if points_PD.shape[1] <= 2:
        return np.pad(points_PD, ((0, 0), (0, 2 - points_PD.shape[1]))), 1.0
    centred = points_PD - points_PD.mean(axis=0)
    strengths_D, axes_DD = np.linalg.eigh(centred.T @ centred)  # ascending
    axes_2D = axes_DD.T[:-3:-1]
    largest = np.take_along_axis(axes_2D, np.abs(axes_2D).argmax(axis=1)[:, None], axis=1)
    total = float(strengths_D.sum())
    explained = float(strengths_D[-2:].sum()) / total if total else 1.0
    return centred @ (axes_2D * np.where(largest < 0, -1.0, 1.0)).T, explained
