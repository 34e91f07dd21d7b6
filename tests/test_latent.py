"""Walks, directions and the way back, on generators whose answer is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from gan_lib import data, latent, models


def vector(*numbers):
    return torch.tensor(numbers, dtype=torch.float32)


# Walks

A, B = vector(1.0, 2, -3, 0.5), vector(-2.0, 1, 0.3, 4)


def test_a_straight_walk_goes_from_a_to_b():
    walk = latent.lerp(A, B, torch.linspace(0, 1, 5))
    assert walk.shape == (5, 4)
    assert walk[0].equal(A)
    assert walk[-1].equal(B)
    a, b = A.numpy(), B.numpy()
    assert np.allclose(walk.numpy(), [a + t * (b - a) for t in np.linspace(0, 1, 5)], atol=1e-6)
    assert torch.allclose(latent.lerp(A, B, 0.25), walk[1])


def test_a_walk_along_the_sphere_is_whites_formula():
    a, b = A.double().numpy(), B.double().numpy()
    omega = math.acos(a @ b / math.sqrt((a @ a) * (b @ b)))
    for t in (0.0, 0.1, 0.5, 0.9, 1.0):
        expected = (math.sin((1 - t) * omega) * a + math.sin(t * omega) * b) / math.sin(omega)
        assert np.allclose(latent.slerp(A, B, t).numpy(), expected, atol=1e-5)
    assert torch.allclose(latent.slerp(A, B, torch.tensor([0.1, 0.9]))[1], latent.slerp(A, B, 0.9))


def test_a_walk_along_the_sphere_keeps_the_length_and_turns_evenly():
    a, b = 3 * A / A.norm(), 3 * B / B.norm()
    walk = latent.slerp(a, b, torch.linspace(0, 1, 11))
    assert torch.allclose(walk.norm(dim=1), torch.full((11,), 3.0), atol=1e-5)
    cosines = (walk[1:] * walk[:-1]).sum(1) / 9
    assert torch.allclose(cosines, cosines[0].expand(10), atol=1e-5)
    assert latent.lerp(a, b, 0.5).norm() < 2.5  # where the straight one cuts through the inside


def test_a_loop_goes_through_all_anchors_on_the_sphere_and_comes_back():
    anchors = torch.stack([A, B, -A + 0.1 * B])
    walk = latent.loop(anchors, 12)
    assert walk.shape == (12, 4)
    assert torch.allclose(walk.norm(dim=1), torch.full((12,), 2.0), atol=1e-5)  # sqrt(latent_dim)
    for i in range(3):
        assert torch.allclose(walk[4 * i], 2 * anchors[i] / anchors[i].norm(), atol=1e-5)
    assert torch.allclose(walk[10], latent.slerp(walk[8], walk[0], 0.5), atol=1e-5)
    assert len(latent.loop(anchors, 20)) == 20


@pytest.mark.parametrize("factor", [1, 2, -1])
def test_between_parallel_points_the_walk_is_straight(factor):
    assert torch.allclose(latent.slerp(A, factor * A, 0.25), (0.75 + 0.25 * factor) * A, atol=1e-5)


# Directions

PLANTED = vector(0.6, 0, -0.8, 0)


class Brightness(nn.Module):
    """A generator whose images are as bright as z goes along PLANTED, plus a pattern along z[3]."""

    def __init__(self):
        super().__init__()
        self.planted = nn.Parameter(PLANTED.clone())

    def forward(self, z):
        pattern = torch.ones(28, 28)
        pattern[::2] = -1  # of mean 0
        bright = (z @ self.planted).view(-1, 1, 1, 1)
        return 0.1 * bright + 0.05 * z[:, 3].view(-1, 1, 1, 1) * pattern + torch.zeros(len(z), 1, 28, 28)


@pytest.fixture
def sampler():
    return models.Sampler(Brightness(), 4)


def brightness(images):
    return images.mean((1, 2, 3))


def contrast(images):
    return images[:, 0, 1].mean(1) - images[:, 0, 0].mean(1)


def spread(measure, sampler, n=20_000):
    return measure(sampler.sample(n, 5)).std().item()


def test_the_planted_directions_are_found(sampler):
    above = lambda images: brightness(images) + 5  # what an attribute is on average tells nothing of its direction
    bright, sharp = latent.find_directions(sampler, {"bright": above, "sharp": contrast}, n=20_000)
    assert (bright.name, sharp.name) == ("bright", "sharp")
    assert torch.allclose(bright.vector, PLANTED, atol=0.02)  # z · PLANTED has the standard deviation 1
    assert torch.allclose(sharp.vector, vector(0, 0, 0, 1), atol=0.02)
    assert bright.explained == pytest.approx(1, abs=1e-4)


def test_what_a_direction_does_not_explain_is_told_and_a_step_is_still_one_standard_deviation(sampler):
    """mean + z[1]² / 10 has the variance 0.01 · (1 + 2) of which the line explains a third."""
    noise = sampler.noise(20_000, 0)[:, 1]
    measure = lambda images: brightness(images) + 0.1 * noise.square()
    (direction,) = latent.find_directions(sampler, {"mixed": measure}, n=20_000)
    assert direction.explained == pytest.approx(1 / 3, abs=0.03)
    assert torch.allclose(direction.vector, math.sqrt(3) * PLANTED, atol=0.08)


def test_orthogonal_directions_share_nothing_and_do_what_they_did(sampler):
    first, second = vector(2, 0, 0, 0), vector(1, 1, 0, 0)
    given = [
        latent.Direction("a", first, 0.5),
        latent.Direction("b", second, 0.6),
        latent.Direction("c", vector(1, 1, 1, 0), 0.7),
    ]
    a, b, c = latent.orthogonal(given)
    assert a.vector.equal(first)
    assert b.vector.tolist() == pytest.approx(
        [0, 2, 0, 0], abs=1e-6
    )  # as far along (1, 1) as it went, and none along the first
    for one, other in ((a, b), (a, c), (b, c)):
        assert (one.vector @ other.vector).item() == pytest.approx(0, abs=1e-6)
    for before, after in zip(given, (a, b, c), strict=True):
        assert (after.vector @ before.vector).item() == pytest.approx((before.vector @ before.vector).item())
        assert (after.name, after.explained) == (before.name, before.explained)


def test_principal_directions_are_those_of_the_first_activation():
    net = nn.Sequential(
        nn.Linear(3, 6, bias=False), nn.LeakyReLU(1.0), nn.Linear(6, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))
    )
    net[0].weight.data = torch.diag(vector(1.0, 5.0, 2.0, 0, 0, 0))[:, :3]
    first, second = latent.principal_directions(models.Sampler(net, 3), k=2, n=2000)
    assert (first.name, second.name) == ("component 1", "component 2")
    assert first.vector.abs().tolist() == pytest.approx([0, 1, 0], abs=0.05)
    assert second.vector.abs().tolist() == pytest.approx([0, 0, 1], abs=0.05)
    assert first.explained == pytest.approx(1, abs=1e-3)


def test_a_generator_without_activations_has_no_principal_directions(sampler):
    with pytest.raises(ValueError, match="no activation whose components"):
        latent.principal_directions(sampler)


def test_effects_are_told_in_standard_deviations_beside_chance(sampler):
    attributes = {"bright": brightness, "sharp": contrast, "both": lambda images: brightness(images) + contrast(images)}
    given = latent.find_directions(sampler, attributes, n=20_000)
    bright, sharp, both = latent.effects(sampler, given, attributes)
    assert [bright.name, sharp.name, both.name] == ["bright", "sharp", "both"]
    assert [bright.own, sharp.own, both.own] == pytest.approx([1, 1, 1], abs=0.06)
    share = spread(brightness, sampler) / spread(attributes["both"], sampler)  # of both, when only the first grows
    assert bright.leak == pytest.approx(share / math.sqrt(2), abs=0.05)
    chance = (
        torch.nn.functional.normalize(torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0)), dim=1)
        @ PLANTED
    )
    assert bright.random == pytest.approx(given[0].vector.norm().item() * chance.abs().mean().item(), rel=0.25)


def test_coordinates_are_the_axes(sampler):
    directions = latent.coordinates(sampler, 3)
    assert [d.name for d in directions] == ["z[0]", "z[1]", "z[2]"]
    assert torch.stack([d.vector for d in directions]).equal(torch.eye(4)[:3])
    assert len(latent.coordinates(sampler)) == 4


# What the sliders show


def test_a_rendered_image_is_that_of_the_moved_and_scaled_z(sampler):
    directions = [latent.Direction("a", vector(1, 0, 0, 0), 0.0), latent.Direction("b", vector(0, 0, 0, 1), 0.0)]
    z = vector(0.3, 1, -2, 0.5)
    moved = z + 2 * vector(1, 0, 0, 0) - 0.5 * vector(0, 0, 0, 1)
    for norm, expected in ((None, moved), (1.7, moved / moved.square().sum().sqrt() * 1.7), (0, 0 * moved)):
        picture = latent.render(sampler, z, directions, [2, -0.5], norm)
        assert (picture.shape, picture.dtype) == ((28, 28), torch.uint8)
        assert picture.equal(data.to_uint8(sampler(expected[None]))[0])
    assert latent.render(sampler, z).equal(data.to_uint8(sampler(z[None]))[0])


def test_a_z_of_length_zero_stays_where_it_is(sampler):
    assert latent.render(sampler, torch.zeros(4), norm=2.0).equal(latent.render(sampler, torch.zeros(4)))


def test_each_direction_needs_its_strength(sampler):
    with pytest.raises(ValueError, match="argument 2 is longer"):
        latent.render(sampler, A, latent.coordinates(sampler, 2), [1.0, 2.0, 3.0])


# The way back


@pytest.fixture
def net(new_sampler):
    return new_sampler(4)


def test_a_sampled_image_is_found_again(net):
    target = net.sample(1, seed=77)[0]
    z, error = latent.invert(net, target, candidates=300)
    assert (z.shape, z.requires_grad) == ((4,), False)
    spread = (net.sample(50, seed=1) - target).square().mean().item()
    assert error < spread / 100
    assert error == pytest.approx((net(z[None])[0] - target).square().mean().item(), rel=1e-4)


def test_more_steps_come_nearer_than_the_best_random_point(net):
    target = net.sample(1, seed=77)[0]
    guess, found = (latent.invert(net, target, steps=steps, candidates=300)[1] for steps in (0, 60))
    assert found < guess / 3


def test_an_image_of_another_shape_is_refused(net):
    with pytest.raises(ValueError, match=r"must have the shape \[1, 28, 28\], not \[28, 28\]"):
        latent.invert(net, torch.zeros(28, 28))


def test_an_image_in_the_range_from_0_to_1_is_refused(net):
    with pytest.raises(ValueError, match=r"must lie in \[-1, 1\], not 0.00 to 1.00"):
        latent.invert(net, torch.linspace(0, 1, 784).view(1, 28, 28))


@pytest.fixture(scope="module")
def reachable():
    """A generator of four numbers, and 2,000 images that it can make, as uint8."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = models.Sampler(nn.Sequential(nn.Linear(4, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))), 4)
    z = 2 * nn.functional.normalize(net.noise(2000, seed=3), dim=1)
    return net, data.to_uint8(net(z))


