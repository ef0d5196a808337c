"""The default threshold: where strangers are taken for someone enrolled in one search of a hundred.

Open-set search (ISO/IEC 19795-1): a non-mated search is an error when its best candidate reaches
the threshold. The threshold comes from the maxima of whole searches, never from pooled pairs.

Shapes: N images, D embedding size, G gallery subjects, S searches.
"""

import numpy as np
import numpy.typing as npt

from contract.manifest import DefaultThreshold
from contract.similarity import similarity_from_distance


def nonmated_maxima(
    embeddings_ND: npt.NDArray[np.float32],
    labels_N: npt.NDArray[np.int64],
    *,
    gallery_subjects: int,
    draws: int,
    seed: int,
    d_max: float,
) -> npt.NDArray[np.float64]:
    """Best similarity of each non-mated search, float64 (draws * S,).

    Each draw enrols one image of `gallery_subjects` random identities and searches one image of
    every other identity. Raises ValueError without enough identities.
    """
    identities, counts = np.unique(labels_N, return_counts=True)
    if len(identities) <= gallery_subjects:
        raise ValueError(
            f"{len(identities)} identities cannot give {gallery_subjects} subjects and strangers."
        )
    rng = np.random.default_rng(seed)
    order = np.argsort(labels_N, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    maxima = []
    for _ in range(draws):
        chosen = order[starts + rng.integers(0, counts)]
        shuffled = rng.permutation(chosen)
        gallery, probes = shuffled[:gallery_subjects], shuffled[gallery_subjects:]
        g = embeddings_ND[gallery].astype(np.float64)
        p = embeddings_ND[probes].astype(np.float64)
        squares = (p**2).sum(1)[:, None] + (g**2).sum(1)[None] - 2 * p @ g.T
        nearest = np.sqrt(np.clip(squares.min(axis=1), 0, None))
        maxima.append(similarity_from_distance(nearest, d_max))
    return np.concatenate(maxima)


def default_threshold(
    embeddings_ND: npt.NDArray[np.float32],
    labels_N: npt.NDArray[np.int64],
    *,
    d_max: float,
    fpir: float = 0.01,
    gallery_subjects: int = 100,
    data: str,
) -> DefaultThreshold:
    """The smallest threshold at which at most a share `fpir` of non-mated searches is accepted.

    `searches` of the answer counts the strangers of one draw; ten draws steady the estimate but
    add no people.
    """
    maxima = nonmated_maxima(
        embeddings_ND, labels_N, gallery_subjects=gallery_subjects, draws=10, seed=0, d_max=d_max
    )
    ordered = np.sort(maxima)[::-1]
    allowed = int(fpir * len(ordered))
    # Just above the first maximum that must be refused.
    threshold = min(1.0, float(np.nextafter(ordered[allowed], 2.0)))
    return DefaultThreshold(
        similarity=threshold,
        fpir=float((maxima >= threshold).mean()),
        gallery_subjects=gallery_subjects,
        searches=len(np.unique(labels_N)) - gallery_subjects,
        data=data,
    )
