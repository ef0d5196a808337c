"""Two processes that gather their embeddings against one process with the whole batch."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training.losses.composite import CompositeLoss
from training.losses.config import LossConfig, MiningConfig
from training.mining.gather import gather_labels, gather_with_gradient
from training.spaces import l2

WORLD = 2
# The first rank gets more rows than the second.
PARTS = (slice(0, 7), slice(7, 12))
CONFIG = LossConfig(c_centre=0.5, mining=MiningConfig(memory_batches=2, memory_from_epoch=0))


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    x_BD = torch.randn(12, 6, generator=generator, dtype=torch.float64)
    return x_BD, torch.arange(12) // 3


def loss_of_the_batch() -> CompositeLoss:
    torch.manual_seed(0)
    loss = CompositeLoss(
        CONFIG, embedding_size=5, classes=4, space="l2", scale=1.0, d_max=2.0, batch_size=12
    )
    loss.start_epoch(0)
    return loss.double()


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Linear(6, 5).double()


def gradients(net: nn.Module, part: slice) -> list[dict[str, Tensor]]:
    """Of three steps, those of the network and of the class layer, without updating either."""
    loss = loss_of_the_batch()
    found = []
    for step in range(3):
        x_BD, labels_B = batch(step)
        net.zero_grad()
        loss.zero_grad()
        embeddings = gather_with_gradient(l2(net(x_BD[part]), 1.0))
        loss(embeddings, gather_labels(labels_B[part])).total.backward()
        named = [*net.named_parameters(), *loss.named_parameters()]
        found.append(
            {
                name.removeprefix("module."): parameter.grad.clone()
                for name, parameter in named
                if parameter.grad is not None
            }
        )
    return found


def rank_main(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=WORLD
    )
    found: Any = gradients(DistributedDataParallel(network()), PARTS[rank])
    torch.save(found, f"{folder}/rank{rank}.pt")
    rows = gather_with_gradient(torch.full((rank + 1, 2), float(rank)))
    torch.save(rows, f"{folder}/rows{rank}.pt")
    # A rank whose other has gone already may abort.
    distributed.barrier()
    distributed.destroy_process_group()


def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(rank_main, args=(str(tmp_path),), nprocs=WORLD)
    expected = gradients(network(), slice(None))
    assert set(expected[0]) == {"weight", "bias", "class_layer.weight", "class_layer.bias"}
    for rank in range(WORLD):
        found = torch.load(tmp_path / f"rank{rank}.pt")
        for step in range(3):
            for name, gradient in expected[step].items():
                difference = (found[step][name] - gradient).abs().max()
                assert float(difference) < 1e-12, (rank, step, name)
            assert float(expected[step]["weight"].abs().max()) > 1e-3
        rows = torch.load(tmp_path / f"rows{rank}.pt")
        assert rows.tolist() == [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]


def test_one_process_gathers_nothing() -> None:
    x_BD = torch.ones(2, 3)
    labels_B = torch.arange(2)
    assert gather_with_gradient(x_BD) is x_BD
    assert gather_labels(labels_B) is labels_B
