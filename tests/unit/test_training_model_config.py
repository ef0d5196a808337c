"""Configs of networks that mean nothing are refused in words; which heads are kept."""

import re
from dataclasses import replace
from typing import Any

import pytest

from training.models.config import ModelConfig

VGGFACE2 = ModelConfig(
    backbone="inception_resnet_v1", pretrained="vggface2", embedding_size=512, pool="average"
)
WHOLE_SFACE: dict[str, Any] = {"backbone": "sface", "pretrained": "sface"}
WHOLE_DLIB: dict[str, Any] = {
    "backbone": "dlib_resnet", "pretrained": "dlib", "keep_statistics": True,
}  # fmt: skip
IMAGENET_MOBILENET: dict[str, Any] = {"backbone": "mobilenet_v2", "pretrained": "imagenet"}
SFACE, DLIB = ModelConfig(**WHOLE_SFACE), ModelConfig(**WHOLE_DLIB)
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown backbone": ({"backbone": "vgg16"}, "backbone must be one of resnet18"),
    "unknown init": ({"init": "zeros"}, "init must be one of"),
    "width of densenet161": ({"backbone": "densenet161", "width": 32}, "Leave width at 64"),
    "width of inception": (
        {"backbone": "inception_resnet_v1", "width": 32}, "Leave width at 64, inception_resnet_v1"),
    "no width": ({"width": 0}, "width must be at least 1"),
    "stem of densenet161": (
        {"backbone": "densenet161", "stem": "imagenet"}, "Leave stem at 'small', densenet161"),
    "stride of the imagenet stem": (
        {"stem": "imagenet", "stem_stride": 4}, "the stem 'imagenet' always has a stride of 4"),
    "stride of 3": ({"stem_stride": 3}, "stem_stride must be 1, 2 or 4"),
    "vggface2 for resnet18": (
        {"pretrained": "vggface2"}, "no weights 'vggface2' for resnet18: pretrained must be none or"
        " imagenet"),
    "imagenet for inception": (
        {"backbone": "inception_resnet_v1", "pretrained": "imagenet"}, "none or vggface2"),
    "pretrained of another width": (
        {"pretrained": "imagenet", "width": 32}, "the weights of imagenet have 64 channels"),
    "sface for resnet18": (
        {"pretrained": "sface"}, "no weights 'sface' for resnet18: pretrained must be none or"),
    "imagenet for sface": (
        {"backbone": "sface", "pretrained": "imagenet"}, "for sface: pretrained must be none or"),
    "sface for dlib's": (
        {"backbone": "dlib_resnet", "pretrained": "sface"}, "pretrained must be none or dlib."),
    "vggface2 for mobilenet_v2": (
        {"backbone": "mobilenet_v2", "pretrained": "vggface2"}, "must be none or imagenet."),
    "width of mobilenet_v2": (
        {"backbone": "mobilenet_v2", "width": 32}, "Leave width at 64, mobilenet_v2 has one form"),
    "frozen blocks of resnet18": (
        {"pretrained": "imagenet", "frozen_blocks": 3}, "Leave frozen_blocks at 0, only mobilenet"),
    "frozen blocks without weights": (
        {"backbone": "mobilenet_v2", "frozen_blocks": 3}, "Leave frozen_blocks at 0, only mobile"),
    "nothing left to train": (
        {**IMAGENET_MOBILENET, "frozen_blocks": 19}, "frozen_blocks must be in 0..18, not 19."),
    "fewer than no frozen blocks": (
        {**IMAGENET_MOBILENET, "frozen_blocks": -1}, "frozen_blocks must be in 0..18, not -1."),
    "frozen blocks, four views": (
        {**IMAGENET_MOBILENET, "frozen_blocks": 3, "views": "four"},
        "views must be one or mirrored with frozen_blocks"),
    "stem of sface": (
        {"backbone": "sface", "stem": "imagenet"}, "Leave stem at 'small', sface has one form"),
    "stride of dlib_resnet": (
        {"backbone": "dlib_resnet", "stem_stride": 4}, "Leave stem_stride at 2, dlib_resnet has"),
    "another crop for sface": (
        {**WHOLE_SFACE, "side_px": 96}, "Leave side_px at 112, sface looks at faces at the five"),
    "another crop for dlib": (
        {**WHOLE_DLIB, "side_px": 150}, "Leave side_px at 112, dlib looks at faces at the five"),
    "another size of sface": (
        {**WHOLE_SFACE, "embedding_size": 64}, "Leave embedding_size at 128, SFace's own head"),
    "average in sface's head": (
        {**WHOLE_SFACE, "pool": "average"},
        "pool must be places with pretrained 'sface' and embedding_size 128: its own head"),
    "maxout in sface's head": (
        {**WHOLE_SFACE, "maxout": 2}, "Leave maxout at 1, the head of pretrained 'sface' is kept"),
    "init of sface's head": (
        {**WHOLE_SFACE, "init": "normal"}, "Leave init at 'xavier_uniform', the head of pretrai"),
    "statistics of each batch for dlib": (
        {**WHOLE_DLIB, "keep_statistics": False}, "keep_statistics must be true with pretrained"),
    "statistics of nothing": (
        {"keep_statistics": True}, "Leave keep_statistics at False, there are no pretrained"),
    "statistics behind a fresh stem": (
        {"pretrained": "imagenet", "keep_statistics": True},
        "Leave keep_statistics at False, the stem 'small' is fresh"),
    "small crops for dlib_resnet": (
        {"backbone": "dlib_resnet", "side_px": 54}, "side_px of dlib_resnet must be in 55..1024"),
    "tiny crops for sface": ({"backbone": "sface", "side_px": 7}, "of sface must be in 8..1024"),
    "small crops for densenet161": (
        {"backbone": "densenet161", "side_px": 28}, "side_px of densenet161 must be in 29..1024"),
    "small crops for inception": (
        {"backbone": "inception_resnet_v1", "side_px": 74}, "must be in 75..1024, not 74"),
    "tiny crops": ({"side_px": 7}, "side_px of resnet18 must be in 8..1024"),
    "large crops": ({"side_px": 1025}, "not 1025"),
    "crops larger than vggface2's": ({"own": True, "side_px": 161}, "side_px must be at most 160"),
    "places in vggface2's head": ({"own": True, "pool": "places"}, "pool must be average"),
    "maxout in vggface2's head": ({"own": True, "maxout": 2}, "Leave maxout at 1, the head of"),
    "init of vggface2's head": ({"own": True, "init": "normal"}, "Leave init at 'xavier_uniform'"),
    "one number": ({"embedding_size": 1}, "embedding_size must be in 2..4096, not 1"),
    "too many numbers": ({"embedding_size": 4097}, "not 4097"),
    "no piece": ({"maxout": 0}, "maxout must be at least 1"),
    "all dropped": ({"dropout": 1.0}, "dropout must be in"),
    "no radius": ({"scale": 0.0}, "scale must be positive"),
    "unbounded l2": ({"unbounded_d_max": 2.0}, "0 for every other"),
    "none without a distance": ({"space": "none"}, "unbounded_d_max"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "words"), REFUSED.values(), ids=list(REFUSED))
def test_a_config_that_makes_no_sense_is_refused_in_words(
    values: dict[str, Any], words: str
) -> None:
    start = VGGFACE2 if "own" in values else ModelConfig()
    changes = {name: value for name, value in values.items() if name != "own"}
    with pytest.raises(ValueError, match=re.escape(words)):
        replace(start, **changes)


def test_another_size_takes_a_new_head_on_the_pretrained_backbone() -> None:
    config = replace(VGGFACE2, embedding_size=64, pool="places", maxout=2, init="normal")
    assert not config.has_own_head
    assert VGGFACE2.has_own_head


def test_sfaces_head_is_kept_and_dlibs_is_new() -> None:
    assert SFACE.has_own_head
    assert replace(SFACE, keep_statistics=True).has_own_head
    assert not ModelConfig(backbone="sface").has_own_head
    assert not DLIB.has_own_head
    assert not replace(DLIB, embedding_size=512, pool="average", maxout=2).has_own_head