def test_an_encoder_learns_the_way_back_and_leaves_the_generator_alone(reachable):
    net, images = reachable
    before = [p.clone() for p in net.generator.parameters()]
    unseen = net(2 * nn.functional.normalize(net.noise(100, seed=4), dim=1))
    off = []
    for steps in (0, 300):
        encode = latent.learn_encoder(net, images, steps)
        z = encode(unseen)
        assert z.shape == (100, 4)
        assert torch.allclose(z.norm(dim=1), torch.full((100,), 2.0))  # the square root of four
        assert not z.requires_grad
        off.append((net(z) - unseen).square().mean().item())
    assert off[1] < 0.05 * off[0]
    assert all(torch.equal(a, b) for a, b in zip(before, net.generator.parameters(), strict=True))


def test_an_encoder_is_the_same_for_the_same_seed_and_leaves_the_callers_dice_alone(reachable):
    net, images = reachable
    torch.manual_seed(7)
    one, another, third = (latent.learn_encoder(net, images, 3, seed)(net.sample(5)) for seed in (0, 0, 1))
    drawn = torch.rand(1)
    torch.manual_seed(7)
    assert drawn.equal(torch.rand(1))
    assert one.equal(another)
    assert not one.equal(third)


def test_a_search_starts_from_what_the_encoder_says_too(reachable):
    net, _ = reachable
    z = 2 * nn.functional.normalize(net.noise(1, seed=5), dim=1)
    asked = []
    know = lambda x: asked.append(x) or z
    found, error = latent.invert(net, net(z)[0], steps=0, candidates=8, encoder=know)
    assert found.equal(z[0])
    assert error < 1e-12
    assert asked[0].equal(net(z))
    assert latent.invert(net, net(z)[0], steps=0, candidates=8)[1] > 0.01


