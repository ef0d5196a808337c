"""The composite loss and distillation against loops in double precision."""

import math
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from contract.similarity import Space
from training.losses.composite import CompositeLoss, LossOutput
from training.losses.config import (
    CentreConfig,
    ExponentialConfig,
    LossConfig,
    MiningConfig,
    StandardConfig,
)
from training.losses.distillation import distillation_loss
from training.spaces import to_space

CHECKED = settings(derandomize=True, database=None, max_examples=60, deadline=None)
LABELS_B = torch.tensor([0, 0, 1, 1, 2, 2])
# The rows of the paper's table: metric, c_class, c_centre.
PAPER_ROWS = [
    (metric, c_class, c_centre)
    for metric in ("standard", "exponential")
    for c_class, c_centre in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
]

Floats = npt.NDArray[np.float64]


def unit_rows(seed: int, size: int = 4) -> Tensor:
    rows_BD = torch.randn(len(LABELS_B), size, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows_BD, dim=1)


def composite(
    classes: int = 3, space: Space = "l2", d_max: float = 2.0, **config: Any
) -> CompositeLoss:
    torch.manual_seed(0)
    return CompositeLoss(
        LossConfig(**config),
        embedding_size=4,
        classes=classes,
        space=space,
        scale=1.0,
        d_max=d_max,
        batch_size=6,
    )


def values_of(output: LossOutput) -> dict[str, float]:
    parts = {"total": output.total, **output.parts}
    return {part: float(value.detach()) for part, value in parts.items()}


def parts_of(
    loss: CompositeLoss, embeddings_BD: Tensor, targets_BD: Tensor | None = None
) -> dict[str, float]:
    return values_of(loss(embeddings_BD, LABELS_B, targets_BD))


# --- all rows of the paper ---


def slow_log(shares: list[float]) -> float:
    """Mean before the log, with our bound."""
    return -math.log(1 - min(sum(shares) / len(shares), 1 - 1e-6)) if shares else 0.0


def slow_metric(y: Floats, labels: list[int], metric: str, c_n: float, d_max: float) -> float:
    far, near, hinges = [], [], []
    rows = range(len(y))
    for a in rows:
        same = [math.dist(y[a], y[b]) for b in rows if b != a and labels[b] == labels[a]]
        other = [math.dist(y[a], y[b]) for b in rows if labels[b] != labels[a]]
        if same and other:
            far.append(max(max(same) / d_max - c_n, 0) / (1 - c_n))
            near.append(max(0.5 - min(other) / d_max, 0) / 0.5)
            hinges.append(max(max(same) ** 2 - min(other) ** 2 + 0.2, 0))
    if metric == "standard":
        return sum(hinges) / len(hinges) if hinges else 0.0
    return slow_log(far) + slow_log(near)


def slow_centre(y: Floats, labels: list[int], c_n: float, d_max: float) -> float:
    """On the first batch the centres are its means."""
    shares = []
    for a in range(len(y)):
        centre = np.mean([y[b] for b in range(len(y)) if labels[b] == labels[a]], axis=0)
        shares.append(max(math.dist(y[a], centre) / d_max - c_n / 2, 0) / (1 - c_n / 2))
    return slow_log(shares)


