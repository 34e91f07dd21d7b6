"""Interpolation and directions, on generators whose answer is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from gan_lib import UserError, data, latent, models
from gan_lib.studies import films


def vector(*numbers):
    return torch.tensor(numbers, dtype=torch.float32)


A, B = vector(1.0, 2, -3, 0.5), vector(-2.0, 1, 0.3, 4)


def test_lerp_goes_straight_from_a_to_b():
    walk = latent.lerp(A, B, torch.linspace(0, 1, 5))
    assert walk[0].equal(A)
    assert walk[-1].equal(B)
    a, b = A.numpy(), B.numpy()
    assert np.allclose(walk.numpy(), [a + t * (b - a) for t in np.linspace(0, 1, 5)], atol=1e-6)
    assert torch.allclose(latent.lerp(A, B, 0.25), walk[1])


def test_slerp_is_the_formula_of_white():
    a, b = A.double().numpy(), B.double().numpy()
    omega = math.acos(a @ b / math.sqrt((a @ a) * (b @ b)))
    for t in (0.0, 0.1, 0.5, 0.9, 1.0):
        expected = (math.sin((1 - t) * omega) * a + math.sin(t * omega) * b) / math.sin(omega)
        assert np.allclose(latent.slerp(A, B, t).numpy(), expected, atol=1e-5)
    assert torch.allclose(latent.slerp(A, B, torch.tensor([0.1, 0.9]))[1], latent.slerp(A, B, 0.9))
    for a, b in ((A, A), (A, 2 * A), (A, -A), (0 * A, B)):  # straight between parallel points and from the origin
        assert torch.allclose(latent.slerp(a, b, 0.25), 0.75 * a + 0.25 * b, atol=1e-5)


def test_loop_is_a_closed_walk_on_the_sphere_through_all_anchors():
    anchors = torch.stack([A, B, -A + 0.1 * B])
    walk = films.loop(anchors, 12)
    assert walk.shape == (12, 4)
    assert torch.allclose(walk.norm(dim=1), torch.full((12,), 2.0), atol=1e-5)  # sqrt(latent_dim)
    assert torch.allclose(walk[::4], 2 * nn.functional.normalize(anchors), atol=1e-5)
    assert torch.allclose(walk[10], latent.slerp(walk[8], walk[0], 0.5), atol=1e-5)
    assert len(films.loop(anchors, 20)) == 20


PLANTED = vector(0.6, 0, -0.8, 0)


def planted_sampler():
    """Linear images of z: brighter along PLANTED, and with stripes (of mean 0) along z[3]."""
    net = nn.Sequential(nn.Linear(4, 784, bias=False), nn.Unflatten(1, (1, 28, 28)))
    stripes = torch.ones(28, 28)
    stripes[::2] = -1
    net[0].weight.data = 0.1 * PLANTED + 0.05 * stripes.view(784, 1) * vector(0, 0, 0, 1)
    return models.Sampler(net, 4)


sampler = pytest.fixture(planted_sampler)


def brightness(images):
    return images.mean((1, 2, 3))


def contrast(images):
    return images[:, 0, 1].mean(1) - images[:, 0, 0].mean(1)


def test_planted_directions_are_found(sampler):
    above = lambda images: brightness(images) + 5  # the mean of an attribute has no influence on its direction
    bright, sharp = latent.find_directions(sampler, {"bright": above, "sharp": contrast}, n=20_000)
    assert (bright.name, sharp.name) == ("bright", "sharp")
    assert torch.allclose(bright.vector, PLANTED, atol=0.02)  # z · PLANTED has the standard deviation 1
    assert torch.allclose(sharp.vector, vector(0, 0, 0, 1), atol=0.02)
    assert bright.explained == pytest.approx(1, abs=1e-4)


def test_r2_is_the_linear_share_of_the_variance_0_of_noise_and_a_step_of_1_is_one_standard_deviation(sampler):
    """mean + z[1]² / 10 has the variance 0.01 · (1 + 2), and the linear part is a third of it."""
    noise = sampler.noise(20_000, 0)[:, 1]
    measure = lambda images: brightness(images) + 0.1 * noise.square()
    (direction,) = latent.find_directions(sampler, {"mixed": measure}, n=20_000)
    assert direction.explained == pytest.approx(1 / 3, abs=0.03)
    assert torch.allclose(direction.vector, math.sqrt(3) * PLANTED, atol=0.08)
    z, noise = torch.randn(300, 64), torch.randn(300, 200)
    explained = [direction.explained for direction in latent.fit(z, noise, range(200))]
    assert sum(explained) / 200 == pytest.approx(0, abs=0.02)  # without adjustment it would be 64 / 299


def test_fit_refuses_nan_and_too_few_points():
    ones, column = torch.ones(9, 8), torch.ones(9, 1)
    for z, values in ((ones[:, :2], math.nan * column), (math.inf * ones[:, :2], column)):
        with pytest.raises(UserError, match="The attributes or z hold NaN or infinity: the generator has"):
            latent.fit(z, values, "a")
    with pytest.raises(UserError, match="A linear fit on 8 dimensions needs at least 10 points, not 9"):
        latent.fit(ones, column, "a")


def test_orthogonalised_directions_are_orthogonal_and_keep_their_effect():
    vectors = {"a": vector(2, 0, 0, 0), "b": vector(1, 1, 0, 0), "c": vector(1, 1, 1, 0)}
    given = [latent.Direction(name, each, 0.5) for name, each in vectors.items()]
    a, b, c = latent.orthogonal(given)
    assert a.vector.equal(vectors["a"])
    assert b.vector.tolist() == pytest.approx([0, 2, 0, 0], abs=1e-6)  # as far along (1, 1) as before, and 0 along a
    for one, other in ((a, b), (a, c), (b, c)):
        assert (one.vector @ other.vector).item() == pytest.approx(0, abs=1e-6)
    for before, after in zip(given, (a, b, c), strict=True):
        assert (after.vector @ before.vector).item() == pytest.approx((before.vector @ before.vector).item())
        assert (after.name, after.explained) == (before.name, before.explained)
    with pytest.raises(UserError, match="c is a combination of the directions before it"):
        latent.orthogonal([*given[:2], given[1]._replace(name="c")])


def test_a_rendered_image_belongs_to_the_moved_and_scaled_z(sampler):
    x_axis, *_, w_axis = latent.coordinates(sampler)
    assert (x_axis.name, w_axis.name, len(latent.coordinates(sampler, 3))) == ("z[0]", "z[3]", 3)
    z = vector(0.3, 1, -2, 0.5)
    moved = z + vector(2, 0, 0, -0.5)
    for norm, expected in ((None, moved), (1.7, moved / moved.square().sum().sqrt() * 1.7), (0, 0 * moved)):
        picture = latent.render(sampler, z, [x_axis, w_axis], [2, -0.5], norm)
        assert (picture.shape, picture.dtype) == ((28, 28), torch.uint8)
        assert picture.equal(data.to_uint8(sampler(expected[None]))[0])
    assert latent.render(sampler, z).equal(data.to_uint8(sampler(z[None]))[0])
    assert latent.render(sampler, 0 * z, norm=2.0).equal(latent.render(sampler, 0 * z))  # 0 can't be scaled
    with pytest.raises(ValueError, match="argument 2 is longer"):
        latent.render(sampler, z, [x_axis, w_axis], [1.0, 2.0, 3.0])