def test_a_search_says_what_it_cannot_take_and_begins_from_as_few_points_as_there_are(reachable):
    net, images = reachable
    with pytest.raises(ValueError, match=r"give them to data\.to_range first"):
        latent.invert(net, images[:1])
    assert latent.invert(net, data.to_range(images[0]), steps=1, candidates=3)[0].shape == (4,)


def test_what_is_noise_is_explained_to_nothing():
    dice = torch.Generator().manual_seed(0)
    z, noise = torch.randn(300, 64, generator=dice), torch.randn(300, 200, generator=dice)
    explained = [direction.explained for direction in latent.fit(z, noise, range(200))]
    assert sum(explained) / 200 == pytest.approx(0, abs=0.02)  # as a plain R² it would be 64 / 299


def test_a_fit_of_no_numbers_or_of_too_few_points_says_so():
    with pytest.raises(ValueError, match="The attributes, or z, are no numbers: the generator has diverged"):
        latent.fit(torch.randn(9, 2), torch.full((9, 1), torch.nan), ["a"])
    with pytest.raises(ValueError, match="The attributes, or z, are no numbers: the generator has diverged"):
        latent.fit(torch.full((9, 2), torch.nan), torch.randn(9, 1), ["a"])
    with pytest.raises(ValueError, match="To fit 8 numbers takes at least 10 points, not 9"):
        latent.fit(torch.randn(9, 8), torch.randn(9, 1), ["a"])


