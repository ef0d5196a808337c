"""The cross-batch memory against a Python list, and what mining makes of it."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from training.losses.composite import CompositeLoss
from training.losses.config import LossConfig, MiningConfig, StandardConfig
from training.mining.memory import EmbeddingMemory


def rows_of(memory: EmbeddingMemory) -> set[tuple[float, int]]:
    embeddings, labels = memory.read()
    return set(zip(embeddings[:, 0].tolist(), labels.tolist(), strict=True))


@pytest.mark.parametrize("sizes", [[2, 2, 2, 2], [1, 3, 5, 2, 4], [7], [0, 3], [5, 5], [12, 1]])
def test_memory_keeps_the_last_rows(sizes: list[int]) -> None:
    memory = EmbeddingMemory(5, 3)
    everything: list[tuple[float, int]] = []
    for size in sizes:
        values = [len(everything) + i for i in range(size)]
        everything += [(float(value), value % 3) for value in values]
        embeddings_BD = torch.tensor(values, dtype=torch.float32)[:, None].expand(size, 3)
        memory.write(embeddings_BD, torch.tensor(values, dtype=torch.int64) % 3)
        assert rows_of(memory) == set(everything[-5:])


def test_memory_resumes_from_its_state() -> None:
    memory, again = EmbeddingMemory(4, 2), EmbeddingMemory(4, 2)
    memory.write(torch.randn(6, 2), torch.arange(6))
    again.load_state_dict(memory.state_dict())
    for one in (memory, again):
        one.write(torch.ones(1, 2), torch.tensor([9]))
    for found, expected in zip(again.read(), memory.read(), strict=True):
        assert torch.equal(found, expected)


def loss_with_memory(metric: Any, pairs: Any, batches: int = 2, **mining: Any) -> CompositeLoss:
    config = LossConfig(
        metric=metric,
        c_class=0.0,
        standard=StandardConfig(margin=0.3),
        mining=MiningConfig(pairs=pairs, memory_batches=batches, **mining),
    )
    return CompositeLoss(
        config, embedding_size=3, classes=4, space="l2", scale=1.0, d_max=2.0, batch_size=6
    )


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    x_BD = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    labels_B = torch.randint(4, (6,), generator=generator)
    return torch.nn.functional.normalize(x_BD, dim=1).requires_grad_(), labels_B


def slow_metric(
    metric: str, pairs: str, batches: list[tuple[Tensor, Tensor]], anchors: int = 6
) -> float:
    """Anchors: the last batch. Candidates: all batches."""
    points = [x for batch in batches for x in batch[0].tolist()]
    labels = [y for batch in batches for y in batch[1].tolist()]
    own = range(len(points) - anchors, len(points))
    far, near, hinges = [], [], []
    for a in own:
        same = [math.dist(points[a], points[j]) for j in range(len(points))
                if j != a and labels[j] == labels[a]]  # fmt: skip
        other = [math.dist(points[a], points[j]) for j in range(len(points))
                 if labels[j] != labels[a]]  # fmt: skip
        if not (same and other):
            continue
        if pairs == "hardest":
            same, other = [max(same)], [min(other)]
        far += [p / 2 for p in same]
        near += [max(0.5 - n / 2, 0) / 0.5 for n in other]
        hinges += [max(p**2 - n**2 + 0.3, 0) for p in same for n in other]
    if metric == "standard":
        return sum(hinges) / len(hinges)
    return -math.log(1 - sum(far) / len(far)) - math.log(1 - sum(near) / len(near))


@pytest.mark.parametrize("pairs", ["hardest", "all"])
@pytest.mark.parametrize("metric", ["exponential", "standard"])
def test_past_batches_are_mined_from_the_chosen_epoch(metric: str, pairs: str) -> None:
    """Two of them, two batches back, after the loss of a batch is taken."""
    loss = loss_with_memory(metric, pairs, memory_from_epoch=1).double()
    history = [batch(step) for step in range(8)]
    for step, (x_BD, labels_B) in enumerate(history):
        epoch = step // 3
        loss.start_epoch(epoch)
        seen = history[max(0, step - 2) : step + 1] if epoch >= 1 else history[step : step + 1]
        output = loss(x_BD, labels_B)
        assert float(output.total.detach()) == pytest.approx(
            slow_metric(metric, pairs, seen), rel=1e-6
        )
        output.total.backward()
        assert x_BD.grad is not None
        assert torch.isfinite(x_BD.grad).all()
        assert all(past.grad is None for past, _ in history[step + 1 :])


def test_the_past_gets_no_gradient() -> None:
    loss = loss_with_memory("exponential", "hardest", memory_from_epoch=0)
    loss.start_epoch(0)
    first, second = batch(0), batch(1)
    loss(*first)
    loss(*second).total.backward()
    assert first[0].grad is None
    assert second[0].grad is not None


def test_an_earlier_embedding_of_an_image_is_a_positive() -> None:
    """All of another class, so that the only positive is the copy in memory."""
    loss = loss_with_memory("exponential", "hardest", memory_from_epoch=0).double()
    loss.start_epoch(0)
    x_BD = torch.eye(3, dtype=torch.float64)
    labels_B = torch.arange(3)
    assert len(loss(x_BD, labels_B).positive_A) == 0
    assert loss(x_BD, labels_B).positive_A.tolist() == [0.0, 0.0, 0.0]


def test_evaluation_leaves_the_memory_alone() -> None:
    loss = loss_with_memory("standard", "all").eval()
    loss(*batch(0))
    assert all((value == 0).all() for value in loss.state_dict().values())


def test_memory_of_every_row_is_in_the_state() -> None:
    assert {
        k: tuple(v.shape) for k, v in loss_with_memory("standard", "all").state_dict().items()
    } == {
        "metric.memory.embeddings_MD": (12, 3),
        "metric.memory.labels_M": (12,),
        "metric.memory.written": (),
    }
    assert loss_with_memory("standard", "all", batches=0).state_dict() == {}
