"""Latent space: interpolation and directions for attributes, as pure functions of z and a `Sampler`. Introduced in lesson 05."""

import math
from typing import NamedTuple

import torch

from gan_lib import UserError, data
from gan_lib.attributes import ATTRIBUTES


def lerp(a, b, t):
    """Linear interpolation (1 - t) a + t b of a and b, z [latent_dim] each; t is a number or float [T], and z [T, latent_dim]."""
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device).unsqueeze(-1)
    return (1 - t) * a + t * b


def slerp(a, b, t):
    """Spherical interpolation sin((1 - t) ω) / sin ω · a + sin(t ω) / sin ω · b, where ω is the angle between a and b.

    Noise of many dimensions lies near a sphere of radius sqrt(latent_dim), and a straight line leaves it. White 2016
    (arXiv 1609.04468), section 2.1. Falls back to `lerp` where a and b are (anti)parallel, or one is 0.
    """
    cosine = (torch.dot(a, b) / (a.norm() * b.norm())).clamp(-1, 1)
    omega = torch.acos(cosine)
    if not omega.sin() > 1e-4:  # NaN where a or b is 0
        return lerp(a, b, t)
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device).unsqueeze(-1)
    return (((1 - t) * omega).sin() * a + (t * omega).sin() * b) / omega.sin()


class Direction(NamedTuple):
    """A direction in latent space along which an attribute grows."""

    name: str  # of the attribute
    vector: torch.Tensor  # float [latent_dim]: by the linear fit, z + vector has one standard deviation more
    explained: float  # adjusted R² of the linear fit


def find_directions(sampler, attributes=ATTRIBUTES, n=5000, seed=0):
    """The `Direction` of each attribute, by a linear fit to n samples (`fit`)."""
    z, images = sampler.noise(n, seed), sampler.sample(n, seed)
    return fit(z, torch.stack([measure(images) for measure in attributes.values()], 1), attributes)


def fit(z, values, names):
    """The `Direction` of steepest ascent for each column of values [N, K], by least squares on z [N, d], N at least d + 2."""
    n, d = z.shape
    if n < d + 2:
        raise UserError(f"A linear fit on {d} dimensions needs at least {d + 2} points, not {n}.")
    if not (values.isfinite().all() and z.isfinite().all()):
        raise UserError("The attributes or z hold NaN or infinity: the generator has diverged.")
    design = torch.cat([z, torch.ones_like(z[:, :1])], 1)
    weights = torch.linalg.lstsq(design.cpu(), values.cpu()).solution.to(z.device)  # [d + 1, K]
    residual = (values - design @ weights).square().sum(0) / (n - d - 1)  # unbiased: noise has an R² of 0 on average
    r2 = 1 - residual / values.var(0)
    gradient = weights[:-1]
    vectors = gradient / gradient.square().sum(0) * values.std(0)
    return [Direction(*each) for each in zip(names, vectors.T, r2.tolist(), strict=True)]


def orthogonal(directions):
    """The directions, orthogonalised in their order (Gram–Schmidt) and rescaled: by the fit, a step of 1 has the same effect."""
    result = []
    for direction in directions:
        vector = direction.vector
        for other in result:
            vector = vector - (vector @ other.vector) / other.vector.square().sum() * other.vector
        before, after = direction.vector.square().sum(), vector @ direction.vector
        if not after > 1e-6 * before:
            raise UserError(f"{direction.name} is a combination of the directions before it: leave it out.")
        result.append(direction._replace(vector=vector * before / after))
    return result


def coordinates(sampler, n=8):
    """The first n axes of z as directions, for a generator whose directions have not been fitted."""
    axes = torch.eye(sampler.latent_dim, device=sampler.device)[:n]
    return [Direction(f"z[{i}]", axis, math.nan) for i, axis in enumerate(axes)]


def steer(z, directions=(), strengths=(), norm=None):
    """z + Σ strength · direction, float [latent_dim], scaled to the length `norm` unless that is None (a 0 stays 0)."""
    for direction, strength in zip(directions, strengths, strict=True):
        z = z + strength * direction.vector
    return z if norm is None else z * (norm / z.norm().clamp(min=1e-6))


@torch.no_grad()
def render(sampler, z, directions=(), strengths=(), norm=None):
    """The picture beside the sliders: G(`steer`(z, …)), uint8 [28, 28]. `z` is float [latent_dim]."""
    return data.to_uint8(sampler(steer(z, directions, strengths, norm).unsqueeze(0)))[0]
