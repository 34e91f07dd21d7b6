"""Toy problems: points with a known density, and nets for them. Introduced in lesson 06.

A **world** has `sample` and `log_prob`; its points x are float [N, d].
"""

import math
from typing import NamedTuple

import torch
from torch import nn


class Mixture(NamedTuple):
    """A mixture of equally likely normal distributions, the **modes**: N(centre, sigma²) for each of `centres` [K, d]."""

    centres: torch.Tensor
    sigma: float

    def sample(self, n, rng):
        """The next n points of the `torch.Generator` rng, [n, d]."""
        mode = torch.randint(len(self.centres), (n,), generator=rng)
        return self.centres[mode] + self.sigma * torch.randn(n, self.centres.shape[1], generator=rng)

    def log_prob(self, x):
        """log of the mean over modes of exp(-|x - centre|² / (2 sigma²)) / (sigma sqrt(2 pi))^d, exact, [N]."""
        modes, d = self.centres.shape
        squares = (x.unsqueeze(1) - self.centres).square().sum(2) / self.sigma**2
        return (-squares / 2).logsumexp(1) - math.log(modes) - d * math.log(self.sigma * math.sqrt(2 * math.pi))


def ring(modes=8, radius=2.0, sigma=0.1):
    """A `Mixture` of modes evenly around a circle."""
    angle = 2 * math.pi * torch.arange(modes) / modes
    return Mixture(radius * torch.stack([angle.cos(), angle.sin()], 1), sigma)


def count_modes(samples, centres, sigma):
    """How many of the modes at `centres` have a sample within 3 sigma, and the share of samples that are so near to a mode.

    As in Srivastava et al. 2017 (arXiv 1705.07761) and Lin et al. 2018 (arXiv 1712.04086).
    """
    good = torch.cdist(samples, centres) <= 3 * sigma
    return good.any(0).sum().item(), good.any(1).float().mean().item()


def nets(d=2, latent_dim=2, width=64):
    """A generator from z [N, latent_dim] to points [N, d], and a discriminator from points to logits [N]."""
    mlp = lambda n_in, n_out, activation: nn.Sequential(
        nn.Linear(n_in, width), activation, nn.Linear(width, width), activation, nn.Linear(width, n_out)
    )
    return mlp(latent_dim, d, nn.ReLU()), mlp(d, 1, nn.LeakyReLU(0.2)).append(nn.Flatten(0))
