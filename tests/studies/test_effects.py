"""The effects of directions, on a generator whose answer is known."""

import math

import pytest
import torch
from torch import nn

from gan_lib import UserError, latent
from gan_lib.studies import effects
from tests.test_latent import PLANTED, brightness, contrast, planted_sampler


def test_effects_are_in_standard_deviations_and_compared_with_random_directions():
    sampler = planted_sampler()
    attributes = {"bright": brightness, "sharp": contrast, "both": lambda images: brightness(images) + contrast(images)}
    given = latent.find_directions(sampler, attributes, n=20_000)
    bright, sharp, both = effects.measure(sampler, given, attributes)
    assert [bright.name, sharp.name, both.name] == ["bright", "sharp", "both"]
    assert [bright.own, sharp.own, both.own] == pytest.approx([1, 1, 1], abs=0.06)
    images = sampler.sample(20_000, 5)
    share = brightness(images).std() / attributes["both"](images).std()  # change of both when only brightness grows
    assert bright.leak == pytest.approx(share.item() / math.sqrt(2), abs=0.05)
    units = nn.functional.normalize(torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    expected = (given[0].vector.norm() * (units @ PLANTED).abs().mean()).item()
    assert bright.random == pytest.approx(expected, rel=0.25)
    with pytest.raises(UserError, match="must be named after the attributes, which are: bright, sharp, both"):
        effects.measure(sampler, latent.coordinates(sampler, 1), attributes)
