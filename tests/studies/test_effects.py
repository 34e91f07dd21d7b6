"""The effects of directions, on a generator whose answer is known."""

import math

import pytest
import torch
from torch import nn

from gan_lib import UserError, latent, models
from gan_lib.studies import effects


def brightness(images):
    return images.mean((1, 2, 3))


def contrast(images):
    return images[:, 0, 1].mean(1) - images[:, 0, 0].mean(1)


def test_effects_are_in_standard_deviations_and_compared_with_random_directions():
    planted, stripes = torch.tensor([0.6, 0, -0.8, 0]), torch.ones(28, 28)
    stripes[::2] = -1
    net = nn.Sequential(nn.Linear(4, 784, bias=False), nn.Unflatten(1, (1, 28, 28)))
    net[0].weight.data = 0.1 * planted + 0.05 * stripes.view(784, 1) * torch.tensor([0, 0, 0, 1.0])
    sampler = models.Sampler(net, 4)
    attributes = {"bright": brightness, "sharp": contrast, "both": lambda images: brightness(images) + contrast(images)}
    given = latent.find_directions(sampler, attributes, n=20_000)
    bright, sharp, both = effects.measure(sampler, given, attributes)
    assert [bright.name, sharp.name, both.name] == ["bright", "sharp", "both"]
    assert [bright.own, sharp.own, both.own] == pytest.approx([1, 1, 1], abs=0.06)
    images = sampler.sample(20_000, 5)
    share = brightness(images).std() / attributes["both"](images).std()  # change of both when only brightness grows
    assert bright.leak == pytest.approx(share.item() / math.sqrt(2), abs=0.05)
    units = nn.functional.normalize(torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    expected = (given[0].vector.norm() * (units @ planted).abs().mean()).item()
    assert bright.random == pytest.approx(expected, rel=0.25)
    with pytest.raises(UserError, match="must be named after the attributes, which are: bright, sharp, both"):
        effects.measure(sampler, latent.coordinates(sampler, 1), attributes)
