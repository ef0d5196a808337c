"""Embedding spaces as tensor maps, the same in training and in the exported model.

Shapes: B batch, D embedding size.
"""

import torch
from torch import Tensor


def l2(x_BD: Tensor, scale: float) -> Tensor:
    """Onto the sphere of radius `scale`: c_s * x / |x|; the zero vector stays zero.

    Slides, "Embedding spaces". As there, the norm is a constant in the backward pass, so the
    gradient keeps its part along x.
    """
    norm_B1: Tensor = torch.linalg.vector_norm(x_BD.detach(), dim=1, keepdim=True)
    return x_BD * (scale / norm_B1.clamp_min(1e-12))
