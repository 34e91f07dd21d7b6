"""GAN inversion by optimisation and by an encoder, on generators of four numbers."""

import pytest
import torch
from torch import nn

from gan_lib import UserError, data
from gan_lib.studies import inversion
from tests.notebooks.test_same_code import defined

(learn_encoder,) = defined("10", "learn_encoder")


def test_inversion_finds_a_sampled_image_and_optimisation_improves_on_the_best_random_point(new_sampler):
    net = new_sampler(4)
    target = net.sample(1, seed=77)[0]
    z, error = inversion.invert(net, target, candidates=300)
    assert (z.shape, z.requires_grad) == ((4,), False)
    assert error < (net.sample(50, seed=1) - target).square().mean().item() / 100
    assert error == pytest.approx((net(z[None])[0] - target).square().mean().item(), rel=1e-4)
    start, end = (inversion.invert(net, target, steps=steps, candidates=300)[1] for steps in (0, 60))
    assert end < start / 3


def test_inversion_refuses_other_images(new_sampler):
    """test_data.py holds which."""
    with pytest.raises(UserError, match=r"must have the shape \[1, 28, 28\], not \[28, 28\]"):
        inversion.invert(new_sampler(4), torch.zeros(28, 28))


@pytest.fixture
def reachable(new_sampler):
    """A generator of four numbers, and 2,000 of its images as uint8."""
    net = new_sampler(4)
    return net, data.to_uint8(net(2 * nn.functional.normalize(net.noise(2000, seed=3), dim=1)))


def test_an_encoder_learns_to_invert_and_leaves_the_generator_unchanged(reachable):
    net, images = reachable
    before = [p.clone() for p in net.generator.parameters()]
    unseen = net(2 * nn.functional.normalize(net.noise(100, seed=4), dim=1))
    errors = []
    for steps in (0, 300):
        z = learn_encoder(net, images, steps)(unseen)
        assert z.shape == (100, 4)
        assert torch.allclose(z.norm(dim=1), torch.full((100,), 2.0))  # sqrt(latent_dim)
        assert not z.requires_grad
        errors.append((net(z) - unseen).square().mean().item())
    assert errors[1] < 0.05 * errors[0]
    assert all(torch.equal(a, b) for a, b in zip(before, net.generator.parameters(), strict=True))


def test_an_encoder_depends_on_the_seed_alone_and_leaves_the_random_state_unchanged(reachable):
    net, images = reachable
    state = torch.get_rng_state()
    one, another, third = (learn_encoder(net, images, 3, seed)(net.sample(5)) for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(state)
    assert one.equal(another)
    assert not one.equal(third)


def test_inversion_starts_from_the_encoders_z_too(reachable):
    net, images = reachable
    z = 2 * nn.functional.normalize(net.noise(1, seed=5), dim=1)
    seen = []
    encoder = lambda x: seen.append(x) or z
    best, error = inversion.invert(net, net(z)[0], steps=0, candidates=8, encoder=encoder)
    assert best.equal(z[0])
    assert error < 1e-12
    assert seen[0].equal(net(z))
    assert inversion.invert(net, net(z)[0], steps=0, candidates=8)[1] > 0.01
    assert inversion.invert(net, data.to_range(images[0]), steps=1, candidates=3)[0].shape == (4,)
