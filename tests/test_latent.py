"""Walks, measured attributes, directions and the way back, on generators whose answer is known."""

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


@pytest.mark.parametrize("factor", [1, 2, -1])
def test_between_parallel_points_the_walk_is_straight(factor):
    assert torch.allclose(latent.slerp(A, factor * A, 0.25), (0.75 + 0.25 * factor) * A, atol=1e-5)


# Attributes of drawn figures


def bar(width, height, lean=0.0):
    """A white bar in the middle of a black image [1, 1, 28, 28], its rows shifted to lean right by `lean` degrees."""
    y = torch.arange(28.0).view(28, 1)
    x = torch.arange(28.0).view(1, 28)
    middle = 13.5 + math.tan(math.radians(lean)) * (13.5 - y)  # y points down: the top moves to the right
    inside = (width / 2 + 0.5 - (x - middle).abs()).clamp(0, 1)  # edges cover their pixels in part
    return (inside * ((y - 13.5).abs() < height / 2)).view(1, 1, 28, 28) * 2 - 1


@pytest.mark.parametrize("lean", [-30, -10, 0, 5, 20, 40])
def test_slant_is_the_lean_in_degrees(lean):
    assert latent.slant(bar(3, 18, lean)).item() == pytest.approx(lean, abs=0.3)


@pytest.mark.parametrize(("width", "height"), [(4, 10), (10, 16), (20, 6), (2, 20)])
def test_the_width_of_a_filled_box_is_what_the_docstring_says(width, height):
    assert latent.width(bar(width, height)).item() == pytest.approx(math.sqrt(width**2 - 1), abs=1e-2)


def test_width_does_not_count_the_slant():
    assert latent.width(bar(6, 16, 25)).item() == pytest.approx(latent.width(bar(6, 16)).item(), abs=0.2)
    assert latent.moments(bar(6, 16, 25))[0] > 1.5 * latent.moments(bar(6, 16))[0]


@pytest.mark.parametrize("thick", [2, 3, 4])
def test_thickness_is_that_of_the_stroke_in_pixels(thick):
    """A bar L long and t thick has outline 2 (L + t), its ends included: t L / (L + t)."""
    assert latent.thickness(bar(thick, 24)).item() == pytest.approx(thick * 24 / (24 + thick), rel=0.03)


def test_moments_are_those_of_numpy():
    image = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    weights = ((image[0, 0] + 1) / 2).double().numpy().ravel()
    y, x = (grid.ravel() for grid in np.mgrid[:28, :28])
    expected = np.cov(np.stack([x, y]), aweights=weights, ddof=0)
    var_x, var_y, cov = (m.item() for m in latent.moments(image))
    assert [var_x, var_y, cov] == pytest.approx([expected[0, 0], expected[1, 1], expected[0, 1]], rel=1e-4)


def test_attributes_are_measured_image_by_image_even_where_there_is_no_ink():
    images = torch.cat([bar(3, 18, 20), torch.full((1, 1, 28, 28), -1.0), bar(5, 18, -20)])
    for measure in latent.ATTRIBUTES.values():
        values = measure(images)
        assert values.shape == (3,)
        assert values.isfinite().all()
        assert torch.allclose(values[2:], measure(images[2:]), atol=1e-4)


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


def test_the_planted_directions_are_found(sampler):
    above = lambda images: brightness(images) + 5  # what an attribute is on average tells nothing of its direction
    bright, sharp = latent.find_directions(sampler, {"bright": above, "sharp": contrast}, n=500)
    assert (bright.name, sharp.name) == ("bright", "sharp")
    assert torch.allclose(bright.vector, PLANTED, atol=1e-4)
    assert torch.allclose(sharp.vector, vector(0, 0, 0, 1), atol=1e-4)
    assert bright.explained == pytest.approx(1, abs=1e-4)


def test_what_a_direction_does_not_explain_is_told(sampler):
    """mean + z[1]² / 10 has the variance 0.01 · (1 + 2) of which the line explains a third."""
    noise = sampler.noise(20_000, 0)[:, 1]
    measure = lambda images: brightness(images) + 0.1 * noise.square()
    (direction,) = latent.find_directions(sampler, {"mixed": measure}, n=20_000)
    assert direction.explained == pytest.approx(1 / 3, abs=0.03)
    assert torch.allclose(direction.vector, PLANTED, atol=0.05)


def test_an_effect_is_the_change_over_both_steps(sampler):
    assert latent.effect(sampler, PLANTED, brightness, step=1.5, n=50) == pytest.approx(0.1 * 3, abs=1e-5)
    assert latent.effect(sampler, vector(0.8, 0, 0.6, 0), brightness, n=50) == pytest.approx(0, abs=1e-6)


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
    with pytest.raises(ValueError, match="argument 2 is shorter"):
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
