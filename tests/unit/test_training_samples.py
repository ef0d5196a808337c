"""Identities in six channel orders, against plain loops."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from training.data.augment_config import AugmentConfig
from training.data.samples import Samples
from training.losses.config import LossConfig
from training.recipes import RECIPES

pytestmark = pytest.mark.usefixtures("one_thread")
LABELS = np.array([7, 3, 3, 9, 7])


def test_without_orders_a_sample_is_an_image() -> None:
    samples = Samples(LABELS, orders=False)
    assert samples.classes == 3
    assert samples.labels_M.tolist() == [1, 0, 0, 2, 1]
    assert samples.rows(np.array([4, 0])).tolist() == [4, 0]
    images = torch.arange(2 * 2 * 2 * 3, dtype=torch.uint8).reshape(2, 2, 2, 3)
    assert samples.reordered(images, np.array([4, 0])) is images


def test_with_orders_each_identity_is_six_and_no_two_orders_share_one() -> None:
    samples = Samples(LABELS, orders=True)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 4, 3, 3), dtype=np.uint8)
    assert samples.classes == 18
    assert len(samples.labels_M) == 30
    assert samples.labels_M[:5].tolist() == [1, 0, 0, 2, 1]  # RGB itself
    named: dict[int, tuple[int, tuple[int, ...]]] = {}
    everything = np.arange(30)
    rows = samples.rows(everything)
    shown = samples.reordered(torch.from_numpy(pictures[rows]), everything).numpy()
    for sample in everything:
        order = tuple(permutations(range(3)))[sample // 5]
        image = sample % 5
        assert rows[sample] == image
        expected = np.stack([pictures[image][..., channel] for channel in order], axis=-1)
        assert np.array_equal(shown[sample], expected)
        # One class for one identity in one order, and no other.
        who = (int(LABELS[image]), order)
        assert named.setdefault(int(samples.labels_M[sample]), who) == who
    assert len(set(named.values())) == 18


def test_a_teacher_has_not_seen_such_identities() -> None:
    config = RECIPES["mnist"]()
    with pytest.raises(ValueError, match="channel_orders"):
        replace(config, augment=AugmentConfig(channel_orders=True), loss=LossConfig(c_distill=1.0))
