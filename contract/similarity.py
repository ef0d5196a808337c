"""The one similarity of the product, and its inverse.

Every score that a user sees, every threshold and every calibration uses these functions:

    similarity = 1 - distance / d_max        distance = (1 - similarity) * d_max

`distance` is Euclidean. `d_max` is the largest distance that the embedding space allows, so the
similarity lies in [0, 1] and bigger is closer. A template is accepted when similarity >= threshold.

Shapes: any; B probes, N templates, D embedding size.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Space = Literal["l2", "unit_range", "unit_bounce", "bounce_limit", "none"]
BOUNDED_SPACES: frozenset[str] = frozenset({"l2", "unit_range", "unit_bounce", "bounce_limit"})

Float = npt.NDArray[np.floating]


def max_distance(space: Space, scale: float) -> float:
    """Largest Euclidean distance in a bounded space of radius `scale`: its diameter.

    Raises ValueError for the unbounded space `none`, whose d_max has to be chosen.
    """
    if space not in BOUNDED_SPACES:
        raise ValueError(f"The space {space!r} has no largest distance: state d_max yourself.")
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be a positive number, not {scale!r}.")
    return 2.0 * scale


def similarity_from_distance(distance: Float, d_max: float) -> Float:
    """Euclidean distances in [0, d_max] to similarities in [0, 1]; beyond d_max is 0."""
    similarity = 1.0 - np.asarray(distance, dtype=np.float64) / d_max
    # As np.clip does, in a third of its time for the few values of a search.
    bounded: Float = np.minimum(np.maximum(similarity, 0.0), 1.0)
    return bounded


def similarity_from_squares(squared: Sequence[float], d_max: float) -> Float:
    """As similarity_from_distance of their roots, bit for bit, for a few squared distances.

    In plain Python: after a scan has emptied the caches, numpy's six calls take longer than this.
    """
    return np.array([max(0.0, 1.0 - math.sqrt(square) / d_max) for square in squared])


def distance_from_similarity(similarity: Float, d_max: float) -> Float:
    """Similarities in [0, 1] back to Euclidean distances in [0, d_max]."""
    return (1.0 - np.asarray(similarity, dtype=np.float64)) * d_max


def largest_shift(exact_BD: Float, found_BD: Float, d_max: float) -> float:
    """How far embeddings (B, D) were moved at most, as a similarity lost; NaN for NaN."""
    shift_B = 1.0 - similarity_from_distance(np.linalg.norm(exact_BD - found_BD, axis=1), d_max)
    return float(np.max(shift_B))


def pairwise_similarity(probes_BD: Float, templates_ND: Float, d_max: float) -> Float:
    """All similarities of probes to templates, shape (B, N), computed exactly in float64.

    The slow and plain form: fast indexes are tested against it.
    """
    probes = np.asarray(probes_BD, dtype=np.float64)
    templates = np.asarray(templates_ND, dtype=np.float64)
    distances_BN = (
        np.stack([np.sqrt(np.square(templates - probe).sum(axis=1)) for probe in probes])
        if len(probes)
        else np.zeros((0, len(templates)))
    )
    return similarity_from_distance(distances_BN, d_max)
