"""Where the weights of a run come from, in words: its loss, its first weights, its teacher."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from benchmarks.training_pack import wave_pack
from training.config import TrainConfig, with_settings
from training.data.pack import Pack
from training.distill.targets import TeacherError
from training.export.origins import PRETRAINED, loss_in_words, origin_of
from training.losses.config import LossConfig, Metric
from training.models.config import ModelConfig, Pretrained
from training.recipes import RECIPES

PLAIN = TrainConfig(name="plain", epochs=1)
NOTE: dict[str, Any] = {"name": "tutor", "version": "3.2.1", "license": "CC0", "flips": False}


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    return wave_pack(tmp_path / "pack", identities=2, images_each=2, side_px=32)


WORDS = {
    # settings -> what the card says of the loss
    ("c_class=0",): "L_exp (overlap 0)",
    ("overlap=40",): "L_exp (overlap 40) + L_class",
    ("c_centre=1", "c_class=1"): "L_exp (overlap 0) + L_center (exponential) + L_class",
    ("c_centre=0.5", "centre.form=hinge", "c_class=0"): "L_exp (overlap 0) + 0.5 L_center (hinge)",
    ("c_class=0.05", "c_distill=5"): "L_exp (overlap 0) + 0.05 L_class + 5 L_distill",
    ("exponential.c_pos=0.2", "exponential.c_neg=0.2"): "0.2 L_exp (overlap 0) + L_class",
    ("exponential.c_pos=0.5",): "L_exp (overlap 0, c_pos 0.5, c_neg 1) + L_class",
    ("metric=standard",): "L_std (margin 0.2) + L_class",
    ("metric=standard", "standard.keep=semi_hard", "c_class=0"): (
        "L_std (margin 0.2, semi-hard triplets)"
    ),
    ("metric=arcface", "c_class=0"): "ArcFace",
    ("metric=cosface", "c_class=0"): "CosFace",
    ("metric=multi_similarity", "c_class=0"): "multi-similarity",
    ("metric=proxy_anchor", "c_class=0.1"): "proxy anchor + 0.1 L_class",
    ("metric=none",): "L_class",
    ("metric=none", "c_class=0", "c_distill=1"): "L_distill",
}


@pytest.mark.parametrize(("settings", "words"), WORDS.items(), ids=WORDS.values())
def test_the_loss_is_said_as_the_sum_that_it_is(settings: tuple[str, ...], words: str) -> None:
    config = with_settings(PLAIN, [f"loss.{setting}" for setting in settings])
    assert loss_in_words(config.loss) == words


@pytest.mark.parametrize("metric", get_args(Metric))
def test_every_metric_has_words(metric: Metric) -> None:
    assert loss_in_words(LossConfig(metric=metric))


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_every_recipe_has_an_origin(recipe: str, pack: Pack) -> None:
    (pack.root / "teacher.json").write_text(json.dumps(NOTE))
    config = RECIPES[recipe]()
    origin = origin_of(config, pack)
    assert len(origin.starting_points) == (
        (config.model.pretrained != "none") + (config.loss.c_distill > 0)
    )


def test_a_run_from_nothing_has_no_starting_points(pack: Pack) -> None:
    assert origin_of(PLAIN, pack).starting_points == []


def test_all_pretrained_weights_are_told_with_their_licence() -> None:
    assert {"none", *PRETRAINED} == set(get_args(Pretrained))
    assert {point.role for point in PRETRAINED.values()} == {"starting_weights"}
    licences = {name: point.license for name, point in PRETRAINED.items()}
    assert (licences["sface"], licences["dlib"]) == ("Apache-2.0", "public domain (CC0)")
    assert "esearch" in licences["imagenet"]
    assert "esearch use only" in licences["vggface2"]


def test_first_weights_come_before_the_teacher(pack: Pack) -> None:
    (pack.root / "teacher.json").write_text(json.dumps(NOTE))
    model = ModelConfig(pretrained="imagenet")
    config = TrainConfig(name="x", epochs=1, model=model, loss=LossConfig(c_distill=1.0))
    weights, teacher = origin_of(config, pack).starting_points
    assert weights == PRETRAINED["imagenet"]
    assert teacher.model_dump() == {
        "role": "teacher", "name": "tutor 3.2.1", "license": "CC0", "remark": "",
    }  # fmt: skip


def test_targets_of_mirrored_crops_are_remarked(pack: Pack) -> None:
    (pack.root / "teacher.json").write_text(json.dumps(NOTE | {"flips": True}))
    config = TrainConfig(name="x", epochs=1, loss=LossConfig(c_distill=1.0))
    (teacher,) = origin_of(config, pack).starting_points
    assert "mirrored" in teacher.remark


def test_a_pack_that_does_not_say_who_taught_is_refused(pack: Pack) -> None:
    config = TrainConfig(name="x", epochs=1, loss=LossConfig(c_distill=1.0))
    with pytest.raises(TeacherError, match=r"teacher\.json"):
        origin_of(config, pack)
