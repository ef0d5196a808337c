"""The embedding space, the composite loss and distillation, each against numpy."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from training.losses.composite import CompositeLoss, LossConfig
from training.losses.distillation import distillation_loss
from training.spaces import l2

LABELS_B = torch.tensor([0, 0, 1, 1, 2, 2])

Floats = npt.NDArray[np.float64]


def unit_rows(seed: int, size: int = 4) -> Tensor:
    rows_BD = torch.randn(len(LABELS_B), size, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows_BD, dim=1)


def composite(classes: int = 3, seed: int = 0, **config: Any) -> CompositeLoss:
    torch.manual_seed(seed)
    return CompositeLoss(LossConfig(**config), embedding_size=4, classes=classes, d_max=2.0)


def parts_of(
    loss: CompositeLoss, embeddings_BD: Tensor, targets_BD: Tensor | None = None
) -> dict[str, float]:
    found = loss(embeddings_BD, LABELS_B, targets_BD)
    return {part: float(value.detach()) for part, value in found.items()}


# --- l2 ---


@pytest.mark.parametrize("scale", [0.5, 1.0, 7.0])
def test_l2_puts_every_vector_on_the_sphere_in_its_direction(scale: float) -> None:
    x_BD = torch.tensor([[3.0, 4.0], [-1e-6, 0.0], [1e18, 1e18]])
    y_BD = l2(x_BD, scale)
    assert torch.allclose(y_BD.norm(dim=1), torch.full((3,), scale), rtol=1e-6)
    assert torch.allclose(y_BD[0], scale * torch.tensor([0.6, 0.8]))
    assert torch.allclose(y_BD[1], torch.tensor([-scale, 0.0]))


def test_l2_leaves_the_zero_vector_and_its_gradient_finite() -> None:
    x_BD = torch.zeros(1, 3, requires_grad=True)
    y_BD = l2(x_BD, 1.0)
    y_BD.sum().backward()
    assert (y_BD == 0).all()
    assert x_BD.grad is not None
    assert torch.isfinite(x_BD.grad).all()


def test_l2_treats_the_norm_as_a_constant_in_the_gradient() -> None:
    x_BD = torch.tensor([[3.0, 4.0], [0.6, 0.8]], requires_grad=True)
    upstream_BD = torch.tensor([[1.0, 2.0], [3.0, -5.0]])
    (l2(x_BD, 2.0) * upstream_BD).sum().backward()
    assert x_BD.grad is not None
    assert torch.allclose(x_BD.grad, upstream_BD * 2.0 / torch.tensor([[5.0], [1.0]]))


# --- composite ---


def oracle_parts(
    loss: CompositeLoss, embeddings_BD: Tensor, *, overlap: float, class_scale: float
) -> dict[str, float]:
    """triplet and class, by loops in double precision, mean before the log."""
    y: Floats = embeddings_BD.double().numpy()
    labels = LABELS_B.tolist()
    c_n = overlap / 3
    far, near = [], []
    for a in range(len(y)):
        positives = [
            math.dist(y[a], y[b]) for b in range(len(y)) if b != a and labels[b] == labels[a]
        ]
        negatives = [math.dist(y[a], y[b]) for b in range(len(y)) if labels[b] != labels[a]]
        far.append(max(max(positives) / 2 - c_n, 0) / (1 - c_n))
        near.append(max(0.5 - min(negatives) / 2, 0) / 0.5)
    weight = loss.class_layer.weight.detach().double().numpy()
    crosses = []
    for a in range(len(y)):
        logits = weight @ (class_scale * y[a])
        crosses.append(math.log(np.exp(logits - logits[labels[a]]).sum()))
    return {
        "triplet": -math.log(1 - np.mean(far)) - math.log(1 - np.mean(near)),
        "class": float(np.mean(crosses)),
    }


@pytest.mark.parametrize("overlap", [0.0, 0.9])
@pytest.mark.parametrize("class_scale", [1.0, 24.0])
def test_parts_equal_the_loops(overlap: float, class_scale: float) -> None:
    loss = composite(overlap=overlap, class_scale=class_scale)
    found = parts_of(loss, unit_rows(1))
    expected = oracle_parts(loss, unit_rows(1), overlap=overlap, class_scale=class_scale)
    assert found["triplet"] == pytest.approx(expected["triplet"], rel=1e-5)
    assert found["class"] == pytest.approx(expected["class"], rel=1e-5)


@pytest.mark.parametrize(("c_class", "c_distill"), [(0.0, 0.0), (1.0, 0.0), (0.3, 5.0)])
def test_total_is_the_weighted_sum_of_the_parts(c_class: float, c_distill: float) -> None:
    loss = composite(c_class=c_class, c_distill=c_distill)
    parts = parts_of(loss, unit_rows(1), unit_rows(2))
    expected = parts["triplet"] + c_class * parts["class"] + c_distill * parts["distill"]
    assert parts["total"] == pytest.approx(expected, rel=1e-6)


def test_without_targets_there_is_no_distillation_in_the_sum() -> None:
    parts = parts_of(composite(c_distill=5.0), unit_rows(1))
    assert set(parts) == {"total", "triplet", "class"}
    assert parts["total"] == pytest.approx(parts["triplet"] + parts["class"], rel=1e-6)


def test_the_triplet_part_is_linear_in_its_two_coefficients() -> None:
    def triplet(c_pos: float, c_neg: float) -> float:
        return parts_of(composite(c_pos=c_pos, c_neg=c_neg), unit_rows(1))["triplet"]

    positive, negative = triplet(1, 0), triplet(0, 1)
    assert positive > 0
    assert negative > 0
    assert positive != pytest.approx(negative)
    assert triplet(2, 3) == pytest.approx(2 * positive + 3 * negative, rel=1e-6)
    assert triplet(0, 0) == 0


def test_overlap_lets_a_class_fill_its_radius() -> None:
    """Positives are 0.3 apart, 0.15 of d_max: below the radius 0.6 / 3 they cost nothing."""
    angle = 2 * math.asin(0.15)
    pairs_BD = torch.zeros(6, 4)
    for i in range(3):
        pairs_BD[2 * i, i] = 1
        pairs_BD[2 * i + 1, i], pairs_BD[2 * i + 1, 3] = math.cos(angle), math.sin(angle)

    def positives(overlap: float) -> float:
        return parts_of(composite(overlap=overlap, c_neg=0.0), pairs_BD)["triplet"]

    assert positives(0.0) == pytest.approx(-math.log(1 - 0.15), rel=1e-4)
    assert positives(0.6) == 0


def test_reductions_differ() -> None:
    inside = parts_of(composite(reduction="inside_log"), unit_rows(1))["triplet"]
    outside = parts_of(composite(reduction="outside_log"), unit_rows(1))["triplet"]
    assert outside > inside  # Jensen: -log(1 - x) is convex


def test_a_batch_of_one_class_trains_on_the_class_loss_alone() -> None:
    embeddings_BD = unit_rows(1).requires_grad_()
    parts = composite()(embeddings_BD, torch.zeros(6, dtype=torch.int64), None)
    parts["total"].backward()
    assert float(parts["triplet"].detach()) == 0
    assert embeddings_BD.grad is not None
    assert torch.isfinite(embeddings_BD.grad).all()
    assert (embeddings_BD.grad != 0).any()


def test_an_overlap_of_all_classes_is_refused() -> None:
    composite(classes=3, overlap=2.99)
    with pytest.raises(ValueError, match="3 classes"):
        composite(classes=3, overlap=3.0)


@pytest.mark.parametrize("name", ["c_pos", "c_neg", "c_class", "c_distill", "overlap"])
def test_negative_coefficients_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="negative"):
        LossConfig(**{name: -0.1})


@pytest.mark.parametrize("class_scale", [0.0, -1.0, math.nan])
def test_a_class_scale_that_is_none_is_refused(class_scale: float) -> None:
    with pytest.raises(ValueError, match="class_scale"):
        LossConfig(class_scale=class_scale)


# --- distillation ---


def cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_distillation_equals_the_loops() -> None:
    student, teacher = 3 * unit_rows(1), 0.2 * unit_rows(2)
    s: Floats = student.double().numpy()
    t: Floats = teacher.double().numpy()
    points = np.mean([1 - cosine(a, b) for a, b in zip(s, t, strict=True)])
    pairs = np.mean(
        [(cosine(s[i], s[j]) - cosine(t[i], t[j])) ** 2 for i in range(6) for j in range(6)]
    )
    assert float(distillation_loss(student, teacher)) == pytest.approx(points + pairs, rel=1e-5)


def test_a_student_that_follows_in_direction_costs_nothing() -> None:
    assert float(distillation_loss(5 * unit_rows(1), unit_rows(1))) == pytest.approx(0, abs=1e-6)


def test_a_turned_student_keeps_the_pairs_and_pays_for_the_points_alone() -> None:
    turn = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))
    student, teacher = unit_rows(1) @ turn, unit_rows(1)
    points = float((1 - (student * teacher).sum(dim=1)).mean())
    assert float(distillation_loss(student, teacher)) == pytest.approx(points, rel=1e-5)
