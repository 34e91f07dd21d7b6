"""Moving in latent space: walks, directions that mean something, and the way back from an image. Introduced in lesson 05.

All of it takes a `models.Sampler` and points z, float [N, latent_dim]; nothing here draws or holds state.
"""

import itertools
import math
from typing import NamedTuple

import torch
from torch import nn

from gan_lib import UserError, data, models
from gan_lib.attributes import ATTRIBUTES

ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, models.SigmoidPixels)


def lerp(a, b, t):
    """(1 - t) a + t b: the straight line from a (t = 0) to b (t = 1), z [latent_dim] each; t a number or float [T]."""
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device).unsqueeze(-1)
    return (1 - t) * a + t * b


def slerp(a, b, t):
    """sin((1 - t) ω) / sin ω · a + sin(t ω) / sin ω · b, ω the angle between a and b: along the sphere.

    Noise of many dimensions lies near a sphere of radius sqrt(latent_dim); a straight line cuts through its empty inside.
    White 2016 (arXiv 1609.04468), section 2.1. Falls back to `lerp` where a and b are (anti)parallel, or one is 0.
    """
    cosine = (torch.dot(a, b) / (a.norm() * b.norm())).clamp(-1, 1)
    omega = torch.acos(cosine)
    if not omega.sin() > 1e-4:  # of a and b one may be 0, and the angle no number
        return lerp(a, b, t)
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device).unsqueeze(-1)
    return (((1 - t) * omega).sin() * a + (t * omega).sin() * b) / omega.sin()


def loop(anchors, n):
    """A walk of n points z [n, latent_dim] through all of `anchors` [K, latent_dim], put on the sphere, and back to the first."""
    anchors = torch.nn.functional.normalize(anchors, dim=1) * math.sqrt(anchors.shape[1])
    at = torch.arange(n, device=anchors.device) * len(anchors) / n  # 2.5: half way from the third to the fourth
    legs = [
        slerp(a, b, at[at.long() == i] - i) for i, (a, b) in enumerate(zip(anchors, anchors.roll(-1, 0), strict=True))
    ]
    return torch.cat(legs)


class Direction(NamedTuple):
    """A way to go in latent space, and what it does."""

    name: str
    vector: torch.Tensor  # float [latent_dim]: by the best straight line, z + vector has one standard deviation more
    explained: float  # share of the variance that this line explains (adjusted R²)


def find_directions(sampler, attributes=ATTRIBUTES, n=5000, seed=0):
    """For each attribute the direction of z along which it grows fastest, from n samples."""
    z, images = sampler.noise(n, seed), sampler.sample(n, seed)
    return fit(z, torch.stack([measure(images) for measure in attributes.values()], 1), attributes)


def principal_directions(sampler, k=5, n=5000, seed=0):
    """The directions of z along which the generator's first layers change most: principal components of what leaves its first
    activation, brought back to z. Härkönen et al. 2020 (arXiv 2004.02546), section 2.1. Raises `UserError` where it has none.
    """
    first = next((layer for layer in sampler.generator.modules() if isinstance(layer, ACTIVATIONS)), None)
    if first is None:
        raise UserError("The generator has no activation whose components could be taken.")
    seen, z = [], sampler.noise(n, seed)
    watching = first.register_forward_hook(lambda layer, inputs, outputs: seen.append(outputs.flatten(1)))
    try:
        sampler.sample(n, seed)
    finally:
        watching.remove()
    early = torch.cat(seen)
    if len(early) < 2 or not early.isfinite().all():  # LAPACK would end the process
        raise UserError(
            "Principal components need at least two points, and finite numbers: has the generator diverged?"
        )
    axes = torch.linalg.eigh(early.T.cov()).eigenvectors[:, -k:].flip(1)  # the variances along them rise
    return fit(z, early @ axes, [f"component {i + 1}" for i in range(k)])


def fit(z, values, names):
    """For each column of values [N, K] the `Direction` along which it grows fastest: least squares of values on z [N, d]."""
    n, d = z.shape
    if n < d + 2:
        raise UserError(f"To fit {d} numbers takes at least {d + 2} points, not {n}.")
    if not (values.isfinite().all() and z.isfinite().all()):
        raise UserError("The attributes, or z, are no numbers: the generator has diverged.")
    design = torch.cat([z, torch.ones_like(z[:, :1])], 1)
    weights = torch.linalg.lstsq(design.cpu(), values.cpu()).solution.to(z.device)  # [d + 1, K]
    left = (values - design @ weights).square().sum(0) / (n - d - 1)  # divided so, 0 % of mere noise is explained
    explained = 1 - left / values.var(0)
    slopes = weights[:-1]
    vectors = slopes / slopes.square().sum(0) * values.std(0)
    return [Direction(*each) for each in zip(names, vectors.T, explained.tolist(), strict=True)]


