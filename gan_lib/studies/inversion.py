"""GAN inversion: from an image, which may be a photograph, to a z whose G(z) is close to it. Introduced in lesson 10."""

import math

import numpy as np
import torch
from torch.nn import functional as F

from gan_lib import UserError, data, files


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


def read_photograph(file):
    """A digit from a photograph or a drawing, a file's path or its bytes, as MNIST has them: float [1, 28, 28] in [-1, 1].

    White on black, within 20 × 20 pixels, its centre of mass at (14, 14). `UserError` for an unreadable or empty picture.
    """
    name = "This picture" if isinstance(file, bytes) else f"The picture {file}"
    grey = torch.from_numpy(np.array(files.read_picture(file))).float().div(255)  # [height, width]
    background = torch.cat([grey[0], grey[-1], grey[:, 0], grey[:, -1]]).median()
    low, high = grey.aminmax()
    if high - low < 0.1:
        raise UserError(f"{name} shows nothing: it has one shade all over.")
    ink = (grey - background) / ((low if background - low > high - background else high) - background)
    ink = torch.where(ink > 0.15, ink, 0)  # removes the grain of the paper
    rows, columns = ink.sum(1).nonzero(), ink.sum(0).nonzero()
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = [max(1, round(20 * side / max(ink.shape))) for side in ink.shape]
    ink = F.interpolate(ink[None, None], size, mode="area")[0, 0]
    ink = ink / ink.max()
    centre = [(ink.sum(1 - i) * torch.arange(side)).sum() / ink.sum() for i, side in enumerate(size)]
    top, left = [min(max(round(14 - c.item()), 0), 28 - side) for c, side in zip(centre, size, strict=True)]
    return F.pad(ink, (left, 28 - left - size[1], top, 28 - top - size[0])).unsqueeze(0) * 2 - 1