def slow_class(loss: CompositeLoss, y: Floats, labels: list[int], class_scale: float) -> float:
    layer = cast(torch.nn.Linear, loss.class_layer)
    weight = layer.weight.detach().double().numpy()
    crosses = []
    for a in range(len(y)):
        logits = weight @ (class_scale * y[a])
        crosses.append(math.log(np.exp(logits - logits[labels[a]]).sum()))
    return float(np.mean(crosses))


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[list[float]], list[int]]:
    """Whole numbers make duplicates and zero vectors; of one class, of all, or of one each."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = int(rng.choice([1, 2, 3, 6, 8, 9]))
    labels = draw(
        st.one_of(
            st.sampled_from([[1] * count, [0, 1, 2][:count]]),
            *[st.just(rng.integers(0, classes, count).tolist()) for classes in (2, 3, 3)],
        )
    )
    shape = (len(labels), 4)
    points = draw(
        st.sampled_from([rng.standard_normal(shape), rng.integers(-1, 2, shape).astype(float)])
    )
    return points.tolist(), labels


@pytest.mark.parametrize(("metric", "c_class", "c_centre"), PAPER_ROWS)
@CHECKED
@given(
    batch=batches(),
    space=st.sampled_from(["l2", "unit_range", "unit_bounce", "bounce_limit", "none"]),
    overlap=st.sampled_from([0.0, 0.9]),
)
def test_every_row_of_the_paper_is_the_sum_of_its_parts(
    metric: str,
    c_class: float,
    c_centre: float,
    batch: tuple[list[list[float]], list[int]],
    space: Any,
    overlap: float,
) -> None:
    """By configuration alone, from raw network output, zero vectors and duplicates included."""
    points, labels = batch
    d_max = 12.0 if space == "none" else 2.0
    loss = composite(
        space=space,
        d_max=d_max,
        metric=metric,
        c_class=c_class,
        c_centre=c_centre,
        overlap=overlap,
    ).double()
    raw_BD = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    embeddings_BD = to_space(raw_BD, space, 1.0)
    output = loss(embeddings_BD, torch.tensor(labels))
    y: Floats = embeddings_BD.detach().numpy()
    c_n = overlap / 3
    expected = {"metric": slow_metric(y, labels, metric, c_n, d_max)}
    if c_centre:
        expected["centre"] = slow_centre(y, labels, c_n, d_max)
    if c_class:
        expected["class"] = slow_class(loss, y, labels, 24.0)
    found = values_of(output)
    assert found == pytest.approx(
        {"total": sum(expected.values()), **expected}, rel=1e-6, abs=1e-12
    )
    output.total.backward()
    assert raw_BD.grad is not None
    assert torch.isfinite(raw_BD.grad).all()


# --- options ---


@pytest.mark.parametrize("class_scale", [1.0, 24.0])
def test_class_scale_multiplies_the_embedding(class_scale: float) -> None:
    loss = composite(class_scale=class_scale)
    y: Floats = unit_rows(1).double().numpy()
    expected = slow_class(loss, y, LABELS_B.tolist(), class_scale)
    assert parts_of(loss, unit_rows(1))["class"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("c_class", "c_distill", "c_centre"), [(0.0, 0.0, 0.0), (1.0, 0.0, 2.0), (0.3, 5.0, 0.1)]
)
def test_total_is_the_weighted_sum_of_the_parts(
    c_class: float, c_distill: float, c_centre: float
) -> None:
    loss = composite(c_class=c_class, c_distill=c_distill, c_centre=c_centre)
    parts = parts_of(loss, unit_rows(1), unit_rows(2))
    weights = {"metric": 1.0, "class": c_class, "distill": c_distill, "centre": c_centre}
    assert set(parts) == {"total", *(part for part, weight in weights.items() if weight)}
    total = sum(weight * parts[part] for part, weight in weights.items() if weight)
    assert parts["total"] == pytest.approx(total, rel=1e-6)


def test_without_targets_there_is_no_distillation_in_the_sum() -> None:
    parts = parts_of(composite(c_distill=5.0), unit_rows(1))
    assert set(parts) == {"total", "metric", "class"}
    assert parts["total"] == pytest.approx(parts["metric"] + parts["class"], rel=1e-6)


def test_the_metric_may_be_left_out() -> None:
    output = composite(metric="none")(unit_rows(1), LABELS_B)
    assert set(output.parts) == {"class"}
    assert len(output.positive_A) == len(output.negative_A) == 0


def test_the_exponential_part_is_linear_in_its_two_coefficients() -> None:
    def metric(c_pos: float, c_neg: float) -> float:
        exponential = ExponentialConfig(c_pos=c_pos, c_neg=c_neg)
        return parts_of(composite(exponential=exponential), unit_rows(1))["metric"]

    positive, negative = metric(1, 0), metric(0, 1)
    assert positive > 0
    assert negative > 0
    assert positive != pytest.approx(negative)
    assert metric(2, 3) == pytest.approx(2 * positive + 3 * negative, rel=1e-6)
    assert metric(0, 0) == 0


def test_overlap_lets_a_class_fill_its_radius() -> None:
    """Positives are 0.3 apart, 0.15 of d_max: below the radius 0.6 / 3 they cost nothing."""
    angle = 2 * math.asin(0.15)
    pairs_BD = torch.zeros(6, 4)
    for i in range(3):
        pairs_BD[2 * i, i] = 1
        pairs_BD[2 * i + 1, i], pairs_BD[2 * i + 1, 3] = math.cos(angle), math.sin(angle)

    def positives(overlap: float) -> float:
        loss = composite(overlap=overlap, exponential=ExponentialConfig(c_neg=0.0))
        return parts_of(loss, pairs_BD)["metric"]

    assert positives(0.0) == pytest.approx(-math.log(1 - 0.15), rel=1e-4)
    assert positives(0.6) == 0


def test_reductions_differ() -> None:
    def loss(reduction: Any) -> dict[str, float]:
        config = ExponentialConfig(reduction=reduction)
        return parts_of(composite(exponential=config, c_centre=1.0), unit_rows(1))

    inside, outside = loss("inside_log"), loss("outside_log")
    for part in ("metric", "centre"):  # Jensen: -log(1 - x) is convex
        assert outside[part] > inside[part]


@pytest.mark.parametrize("keep", ["none", "hard", "semi_hard"])
def test_filters_reach_the_mined_triplets(keep: Any) -> None:
    """Hardest pairs are seldom semi-hard, and all of them violate a margin of 4."""
    loss = composite(metric="standard", standard=StandardConfig(margin=4.0, keep=keep))
    output = loss(unit_rows(1), LABELS_B)
    hinges = [
        4 + (2 * p) ** 2 - (2 * n) ** 2
        for p, n in zip(output.positive_A.tolist(), output.negative_A.tolist(), strict=True)
        if keep != "semi_hard" or p < n
    ]
    expected = sum(hinges) / len(hinges) if hinges else 0.0
    assert float(output.parts["metric"].detach()) == pytest.approx(expected, rel=1e-5)


SHARE = {
    "euclidean": lambda d, cos: d / 2,
    "squared_euclidean": lambda d, cos: d**2 / 4,
    "cosine": lambda d, cos: (1 - cos) / 2,
}


@pytest.mark.parametrize("pairs", ["hardest", "all"])
@pytest.mark.parametrize("distance", sorted(SHARE))
def test_each_distance_is_normalised_by_its_largest(distance: Any, pairs: Any) -> None:
    """In the ball, where cosine and Euclidean order pairs differently."""
    lengths_B1 = torch.tensor([0.2, 1.0, 0.5, 0.9, 0.1, 0.7])[:, None]
    embeddings_BD = (unit_rows(3) * lengths_B1).double()
    loss = composite(
        space="unit_range", c_class=0.0, mining=MiningConfig(distance=distance, pairs=pairs)
    )
    y: Floats = embeddings_BD.numpy()
    far, near, shown_far, shown_near = [], [], [], []
    for a in range(6):
        shares = [
            (SHARE[distance](math.dist(y[a], y[b]), cosine(y[a], y[b])), math.dist(y[a], y[b]) / 2)
            for b in range(6)
        ]
        same = [shares[b] for b in range(6) if b != a and LABELS_B[b] == LABELS_B[a]]
        other = [shares[b] for b in range(6) if LABELS_B[b] != LABELS_B[a]]
        if pairs == "hardest":
            same, other = [max(same)], [min(other)]
        far += [share for share, _ in same]
        near += [max(0.5 - share, 0) / 0.5 for share, _ in other]
        shown_far += [euclidean for _, euclidean in same]
        shown_near += [euclidean for _, euclidean in other]
    output = loss(embeddings_BD, LABELS_B)
    assert float(output.total.detach()) == pytest.approx(slow_log(far) + slow_log(near), rel=1e-6)
    # For the histograms always Euclidean.
    assert output.positive_A.tolist() == pytest.approx(shown_far, rel=1e-6)
    assert output.negative_A.tolist() == pytest.approx(shown_near, rel=1e-6)
    assert not output.positive_A.requires_grad


def test_in_the_unbounded_space_embeddings_may_outgrow_d_max() -> None:
    loss = composite(space="none", d_max=1.0, c_class=0.0, c_centre=1.0)
    embeddings_BD = (100 * unit_rows(1)).requires_grad_()
    output = loss(embeddings_BD, LABELS_B)
    output.total.backward()
    assert float(output.positive_A.max()) > 1
    assert torch.isfinite(output.total)
    assert embeddings_BD.grad is not None
    assert torch.isfinite(embeddings_BD.grad).all()
    assert (embeddings_BD.grad != 0).any(dim=1).all()


def test_a_batch_of_one_class_trains_on_the_class_loss_alone() -> None:
    embeddings_BD = unit_rows(1).requires_grad_()
    output = composite()(embeddings_BD, torch.zeros(6, dtype=torch.int64))
    output.total.backward()
    assert float(output.parts["metric"].detach()) == 0
    assert embeddings_BD.grad is not None
    assert torch.isfinite(embeddings_BD.grad).all()
    assert (embeddings_BD.grad != 0).any()


@pytest.mark.parametrize("pairs", ["hardest", "all"])
@pytest.mark.parametrize("metric", ["exponential", "standard"])
def test_no_samples_give_a_differentiable_zero(metric: Any, pairs: Any) -> None:
    loss = composite(metric=metric, c_centre=1.0, mining=MiningConfig(pairs=pairs))
    embeddings_BD = torch.empty(0, 4, requires_grad=True)
    output = loss(embeddings_BD, torch.empty(0, dtype=torch.int64))
    output.total.backward()
    assert float(output.total.detach()) == 0


@pytest.mark.parametrize("pairs", ["hardest", "all"])
@pytest.mark.parametrize("metric", ["exponential", "standard"])
def test_autocast_changes_nothing(metric: Any, pairs: Any) -> None:
    def run(enabled: bool) -> tuple[LossOutput, Tensor]:
        loss = composite(metric=metric, c_centre=1.0, c_distill=1.0, mining=mining)
        embeddings_BD = unit_rows(1).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            output = loss(embeddings_BD, LABELS_B, unit_rows(2))
        output.total.backward()
        assert embeddings_BD.grad is not None
        return output, embeddings_BD.grad

    mining = MiningConfig(pairs=pairs)
    plain, plain_gradient = run(False)
    cast_output, cast_gradient = run(True)
    assert values_of(cast_output) == values_of(plain)
    assert torch.equal(cast_gradient, plain_gradient)


def test_what_is_no_number_is_no_number_in_the_loss() -> None:
    """So that the trainer stops."""
    for value in (math.nan, math.inf):
        embeddings_BD = unit_rows(1)
        embeddings_BD[2, 1] = value
        embeddings_BD.requires_grad_()
        output = composite(c_class=0.0)(embeddings_BD, LABELS_B)
        output.total.backward()
        assert embeddings_BD.grad is not None
        finite = torch.isfinite(output.total) and torch.isfinite(embeddings_BD.grad).all()
        assert not finite, value


# --- refusals ---


def test_an_overlap_of_all_classes_is_refused() -> None:
    composite(classes=3, overlap=2.99)
    with pytest.raises(ValueError, match="3 classes"):
        composite(classes=3, overlap=3.0)


@pytest.mark.parametrize(("space", "d_max"), [("l2", 1.0), ("none", 0.0), ("none", math.inf)])
def test_a_largest_distance_that_is_none_is_refused(space: Any, d_max: float) -> None:
    with pytest.raises(ValueError, match="d_max"):
        composite(space=space, d_max=d_max)


def test_the_standard_loss_on_cosines_is_refused() -> None:
    composite(metric="standard", mining=MiningConfig(distance="squared_euclidean"))
    with pytest.raises(ValueError, match=r"mining\.distance"):
        composite(metric="standard", mining=MiningConfig(distance="cosine"))


@pytest.mark.parametrize("name", ["c_centre", "c_class", "c_distill", "overlap"])
def test_negative_coefficients_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="negative"):
        LossConfig(**cast(Any, {name: -0.1}))


@pytest.mark.parametrize("class_scale", [0.0, -1.0, math.nan])
def test_a_class_scale_that_is_none_is_refused(class_scale: float) -> None:
    with pytest.raises(ValueError, match="class_scale"):
        LossConfig(class_scale=class_scale)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, math.nan])
def test_a_momentum_that_is_no_share_is_refused(momentum: float) -> None:
    with pytest.raises(ValueError, match="momentum"):
        LossConfig(centre=CentreConfig(momentum=momentum))


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
