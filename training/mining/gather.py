"""Embeddings and labels of the whole batch from all ranks, with gradients that DDP leaves right.

Why the backward pass sums over the ranks: let y_r be the embeddings of rank r, J_r their derivative
by the weights, and L the loss of the global batch, which all W ranks compute alike. One process has
the gradient sum_r J_r^T dL/dy_r. DistributedDataParallel takes the mean over the ranks of what each
of them computes, (1/W) sum_r J_r^T g_r; it is right with g_r = W * dL/dy_r, the sum over the ranks
of their (equal) gradients by y_r.

Shapes: W ranks, B samples of this rank, G of all ranks, D embedding size.
"""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def gather_with_gradient(x_BD: Tensor) -> Tensor:
    """Rows of all ranks (G, D) in the order of the ranks; ranks may have different numbers of rows.

    Without an initialised process group it is `x_BD` itself. All ranks have to call it, and have to
    go backward through it, together.
    """
    if not _distributed():
        return x_BD
    gathered: Tensor = _Gather.apply(x_BD)
    return gathered


def gather_labels(labels_B: Tensor) -> Tensor:
    """Labels of all ranks (G,), ordered as the rows of `gather_with_gradient`."""
    return _gathered(labels_B)[0] if _distributed() else labels_B


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BD: Tensor) -> Tensor:
        gathered_GD, sizes = _gathered(x_BD)
        ctx.sizes = sizes
        return gathered_GD

    @staticmethod
    def backward(ctx: Any, gradient_GD: Tensor) -> Tensor:
        summed_GD = gradient_GD.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed_GD)
        mine: Tensor = summed_GD.split(ctx.sizes)[dist.get_rank()]
        return mine


def _gathered(rows: Tensor) -> tuple[Tensor, list[int]]:
    """Rows of all ranks, and how many each has."""
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(count) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, count)
    sizes = [int(size) for size in counts]
    # Ranks exchange tensors of one shape: the shorter ones are filled up.
    sent = rows.new_zeros((max(sizes), *rows.shape[1:]))
    sent[: len(rows)] = rows
    received = [torch.empty_like(sent) for _ in sizes]
    dist.all_gather(received, sent)
    return torch.cat([part[:size] for part, size in zip(received, sizes, strict=True)]), sizes