def test_principal_components_of_no_numbers_or_of_one_point_are_refused(new_sampler):
    sampler = new_sampler(4)
    for n, spoil in ((1, 1), (50, torch.nan), (50, torch.inf)):
        with torch.no_grad():
            sampler.generator[0].weight.mul_(spoil)
        with pytest.raises(ValueError, match="Principal components need at least two points, and finite numbers"):
            latent.principal_directions(sampler, n=n)


def test_a_direction_of_which_nothing_is_left_is_refused():
    same = [latent.Direction(name, vector(1, 2, 3), 0.5) for name in "ab"]
    with pytest.raises(ValueError, match="b adds nothing to the directions before it"):
        latent.orthogonal(same)


def test_a_walk_from_the_origin_is_straight():
    assert latent.slerp(torch.zeros(4), B, 0.25).equal(0.25 * B)


def test_components_are_exact_where_their_variances_are_close():
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
    sampler = models.Sampler(net, 6)
    seen = net[:2](sampler.noise(500)).detach().double()
    centred = (seen - seen.mean(0)).numpy()
    scores = torch.from_numpy(centred @ np.linalg.svd(centred, full_matrices=False)[2][:4].T).float()
    for got, want in zip(
        latent.principal_directions(sampler, 4, n=500), latent.fit(sampler.noise(500), scores, "abcd"), strict=True
    ):
        assert abs(nn.functional.cosine_similarity(got.vector, want.vector, 0)) > 0.9999


def test_effects_need_directions_of_the_attributes(sampler):
    with pytest.raises(ValueError, match="must be named after the attributes, which are: bright"):
        latent.effects(sampler, latent.coordinates(sampler, 1), {"bright": brightness})
