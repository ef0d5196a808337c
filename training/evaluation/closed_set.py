"""Protocols `paper` and `held-out`: is the nearest class centre the right one?

Both ask for identities that were trained on; they differ in where the centres come from.
`paper` builds them from the evaluated images themselves, so that each probe helps to build the
centre that it is then matched to (the authors' research code does so): it is there to compare with
the paper's table only. `held-out` builds them from images that were trained on.

Shapes: N images, K classes, D embedding size.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.data.pack import Pack
from training.evaluation.distances import row_pieces, squared_distances
from training.evaluation.embed import embed_images
from training.evaluation.roles import roles_of

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedSetResult:
    """Accuracies in [0, 1] of `probes` images of `classes` identities, by protocol.

    data: which images the probes are, in words.
    """

    paper: float
    held_out: float
    probes: int
    classes: int
    data: str


def paper_accuracy(probes_ND: Floats, labels_N: Indices) -> float:
    """Protocol `paper`: centres of the probes' own classes, made of these probes.

    A class of one probe is its own centre, and right. Raises ValueError without probes.
    """
    return held_out_accuracy(probes_ND, labels_N, probes_ND, labels_N)


def held_out_accuracy(
    trained_ND: Floats, trained_labels_N: Indices, probes_ND: Floats, labels_N: Indices
) -> float:
    """Protocol `held-out`: centres of the trained images; the probes are only searched for.

    A probe is right where the centre of its own class is nearer than every other one; a tie is
    wrong. A probe whose class has no trained image is wrong. Raises ValueError without probes or
    without trained images.
    """
    if not len(probes_ND) or not len(trained_ND):
        raise ValueError("The nearest class centre needs probes and images to make centres of.")
    classes_K, centres_KD = class_centres(trained_ND, trained_labels_N)
    column_N = np.clip(np.searchsorted(classes_K, labels_N), 0, len(classes_K) - 1)
    known_N = classes_K[column_N] == labels_N
    right = 0
    for piece in row_pieces(len(probes_ND), len(classes_K)):
        squares_NK = squared_distances(probes_ND[piece], centres_KD)
        own_N = np.take_along_axis(squares_NK, column_N[piece, None], axis=1)
        alone_N = (squares_NK <= own_N).sum(axis=1) == 1
        right += int((alone_N & known_N[piece]).sum())
    return right / len(probes_ND)


def class_centres(
    embeddings_ND: Floats, labels_N: Indices
) -> tuple[Indices, npt.NDArray[np.float64]]:
    """Labels that occur, ascending (K,), and the mean embedding of each, float64 (K, D).

    The mean is left where it falls, inside the sphere of an l2 space, as in the paper.
    """
    classes_K, row_N, counts_K = np.unique(labels_N, return_inverse=True, return_counts=True)
    sums_KD = np.zeros((len(classes_K), embeddings_ND.shape[1]))
    np.add.at(sums_KD, row_N, embeddings_ND.astype(np.float64))
    return classes_K, sums_KD / counts_K[:, None]


def closed_set(
    model: Callable[[Tensor], Tensor],
    pack: Pack,
    trained_paths: Collection[str],
    *,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> ClosedSetResult:
    """Both accuracies of `model` on images of `pack` that it has not learned from.

    model: uint8 (B, H, W, 3) to (B, D), in evaluation mode, on `device`.
    trained_paths: paths inside the pack of the images that it learned from.
    Raises ValueError where no identity has images of both kinds, or the pack is another one.
    """
    roles = roles_of(pack, trained_paths)
    if not len(roles.probes):
        raise ValueError(roles.no_probes)
    trained, probes = (
        embed_images(model, pack.images, rows=rows, device=device, progress=progress)
        for rows in (roles.trained, roles.probes)
    )
    labels = pack.labels
    return closed_set_of(
        trained, labels[roles.trained], probes, labels[roles.probes], data=roles.probes_data
    )


def closed_set_of(
    trained_ND: Floats,
    trained_labels_N: Indices,
    probes_ND: Floats,
    labels_N: Indices,
    *,
    data: str,
) -> ClosedSetResult:
    """Both accuracies of embeddings; see `paper_accuracy` and `held_out_accuracy`."""
    return ClosedSetResult(
        paper=paper_accuracy(probes_ND, labels_N),
        held_out=held_out_accuracy(trained_ND, trained_labels_N, probes_ND, labels_N),
        probes=len(probes_ND),
        classes=len(np.unique(labels_N)),
        data=data,
    )
