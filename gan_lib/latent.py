"""Moving in latent space: walks, directions that mean something, and the way back from an image. Introduced in lesson 05.

All of it takes a `models.Sampler` and points z, float [N, latent_dim]; nothing here draws or holds state.
"""

import math
from typing import NamedTuple

import torch

from gan_lib import data


def lerp(a, b, t):
    """(1 - t) a + t b: the straight line from a (t = 0) to b (t = 1), z [latent_dim] each; t a number or float [T]."""
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device).unsqueeze(-1)
    return (1 - t) * a + t * b


def slerp(a, b, t):
    """sin((1 - t) ω) / sin ω · a + sin(t ω) / sin ω · b, ω the angle between a and b: along the sphere.

    Noise of many dimensions lies near a sphere of radius sqrt(latent_dim); a straight line cuts through its empty inside.
    White 2016 (arXiv 1609.04468), section 2.1. Falls back to `lerp` where a and b are (anti)parallel.
    """
    cosine = (torch.dot(a, b) / (a.norm() * b.norm())).clamp(-1, 1)
    omega = torch.acos(cosine)
    if omega.sin() < 1e-4:
        return lerp(a, b, t)
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device).unsqueeze(-1)
    return (((1 - t) * omega).sin() * a + (t * omega).sin() * b) / omega.sin()


def moments(images):
    """Ink-weighted variances of x and y and their covariance, in pixels², of images [N, 1, 28, 28] in [-1, 1]: [N] each."""
    ink = (images.squeeze(1) + 1) / 2
    ink = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-6)
    at = torch.arange(28.0, device=images.device)
    x, y = at.view(1, 1, 28), at.view(1, 28, 1)
    x = x - (ink * x).sum((1, 2), keepdim=True)
    y = y - (ink * y).sum((1, 2), keepdim=True)
    return (ink * x * x).sum((1, 2)), (ink * y * y).sum((1, 2)), (ink * x * y).sum((1, 2))


def slant(images):
    """How far the strokes lean to the right, in degrees [N]: arctan(-cov(x, y) / var(y)), y pointing down."""
    _, var_y, cov = moments(images)
    return torch.rad2deg(torch.atan(-cov / var_y.clamp(min=1e-6)))


def thickness(images):
    """Stroke thickness in pixels [N]: 2 · area / outline. A stroke L long and t thick has area L t and outline 2 L.

    The area is the sum of the ink, the outline the sum of its gradient's length.
    """
    ink = torch.nn.functional.pad((images.squeeze(1) + 1) / 2, (1, 1, 1, 1))
    dx, dy = ink[:, :-1, 1:] - ink[:, :-1, :-1], ink[:, 1:, :-1] - ink[:, :-1, :-1]
    outline = (dx.square() + dy.square()).sqrt().sum((1, 2))
    return 2 * ink.sum((1, 2)) / outline.clamp(min=1e-6)


def width(images):
    """Width in pixels [N], the slant taken out: sqrt(12 (var(x) - cov(x, y)² / var(y))).

    A filled box of w whole pixels gives sqrt(w² - 1).
    """
    var_x, var_y, cov = moments(images)
    return (12 * (var_x - cov.square() / var_y.clamp(min=1e-6)).clamp(min=0)).sqrt()


ATTRIBUTES = {"slant": slant, "thickness": thickness, "width": width}  # degrees, pixels, pixels


class Direction(NamedTuple):
    """A way to go in latent space, and what it does."""

    name: str
    vector: torch.Tensor  # float [latent_dim], of length 1
    explained: float  # share of the attribute's variance that the linear fit explains (R²)


def find_directions(sampler, attributes=ATTRIBUTES, n=5000, seed=0):
    """For each attribute the direction of z along which it grows fastest: least squares of attribute on z, over n samples."""
    z = sampler.noise(n, seed)
    images = sampler.sample(n, seed)
    design = torch.cat([z, torch.ones_like(z[:, :1])], 1)
    directions = []
    for name, measure in attributes.items():
        values = measure(images)
        weights = torch.linalg.lstsq(design.cpu(), values.cpu().unsqueeze(1)).solution.squeeze(1).to(z.device)
        residual = values - design @ weights
        explained = 1 - (residual.var() / values.var()).item()
        directions.append(Direction(name, weights[:-1] / weights[:-1].norm(), explained))
    return directions


def coordinates(sampler, n=8):
    """The first n axes of z as directions, for a generator of which nothing is known yet."""
    return [
        Direction(f"z[{i}]", row, 0.0) for i, row in enumerate(torch.eye(sampler.latent_dim, device=sampler.device)[:n])
    ]


@torch.no_grad()
def effect(sampler, vector, measure, step=1.5, n=1000, seed=1):
    """Mean change of an attribute when z goes from z - step · vector to z + step · vector, over n points z."""
    z = sampler.noise(n, seed)
    return (measure(sampler(z + step * vector)) - measure(sampler(z - step * vector))).mean().item()


@torch.no_grad()
def render(sampler, z, directions=(), strengths=(), norm=None):
    """What the sliders show: G((z + Σ strength · direction), scaled to length `norm` if that is given), uint8 [28, 28].

    `z` is float [latent_dim].
    """
    moved = z + sum(
        (s * direction.vector for s, direction in zip(strengths, directions, strict=True)), torch.zeros_like(z)
    )
    if norm is not None:
        moved = moved * (norm / moved.norm().clamp(min=1e-6))
    return data.to_uint8(sampler(moved.unsqueeze(0)))[0]


def invert(sampler, target, steps=150, candidates=2000, seed=0):
    """The z whose image comes nearest to `target` [1, 28, 28] in [-1, 1]. Returns z [latent_dim] and the mean squared error.

    The eight best of `candidates` random points are refined by Adam, held near the sphere where training noise lies;
    the best of them wins.
    """
    if target.shape != (1, 28, 28):
        raise ValueError(f"The image to invert must have the shape [1, 28, 28], not {list(target.shape)}.")
    target = target.to(sampler.device)
    with torch.no_grad():
        noise = sampler.noise(candidates, seed)
        errors = torch.cat([(sampler(part) - target).square().mean((1, 2, 3)) for part in noise.split(500)])
    z = noise[errors.topk(8, largest=False).indices].clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], 0.1)
    radius = math.sqrt(sampler.latent_dim)
    for _ in range(steps):
        error = (sampler(z) - target).square().mean((1, 2, 3))
        off_the_sphere = (z.norm(dim=1) / radius - 1).square()
        optimizer.zero_grad()
        (error + 0.1 * off_the_sphere).sum().backward()
        optimizer.step()
    with torch.no_grad():
        error = (sampler(z) - target).square().mean((1, 2, 3))
    return z[error.argmin()].detach(), error.min().item()
