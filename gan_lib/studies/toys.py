"""A toy problem, points in the plane, and nets for points. Introduced in lesson 06."""

import math

import torch
from torch import nn


class Ring:
    """Eight equally likely normal distributions around a circle, the **modes**: N(centre, sigma²) for each centre [2].

    `training.train` takes it as a world, because it has `sample`.
    """

    angles = 2 * math.pi * torch.arange(8) / 8
    centres, sigma = 2 * torch.stack([angles.cos(), angles.sin()], 1), 0.1

    def sample(self, n, rng):
        """The next n points of the `torch.Generator` rng, [n, 2]."""
        mode = torch.randint(8, (n,), generator=rng)
        return self.centres[mode] + self.sigma * torch.randn(n, 2, generator=rng)


def nets(d=2, latent_dim=2, width=64):
    """A generator from z [N, latent_dim] to points [N, d], and a discriminator from points to logits [N]."""
    mlp = lambda n_in, n_out, activation: nn.Sequential(
        nn.Linear(n_in, width), activation, nn.Linear(width, width), activation, nn.Linear(width, n_out)
    )
    return mlp(latent_dim, d, nn.ReLU()), mlp(d, 1, nn.LeakyReLU(0.2)).append(nn.Flatten(0))
