"""Configs: checked when made, kept by checkpoints, changed by --set in words."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from training.checkpoint import load_checkpoint, save_checkpoint
from training.config import OptimizerConfig, TrainConfig, config_from_dict, with_settings
from training.data.split import SplitConfig
from training.export.specs import embedding_spec
from training.losses.config import CentreConfig, LossConfig, MiningConfig
from training.models.config import ModelConfig
from training.models.embedding_net import EmbeddingNet
from training.recipes import RECIPES

CONFIG = TrainConfig(name="tiny", epochs=2)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_survives_the_checkpoint(name: str, tmp_path: Path) -> None:
    config = RECIPES[name](epochs=3)
    assert (config.name, config.epochs) == (name, 3)
    save_checkpoint(tmp_path, {}, config)
    assert config_from_dict(load_checkpoint(tmp_path)["config"]) == config


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_says_how_long_it_trains_and_what_for(name: str) -> None:
    assert RECIPES[name]().epochs >= 1
    assert RECIPES[name].__doc__


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_has_a_network_for_its_crops(name: str) -> None:
    config = RECIPES[name]().model
    with torch.device("meta"):
        net = EmbeddingNet(config, load_weights=False).eval()
        found = net(torch.zeros(2, config.side_px, config.side_px, 3, dtype=torch.uint8))
    assert found.shape == (2, embedding_spec(config).size)


def test_the_recipes_that_need_a_teacher() -> None:
    taught = {name for name, recipe in RECIPES.items() if recipe().loss.c_distill}
    assert taught == {"faces-r18-half-distilled", "faces-resnet", "faces-sface"}


@pytest.mark.parametrize(
    ("setting", "changed"),
    [("epochs=7", replace(CONFIG, epochs=7)),
     ("seed = 3", replace(CONFIG, seed=3)),
     ("precision=float64", replace(CONFIG, precision="float64")),
     ("loss.overlap=40", replace(CONFIG, loss=LossConfig(overlap=40.0))),
     ("loss.metric=standard", replace(CONFIG, loss=LossConfig(metric="standard"))),
     ("loss.centre.each_epoch=true",
      replace(CONFIG, loss=LossConfig(centre=CentreConfig(each_epoch=True)))),
     ("optimizer.learning_rate=1e-4",
      replace(CONFIG, optimizer=OptimizerConfig(learning_rate=1e-4))),
     ("model.backbone=resnet50", replace(CONFIG, model=ModelConfig(backbone="resnet50")))],
)  # fmt: skip
def test_a_setting_replaces_one_value(setting: str, changed: TrainConfig) -> None:
    assert with_settings(CONFIG, [setting]) == changed


def test_settings_are_taken_together_and_the_last_of_a_field_wins() -> None:
    # A space without a largest distance is refused unless one is stated.
    found = with_settings(
        CONFIG, ["model.space=none", "model.unbounded_d_max=4", "seed=1", "seed=2"]
    )
    assert (found.model.space, found.model.d_max, found.seed) == ("none", 4.0, 2)


@pytest.mark.parametrize(
    ("setting", "words"),
    [("epochs", "field=value"),
     ("epoch=3", r"'epoch' is no field\. There are name, epochs, seed"),
     ("loss=3", "'loss' is no field"),
     ("loss.metrics=standard", r"There are metric, overlap, c_centre"),
     ("los.metric=standard", r"no part 'los'\. There are .*loss\.…"),
     ("seed.x=3", "no part 'seed'"),
     ("epochs=many", r"epochs: Input should be a valid integer"),
     ("epochs=0", "epochs must be at least 1"),
     ("loss.metric=triplet", r"loss\.metric: Input should be 'exponential', 'standard'"),
     ("loss.overlap=-1", "must not be negative"),
     ("optimizer.ema_decay=1", "ema_decay must be in"),
     ("model.space=none", "unbounded_d_max")],
)  # fmt: skip
def test_a_setting_that_does_not_fit_is_refused_in_words(setting: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        with_settings(CONFIG, [setting])


def test_a_config_of_another_version_is_refused() -> None:
    for changed in ({"bf16": True}, {"loss": {**asdict(CONFIG.loss), "c_pos": 1.0}}):
        with pytest.raises(ValueError, match="another version"):
            config_from_dict({**asdict(CONFIG), **changed})
    values = asdict(CONFIG)
    del values["patience_epochs"]
    with pytest.raises(ValueError, match="another version"):
        config_from_dict(values)


@pytest.mark.parametrize(
    ("make", "bad"),
    [(TrainConfig, {"name": "x", "epochs": 0}),
     (TrainConfig, {"name": "x", "epochs": 1, "patience_epochs": -1}),
     (SplitConfig, {"holdout_share": 0.0}), (SplitConfig, {"holdout_share": 1.0}),
     (SplitConfig, {"min_images": 1}),
     (OptimizerConfig, {"learning_rate": 0.0}), (OptimizerConfig, {"momentum": -0.1}),
     (ModelConfig, {"embedding_size": 1}), (ModelConfig, {"stem_stride": 3}),
     (ModelConfig, {"dropout": 1.0}), (ModelConfig, {"scale": 0.0}), (ModelConfig, {"maxout": 0}),
     (ModelConfig, {"space": "none"}), (ModelConfig, {"unbounded_d_max": 2.0}),
     (LossConfig, {"metric": "none", "c_class": 0.0}), (LossConfig, {"class_scale": 0.0}),
     (LossConfig, {"centre": CentreConfig(momentum=1.0)}),
     (LossConfig, {"mining": MiningConfig(memory_batches=-1)})],
)  # fmt: skip
def test_a_config_that_cannot_be_trained_is_refused(make: Any, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|Without a metric"):
        make(**bad)


def test_largest_distances() -> None:
    assert ModelConfig(scale=3.0).d_max == 6.0
    assert ModelConfig(space="unit_bounce").d_max == 2.0
    assert ModelConfig(space="none", unbounded_d_max=5.0).d_max == 5.0
