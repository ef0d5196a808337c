"""The short network: what its fixed first layer and its first weights do."""

import pytest
import torch

from training.models.airbench import Patches, airbench, begin_as_identity
from training.models.config import ModelConfig


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_patches_keep_all_of_a_picture_and_none_of_it_is_trained(stride: int) -> None:
    patches = Patches(stride, grey=False)
    flat = patches.basis.flatten(1)
    assert torch.allclose(flat @ flat.T, torch.eye(12), atol=1e-6)
    assert not list(patches.parameters())


def test_patches_are_normalised_by_what_a_batch_shows() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(64, 3, 16, 16) * torch.tensor([1.0, 0.2, 3.0]).view(1, 3, 1, 1)
    numbers = Patches(2, grey=False).train()(pixels)
    positive, negative = numbers.chunk(2, dim=1)
    whole = positive - negative
    assert (numbers >= 0).all()
    assert torch.allclose(whole.mean((0, 2, 3)), torch.zeros(12), atol=1e-5)
    assert torch.allclose(whole.var((0, 2, 3), unbiased=False), torch.ones(12), atol=1e-3)


def test_grey_pictures_give_finite_numbers() -> None:
    pixels = torch.randn(8, 1, 16, 16).expand(8, 3, 16, 16)
    assert Patches(2, grey=False).train()(pixels).isfinite().all()


def test_grey_patches_are_the_numbers_that_grey_pictures_have() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(64, 1, 16, 16).expand(64, 3, 16, 16)
    of_all = Patches(2, grey=False).train()(pixels)
    varied = of_all.flatten(2).amax((0, 2)) > 1e-3
    of_light = Patches(2, grey=True).train()(pixels)
    assert of_light.shape[1] == 8
    assert torch.allclose(of_light, of_all[:, varied], atol=1e-4)


def test_grey_pictures_make_no_gradient_explode() -> None:
    """Whatever goes in, a normalisation of zeros hands on 316 times the gradient it gets."""
    norms = {}
    for grey in (False, True):
        torch.manual_seed(0)
        backbone = airbench(width=16, stride=1, grey=grey)
        begin_as_identity(backbone)
        pixels = torch.rand(64, 1, 28, 28).expand(64, 3, 28, 28)
        seen = backbone.train()(pixels)
        (seen * torch.randn_like(seen)).mean().backward()
        slopes = [p.grad.norm() for p in backbone.parameters() if p.grad is not None]
        norms[grey] = float(torch.stack(slopes).norm())
    assert norms[True] < norms[False] / 100


def test_other_networks_look_at_all_colours() -> None:
    with pytest.raises(ValueError, match="Leave grey at False"):
        ModelConfig(grey=True)


def test_convolutions_begin_as_the_identity() -> None:
    backbone = airbench(width=32, stride=1, grey=False)
    begin_as_identity(backbone)
    second = backbone[1][4]  # of block 1: 32 to 32 channels
    seen = torch.randn(2, 32, 5, 5)
    assert torch.equal(second(seen), seen)


@pytest.mark.parametrize(("stride", "least"), [(1, 9), (2, 16), (4, 32)])
def test_a_crop_that_is_too_small_is_refused(stride: int, least: int) -> None:
    ModelConfig(backbone="airbench", stem_stride=stride, side_px=least)
    with pytest.raises(ValueError, match="side_px of airbench"):
        ModelConfig(backbone="airbench", stem_stride=stride, side_px=least - 1)


def test_there_are_no_weights_of_others() -> None:
    with pytest.raises(ValueError, match="no weights 'imagenet' for airbench"):
        ModelConfig(backbone="airbench", pretrained="imagenet")
