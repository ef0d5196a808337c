"""Hardest mining and the exponential loss by loops over pairs: what benchmarks/mining.py compares.

Both are written the straightforward way, give the loss of training/losses/triplets.py, and go
backward through the chosen pairs alone.
"""

import torch
from torch import Tensor


def loop_over_tensors(embeddings_BD: Tensor, labels_B: Tensor, d_max: float) -> Tensor:
    """Every pair's distance is a tensor operation of its own, as one writes it at first."""
    labels = labels_B.tolist()
    far, near = [], []
    for i in range(len(labels)):
        positive = negative = None
        for j in range(len(labels)):
            if i == j:
                continue
            distance = torch.linalg.vector_norm(embeddings_BD[i] - embeddings_BD[j])
            if labels[i] == labels[j]:
                if positive is None or distance > positive:
                    positive = distance
            elif negative is None or distance < negative:
                negative = distance
        if positive is not None and negative is not None:
            far.append(positive / d_max)
            near.append((0.5 - negative / d_max).clamp_min(0) / 0.5)
    return _loss(far, near)


def loop_over_lists(embeddings_BD: Tensor, labels_B: Tensor, d_max: float) -> Tensor:
    """All distances in one tensor operation, looped over as lists of Python's floats.

    Only the choice is a loop over pairs; the chosen distances are formed anew, as tensors.
    """
    labels = labels_B.tolist()
    distances = torch.cdist(embeddings_BD.detach(), embeddings_BD.detach()).tolist()
    far, near = [], []
    for i, row in enumerate(distances):
        positive = negative = -1
        for j, distance in enumerate(row):
            if i == j:
                continue
            if labels[i] == labels[j]:
                if positive < 0 or distance > row[positive]:
                    positive = j
            elif negative < 0 or distance < row[negative]:
                negative = j
        if positive >= 0 and negative >= 0:
            far.append(_distance(embeddings_BD, i, positive) / d_max)
            near.append((0.5 - _distance(embeddings_BD, i, negative) / d_max).clamp_min(0) / 0.5)
    return _loss(far, near)


def _distance(embeddings_BD: Tensor, i: int, j: int) -> Tensor:
    distance: Tensor = torch.linalg.vector_norm(embeddings_BD[i] - embeddings_BD[j])
    return distance


def _loss(far: list[Tensor], near: list[Tensor]) -> Tensor:
    return -torch.log1p(-torch.stack(far).mean()) - torch.log1p(-torch.stack(near).mean())
