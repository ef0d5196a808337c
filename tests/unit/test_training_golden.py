"""A refactor of the training code leaves the loss of every batch as it was."""

import json

import pytest

from benchmarks.golden import FOLDER, SETTINGS, STEPS, config
from benchmarks.loss_curve import loss_curve


@pytest.mark.parametrize("recipe", sorted(SETTINGS))
def test_twenty_steps_have_the_committed_losses(recipe: str) -> None:
    golden = json.loads((FOLDER / f"{recipe}.json").read_text(encoding="utf-8"))
    assert len(golden) == STEPS == 20
    assert golden[-1] < 0.9 * golden[0]
    assert loss_curve(config(recipe), steps=STEPS) == pytest.approx(golden, rel=2e-3)
