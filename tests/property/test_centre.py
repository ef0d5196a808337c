"""The centre loss and its moving centres against dictionaries of lists."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.losses.centre import CentreLoss
from training.losses.config import CentreConfig

CHECKED = settings(derandomize=True, database=None, max_examples=100, deadline=None)
SIZE, CLASSES, D_MAX = 3, 4, 2.0
FORMS = st.sampled_from(["exponential", "hinge"])
REDUCTIONS = st.sampled_from(["inside_log", "outside_log"])
POINTS = st.lists(
    st.one_of(st.sampled_from([0.0, 0.5, -1.0]), st.floats(-1, 1)), min_size=SIZE, max_size=SIZE
)
BATCHES = st.lists(st.tuples(st.integers(0, CLASSES - 1), POINTS), min_size=1, max_size=6)


class SlowCentres:
    """The loss and its centres, one sample at a time."""

    def __init__(self, config: CentreConfig, c_n: float, reduction: str) -> None:
        self.config, self.c_n, self.reduction = config, c_n, reduction
        self.centres: dict[int, list[float]] = {}
        self.epoch: dict[int, list[list[float]]] = {}

    def loss(self, batch: list[tuple[int, list[float]]]) -> float:
        of_class: dict[int, list[list[float]]] = {}
        for label, point in batch:
            of_class.setdefault(label, []).append(point)
        means = {k: [sum(c) / len(c) for c in zip(*v, strict=True)] for k, v in of_class.items()}
        for label, mean in means.items():
            self.centres.setdefault(label, mean)
        loss = self._of([math.dist(point, self.centres[label]) for label, point in batch])
        for label, mean in means.items():
            self.epoch.setdefault(label, []).extend(of_class[label])
            if not self.config.each_epoch:
                m = self.config.momentum
                old = self.centres[label]
                self.centres[label] = [m * a + (1 - m) * b for a, b in zip(old, mean, strict=True)]
        return loss

    def _of(self, distances: list[float]) -> float:
        if self.config.form == "hinge":
            c_d = self.c_n * D_MAX**2
            return sum(max(d**2 - c_d / 2, 0) for d in distances) / len(distances)
        radius = self.c_n / 2
        shares = [max(d / D_MAX - radius, 0) / (1 - radius) for d in distances]
        if self.reduction == "inside_log":
            shares = [sum(shares) / len(shares)]
        return sum(-math.log(1 - min(s, 1 - 1e-6)) for s in shares) / len(shares)

    def end_epoch(self) -> None:
        if self.config.each_epoch:
            for label, points in self.epoch.items():
                self.centres[label] = [sum(c) / len(c) for c in zip(*points, strict=True)]
        self.epoch = {}


def centre_loss(config: CentreConfig, c_n: float, reduction: Any = "inside_log") -> CentreLoss:
    loss = CentreLoss(
        config,
        embedding_size=SIZE,
        classes=CLASSES,
        class_radius=c_n,
        d_max=D_MAX,
        reduction=reduction,
    )
    return loss.double()


def tensors(batch: list[tuple[int, list[float]]]) -> tuple[Tensor, Tensor]:
    points_BD = torch.tensor([p for _, p in batch], dtype=torch.float64, requires_grad=True)
    return points_BD, torch.tensor([k for k, _ in batch])


@CHECKED
@given(
    epochs=st.lists(st.lists(BATCHES, max_size=3), min_size=1, max_size=3),
    form=FORMS,
    reduction=REDUCTIONS,
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    each_epoch=st.booleans(),
    c_n=st.sampled_from([0.0, 0.1, 0.9]),
)
def test_losses_and_centres_equal_the_loops(
    epochs: list[list[list[tuple[int, list[float]]]]],
    form: Any,
    reduction: str,
    momentum: float,
    each_epoch: bool,
    c_n: float,
) -> None:
    config = CentreConfig(form=form, momentum=momentum, each_epoch=each_epoch)
    fast, slow = centre_loss(config, c_n, reduction), SlowCentres(config, c_n, reduction)
    for batches in epochs:
        for batch in batches:
            points_BD, labels_B = tensors(batch)
            loss = fast(points_BD, labels_B)
            loss.backward()
            assert float(loss.detach()) == pytest.approx(slow.loss(batch), rel=1e-6, abs=1e-12)
            assert points_BD.grad is not None
            assert torch.isfinite(points_BD.grad).all()
        fast.end_epoch()
        slow.end_epoch()
        for label in range(CLASSES):
            expected = slow.centres.get(label, [0.0] * SIZE)
            assert fast.centres_KD[label].tolist() == pytest.approx(expected, abs=1e-12)
            assert bool(fast.seen_K[label]) == (label in slow.centres)


@pytest.mark.parametrize("form", ["exponential", "hinge"])
@pytest.mark.parametrize("reduction", ["inside_log", "outside_log"])
def test_gradient_is_that_of_fixed_centres(form: Any, reduction: str) -> None:
    """Finite differences would follow the moving centres, were they not in evaluation mode."""
    loss = centre_loss(CentreConfig(form=form), 0.1, reduction)
    generator = torch.Generator().manual_seed(0)
    labels_B = torch.tensor([0, 0, 1, 3])
    # Short enough to stay within d_max of their centres.
    first_BD, points_BD = 0.2 * torch.randn(2, 4, SIZE, generator=generator, dtype=torch.float64)
    points_BD.requires_grad_()
    loss(first_BD, labels_B)
    loss.eval()
    assert torch.autograd.gradcheck(lambda x: loss(x, labels_B), (points_BD,))
    evaluated = torch.autograd.grad(loss(points_BD, labels_B), points_BD)[0]
    trained = torch.autograd.grad(loss.train()(points_BD, labels_B), points_BD)[0]
    assert torch.equal(trained, evaluated)


def test_evaluation_moves_nothing() -> None:
    loss = centre_loss(CentreConfig(each_epoch=True), 0.0).eval()
    points_BD, labels_B = tensors([(0, [1.0, 0.0, 0.0]), (0, [0.0, 1.0, 0.0])])
    # Not seen before: the mean of the batch, without keeping it.
    half_diagonal = math.sqrt(0.5) / 2
    assert float(loss(points_BD, labels_B).detach()) == pytest.approx(-math.log(1 - half_diagonal))
    assert all((value == 0).all() for value in loss.state_dict().values())


def test_state_resumes_in_the_middle_of_an_epoch() -> None:
    config = CentreConfig(each_epoch=True)
    one, again = centre_loss(config, 0.0), centre_loss(config, 0.0)
    one(*tensors([(0, [1.0, 0.0, 0.0]), (1, [0.0, 1.0, 0.0])]))
    again.load_state_dict(one.state_dict())
    for loss in (one, again):
        loss(*tensors([(0, [0.0, 0.5, 0.0])]))
        loss.end_epoch()
    for name, value in one.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert one.centres_KD[0].tolist() == [0.5, 0.25, 0.0]


def test_no_samples_give_a_differentiable_zero() -> None:
    points_BD = torch.empty(0, SIZE, requires_grad=True)
    loss = centre_loss(CentreConfig(), 0.0)(points_BD, torch.empty(0, dtype=torch.int64))
    loss.backward()
    assert float(loss.detach()) == 0


@pytest.mark.parametrize("c_n", [-0.1, 1.0, math.nan])
def test_a_class_radius_that_is_no_share_is_refused(c_n: float) -> None:
    with pytest.raises(ValueError, match="lower the overlap"):
        centre_loss(CentreConfig(), c_n)


def test_under_autocast_centres_are_exact() -> None:
    """Means through bfloat16 would be off in the third digit."""
    loss = centre_loss(CentreConfig(), 0.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss(torch.full((3, SIZE), 1.001), torch.zeros(3, dtype=torch.int64))
    assert loss.centres_KD[0].tolist() == pytest.approx([1.001] * SIZE, rel=1e-6)
