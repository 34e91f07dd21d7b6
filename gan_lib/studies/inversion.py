"""GAN inversion: from an image to a z whose G(z) is close to it. Introduced in lesson 10."""

import math

import torch

from gan_lib import data


def invert(sampler, target, steps=150, candidates=2000, seed=0, encoder=None):
    """GAN inversion by optimisation: a z whose image is close to `target` [1, 28, 28] in [-1, 1].

    Adam refines the eight best of `candidates` random points, and the `encoder`'s z if there is one, with a penalty that keeps
    them near the sphere where training noise lies. Returns the best z [latent_dim] and its mean squared error.
    """
    data.check_images(target, ndim=3)
    target = target.to(sampler.device)
    errors = lambda z: (sampler(z) - target).square().mean((1, 2, 3))
    with torch.no_grad():
        noise = sampler.noise(candidates, seed)
        best = torch.cat([errors(part) for part in noise.split(500)]).topk(min(8, candidates), largest=False).indices
        z = noise[best] if encoder is None else torch.cat([noise[best], encoder(target.unsqueeze(0))])
    z = z.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], 0.1)
    for _ in range(steps):
        off_the_sphere = (z.norm(dim=1) / math.sqrt(sampler.latent_dim) - 1).square()
        loss = (errors(z) + 0.1 * off_the_sphere).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    error = errors(z)
    return z[error.argmin()].detach(), error.min().item()