def orthogonal(directions):
    """The same directions, each without what it shares with those before it; by the fit, a step of 1 does what it did."""
    kept = []
    for direction in directions:
        vector = direction.vector
        for other in kept:
            vector = vector - (vector @ other.vector) / other.vector.square().sum() * other.vector
        whole, left = direction.vector.square().sum(), vector @ direction.vector
        if not left > 1e-6 * whole:
            raise UserError(f"{direction.name} adds nothing to the directions before it: leave it out.")
        kept.append(direction._replace(vector=vector * whole / left))
    return kept


def coordinates(sampler, n=8):
    """The first n axes of z as directions, for a generator of which nothing is known yet."""
    return [
        Direction(f"z[{i}]", row, math.nan)
        for i, row in enumerate(torch.eye(sampler.latent_dim, device=sampler.device)[:n])
    ]


class Effect(NamedTuple):
    """What a step of 1 along a direction does, in standard deviations of the attributes; means over points z."""

    name: str
    explained: float  # what the direction says
    own: float  # change of the attribute that the direction is named after
    leak: float  # change of the others, root mean square
    random: float  # change of its own attribute along 100 random directions of the same length, mean of the sizes


@torch.no_grad()
def effects(sampler, directions, attributes=ATTRIBUTES, n=1000, seed=1):
    """The `Effect` of each of `directions`, which must be named after `attributes`: from n points z, and from a 25th of
    them for each of the random directions.
    """
    z, names = sampler.noise(n, seed), list(attributes)
    if not {direction.name for direction in directions} <= set(names):
        raise UserError(f"Directions must be named after the attributes, which are: {', '.join(names)}.")
    samples = sampler.sample(1000, seed + 1)
    spread = {name: measure(samples).std() for name, measure in attributes.items()}

    def change(vector, z, names):
        after, before = sampler.turns(z + vector / 2), sampler.turns(z - vector / 2)
        return torch.stack([(attributes[k](after) - attributes[k](before)).mean() / spread[k] for k in names])

    units = torch.nn.functional.normalize(sampler.noise(100, seed + 2), dim=1)
    few = z[: -(-n // 25)]
    found = []
    for direction in directions:
        own, *others = [direction.name, *(name for name in names if name != direction.name)]
        changes = change(direction.vector, z, [own, *others])
        leak = (changes[1:].square().sum() / max(1, len(others))).sqrt().item()
        length = direction.vector.norm()
        by_chance = torch.cat([change(length * unit, few, [own]) for unit in units]).abs().mean().item()
        found.append(Effect(direction.name, direction.explained, changes[0].item(), leak, by_chance))
    return found


def steer(z, directions=(), strengths=(), norm=None):
    """z + Σ strength · direction, scaled to length `norm` if that is given (a 0 stays 0); z is float [latent_dim]."""
    for direction, strength in zip(directions, strengths, strict=True):
        z = z + strength * direction.vector
    return z if norm is None else z * (norm / z.norm().clamp(min=1e-6))


@torch.no_grad()
def render(sampler, z, directions=(), strengths=(), norm=None):
    """What the sliders show: G(`steer`(z, …)), uint8 [28, 28]. `z` is float [latent_dim]."""
    return data.to_uint8(sampler(steer(z, directions, strengths, norm).unsqueeze(0)))[0]


def invert(sampler, target, steps=150, candidates=2000, seed=0, encoder=None):
    """A z whose image comes near to `target` [1, 28, 28] in [-1, 1]. Returns z [latent_dim] and the mean squared error.

    The eight best of `candidates` random points, and what an `encoder` says if there is one, are refined by Adam, held near
    the sphere where training noise lies; the best of them wins.
    """
    data.check_images(target, ndim=3)
    target = target.to(sampler.device)
    with torch.no_grad():
        noise = sampler.noise(candidates, seed)
        errors = torch.cat([(sampler(part) - target).square().mean((1, 2, 3)) for part in noise.split(500)])
        starts = noise[errors.topk(min(8, candidates), largest=False).indices]
        if encoder is not None:
            starts = torch.cat([starts, encoder(target.unsqueeze(0))])
    z = starts.clone().requires_grad_(True)
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


def learn_encoder(sampler, images, steps=1000, seed=0):
    """A function from images [N, 1, 28, 28] in [-1, 1] to z [N, latent_dim] on the sphere, whose G(z) comes near to them.

    One look in place of a search, and a start for one: an autoencoder of uint8 `images` [M, 28, 28] whose decoder, the
    generator, stays as it is. The hybrid of Zhu et al. 2016 (arXiv 1609.03552).
    """
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        net = models.encoder(sampler.latent_dim).to(sampler.device)
    encode = lambda x: math.sqrt(sampler.latent_dim) * nn.functional.normalize(net(x.to(sampler.device)), dim=1)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for x in itertools.islice(data.batches(images.to(sampler.device), min(64, len(images)), seed=seed), steps):
        error = (sampler(encode(x)) - x).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    net.requires_grad_(False)
    return encode
