"""Distillation: the student's embeddings follow a teacher's, point by point and pair by pair.

    L = mean(1 - cos(y_i, t_i)) + mean((cos(y_i, y_j) - cos(t_i, t_j))^2)

The second term is the relational part (after Park et al., CVPR 2019, on cosines instead of
normalised distances): what a gallery needs is that the teacher's similarities stay.

Shapes: B batch, D embedding size.
"""

import torch
from torch import Tensor


def distillation_loss(embeddings_BD: Tensor, targets_BD: Tensor) -> Tensor:
    """Scalar loss of student embeddings against teacher embeddings, both of any length > 0."""
    student = torch.nn.functional.normalize(embeddings_BD, dim=1)
    teacher = torch.nn.functional.normalize(targets_BD, dim=1)
    points = 1 - (student * teacher).sum(dim=1)
    pairs = (student @ student.T - teacher @ teacher.T).square()
    return points.mean() + pairs.mean()
