"""Several processes that train one network (torchrun): who am I, and what do we share.

Every rank embeds its rows of the global batch, gathers the embeddings of all with gradient
(training/mining/gather.py) and computes the loss of the whole batch. So mining sees every pair, and
the gradients that DistributedDataParallel averages are those of one process on the same batch.

Shapes: B batch of one rank, C channels, S all other dimensions.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from training.mining.distances import at_least_float32

# How long a rank waits for the others before it gives up.
TIMEOUT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process is number `rank` of `world`, and computes on `device`."""

    rank: int
    world: int
    device: str

    @property
    def leads(self) -> bool:
        """Only the first process writes files and shows progress."""
        return self.rank == 0


@contextmanager
def joined_ranks(device: str) -> Iterator[Ranks]:
    """The processes that torchrun started, for as long as they train; alone where it started none.

    device: `cpu`, or `cuda`, of which each process takes the one of its local rank.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield Ranks(0, 1, device)
        return
    cuda = device.startswith("cuda")
    if cuda:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo", timeout=TIMEOUT)
    yield Ranks(dist.get_rank(), dist.get_world_size(), device)
    # Not after an error, of which the others know nothing yet: they would be waited for. Without
    # waiting, one rank in ten was seen to abort while the other took its connections down.
    dist.barrier()
    dist.destroy_process_group()


Net = TypeVar("Net", bound=nn.Module)


def with_shared_statistics(net: Net, ranks: Ranks) -> Net:
    """`net` with batch normalisation over the batch of all ranks; unchanged for one."""
    if ranks.world == 1:
        return net
    if ranks.device.startswith("cuda"):
        return cast(Net, nn.SyncBatchNorm.convert_sync_batchnorm(net))
    return cast(Net, _SharedBatchNorm.converted(net))


class _Sum(torch.autograd.Function):
    """Sum over the ranks. Every rank's loss depends on it, so its gradient is a sum, too."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        whole = part.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        whole = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole)
        return whole


def _summed(part: Tensor) -> Tensor:
    whole: Tensor = _Sum.apply(part)
    return whole


class _SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over all ranks on the CPU, for which torch's own has no code.

    Parameters, statistics and their names are those of torch's.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    @classmethod
    def converted(cls, module: nn.Module) -> nn.Module:
        """`module` with every batch normalisation in it replaced; its tensors are kept."""
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            shared = cls(module.num_features, module.eps, module.momentum)
            shared.weight, shared.bias = module.weight, module.bias
            shared._buffers.update(module._buffers)
            return shared
        for name, child in module.named_children():
            setattr(module, name, cls.converted(child))
        return module

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions after B and C."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        wide = at_least_float32(input)
        axes = [0, *range(2, input.ndim)]
        count = _summed(wide.new_tensor([wide.numel() / wide.shape[1]]))
        mean_C = _summed(wide.sum(axes)) / count
        centred = wide - mean_C.view(1, -1, *[1] * (input.ndim - 2))
        variance_C = _summed(centred.square().sum(axes)) / count
        with torch.no_grad():
            momentum = self.momentum or 0.0
            self.running_mean.lerp_(mean_C, momentum)
            self.running_var.lerp_(variance_C * count / (count - 1), momentum)
            self.num_batches_tracked.add_(1)
        slope_C = self.weight * (variance_C + self.eps).rsqrt()
        shape = (1, -1, *[1] * (input.ndim - 2))
        return (centred * slope_C.view(shape) + self.bias.view(shape)).to(input.dtype)
