"""Golden loss curves: 20 steps of two recipes, made small, in double precision.

A change of the training code that means nothing leaves them as they are; one that means something
writes them anew by `make golden`, and its commit says why. tests/unit/test_training_golden.py
compares.
"""

import json
import sys
from pathlib import Path

from benchmarks.loss_curve import loss_curve
from training.config import TrainConfig, with_settings
from training.recipes import RECIPES

FOLDER = Path(__file__).parents[1] / "tests" / "golden"
STEPS = 20
SETTINGS = {
    "faces-r18": (
        "model.side_px=48", "model.width=8", "model.embedding_size=32", "batch.identities=8",
        "split.holdout_share=0.2", "precision=float64", "optimizer.learning_rate=1e-4",
    ),
    "mnist": (
        "model.width=8", "model.embedding_size=32", "batch.identities=8", "batch.images_each=4",
        "precision=float64", "optimizer.learning_rate=2e-4",
    ),
}  # fmt: skip


def config(recipe: str) -> TrainConfig:
    """A recipe in a size that takes seconds."""
    return with_settings(RECIPES[recipe](), SETTINGS[recipe])


def main() -> int:
    """Write the curves anew."""
    FOLDER.mkdir(exist_ok=True)
    for recipe in SETTINGS:
        curve = [round(loss, 6) for loss in loss_curve(config(recipe), steps=STEPS)]
        path = FOLDER / f"{recipe}.json"
        path.write_text(json.dumps(curve, indent=1) + "\n", encoding="utf-8")
        print(f"{path.name}: {curve[0]} to {curve[-1]} in {len(curve)} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
