"""The baselines against their papers' formulas in numpy, and on batches that have little to say."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from training.losses.composite import CompositeLoss
from training.losses.config import LossConfig, MiningConfig

NAMES: tuple[Any, ...] = ("arcface", "cosface", "multi_similarity", "proxy_anchor")
SIZE, CLASSES = 4, 3
LABELS_B = torch.tensor([0, 0, 1, 1, 2])

Floats = npt.NDArray[np.float64]


def baseline(name: Any, **config: Any) -> CompositeLoss:
    torch.manual_seed(0)
    return CompositeLoss(
        LossConfig(metric=name, c_class=0.0, **config),
        embedding_size=SIZE,
        classes=CLASSES,
        space="unit_range",
        scale=1.0,
        d_max=2.0,
        batch_size=5,
    )


def points(dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(5, SIZE, generator=generator, dtype=dtype).requires_grad_()


def unit_rows(rows: Tensor) -> Floats:
    array: Floats = rows.detach().double().numpy()
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def cross_entropy(logits: Floats) -> float:
    rows = range(len(logits))
    return float(np.mean([np.log(np.exp(logits[i] - logits[i, LABELS_B[i]]).sum()) for i in rows]))


def slow_margin_softmax(y: Floats, w: Floats, name: str) -> float:
    cosines = y @ w.T
    for i, k in enumerate(LABELS_B.tolist()):
        if name == "cosface":
            cosines[i, k] -= 0.35
            continue
        angle, margin = math.acos(cosines[i, k]), math.radians(28.6)
        beyond = cosines[i, k] - margin * math.sin(margin)
        cosines[i, k] = math.cos(angle + margin) if angle + margin <= math.pi else beyond
    return cross_entropy(64 * cosines)


def slow_multi_similarity(y: Floats, w: Floats, name: str) -> float:
    total = 0.0
    for i in range(5):
        same = [y[i] @ y[j] for j in range(5) if j != i and LABELS_B[i] == LABELS_B[j]]
        other = [y[i] @ y[j] for j in range(5) if LABELS_B[i] != LABELS_B[j]]
        if same:
            total += math.log(1 + sum(math.exp(-2 * (s - 0.5)) for s in same)) / 2
        total += math.log(1 + sum(math.exp(50 * (s - 0.5)) for s in other)) / 50
    return total / 5


def slow_proxy_anchor(y: Floats, w: Floats, name: str) -> float:
    positive = negative = 0.0
    for k in range(CLASSES):
        same = [y[i] @ w[k] for i in range(5) if LABELS_B[i] == k]
        other = [y[i] @ w[k] for i in range(5) if LABELS_B[i] != k]
        positive += math.log(1 + sum(math.exp(-32 * (s - 0.1)) for s in same))
        negative += math.log(1 + sum(math.exp(32 * (s + 0.1)) for s in other))
    return (positive + negative) / CLASSES


SLOW = {
    "arcface": slow_margin_softmax,
    "cosface": slow_margin_softmax,
    "multi_similarity": slow_multi_similarity,
    "proxy_anchor": slow_proxy_anchor,
}


def class_vectors(loss: CompositeLoss, name: str) -> Tensor:
    if name == "multi_similarity":
        return torch.ones(1, SIZE)
    (vectors,) = loss.parameters()
    return vectors if vectors.shape == (CLASSES, SIZE) else vectors.T


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_baselines_equal_their_papers(name: str, dtype: torch.dtype) -> None:
    loss = baseline(name).to(dtype)
    x_BD = points(dtype)
    output = loss(x_BD, LABELS_B)
    expected = SLOW[name](unit_rows(x_BD), unit_rows(class_vectors(loss, name)), name)
    assert output.total.dtype == dtype
    assert float(output.total.detach()) == pytest.approx(expected, rel=1e-5)
    assert set(output.parts) == {"metric"}
    assert len(output.positive_A) == len(output.negative_A) == 0
    output.total.backward()
    assert x_BD.grad is not None
    assert (x_BD.grad != 0).any()
    assert all((p.grad != 0).any() for p in loss.parameters() if p.grad is not None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [0, 1, 4])
@pytest.mark.parametrize("kind", ["zero", "equal", "opposite", "on a class vector"])
@pytest.mark.parametrize("name", NAMES)
def test_degenerate_batches_are_finite(name: str, kind: str, rows: int, dtype: torch.dtype) -> None:
    loss = baseline(name).to(dtype)
    for vectors in loss.parameters():
        # Along the axes, where a cosine is exactly 1.
        vectors.data.copy_(torch.eye(*vectors.shape))
    x_BD = {
        "zero": torch.zeros(rows, SIZE, dtype=dtype),
        "equal": torch.ones(rows, SIZE, dtype=dtype),
        "opposite": torch.tensor([1.0, -1.0] * 2, dtype=dtype)[:rows, None].repeat(1, SIZE),
        "on a class vector": torch.eye(1, SIZE, dtype=dtype).repeat(rows, 1),
    }[kind].requires_grad_()
    for labels in ([0] * rows, [i % CLASSES for i in range(rows)]):
        total = loss(x_BD, torch.tensor(labels, dtype=torch.int64)).total
        total.backward()
        assert torch.isfinite(total)
        assert x_BD.grad is not None
        assert torch.isfinite(x_BD.grad).all()
        assert all(torch.isfinite(p.grad).all() for p in loss.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NAMES)
def test_class_vectors_are_in_the_state(name: str) -> None:
    one, again = baseline(name), baseline(name)
    for parameter in one.parameters():
        parameter.data.normal_()
    again.load_state_dict(one.state_dict())
    x_BD = points(torch.float32)
    assert torch.equal(again(x_BD, LABELS_B).total, one(x_BD, LABELS_B).total)
    assert len(one.state_dict()) == (name != "multi_similarity")


@pytest.mark.parametrize("name", NAMES)
def test_a_memory_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no cross-batch memory"):
        baseline(name, mining=MiningConfig(memory_batches=1))


def test_the_library_is_imported_only_when_asked_for() -> None:
    code = (
        "import sys; import training.losses.composite; "
        "sys.exit('pytorch_metric_learning' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
