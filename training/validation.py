"""How good a network is on images that it does not learn from: one number, bigger is better.

Shapes: N images, D embedding size.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from training.evaluation.closed_set import held_out_accuracy
from training.evaluation.verification import pair_auc

Indices = npt.NDArray[np.int64]
# Embeds images of a pack by their index: int64 (N,) to float32 (N, D).
Embed = Callable[[Indices], npt.NDArray[np.float32]]

# Enough for a steady number, few enough for the pairs of all with all.
MAX_PROBES = 5_000
CENTRE_IMAGES_EACH = 100


def identity_auc(embed: Embed, labels_N: Indices, held_out: Indices) -> float | None:
    """How often a mated pair of held-out images is nearer than a non-mated one, in [0, 1].

    labels_N: of all images of the pack. held_out: indices into them, of which at most MAX_PROBES
    are used. None where these make pairs of one kind only.
    """
    rows = _thinned(held_out, MAX_PROBES)
    if not 1 < len(np.unique(labels_N[rows])) < len(rows):
        return None
    return pair_auc(embed(rows), labels_N[rows])


def centre_accuracy(embed: Embed, labels_N: Indices, trained: Indices, held_out: Indices) -> float:
    """Share of held-out images whose nearest centre is that of their class, in [0, 1].

    The centres are means of up to CENTRE_IMAGES_EACH training images of each class.
    """
    classes = np.unique(labels_N[trained])
    each = [_thinned(trained[labels_N[trained] == c], CENTRE_IMAGES_EACH) for c in classes]
    rows, probes = np.concatenate(each), _thinned(held_out, MAX_PROBES)
    return held_out_accuracy(embed(rows), labels_N[rows], embed(probes), labels_N[probes])


def _thinned(rows: Indices, most: int) -> Indices:
    """At most `most` of `rows`, evenly spread."""
    return rows[:: -(-len(rows) // most)] if len(rows) > most else rows
