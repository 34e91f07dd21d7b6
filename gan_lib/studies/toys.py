"""Toy problems with exact solutions: players of one number each, and points with a known density. Introduced in lesson 06.

A **field** maps the players' numbers theta (generator) and psi (discriminator), tensors of one shape, to their velocities v: the
directions of their gradient steps, `+ h * v`. A **world** has `sample` and `log_prob`; its points x are float [N, d].
"""

import math
from typing import NamedTuple

import torch
from torch import nn

# The Dirac-GAN (Mescheder et al. 2018, arXiv 1801.04406, definition 2.1): the only real point is x = 0, G's only fake is
# x = theta, and D's logit at x is psi x. The equilibrium is theta = psi = 0.

NOISE = torch.distributions.Normal(0, 1).icdf((torch.arange(200) + 0.5) / 200)  # 200 quantiles of N(0, 1)


def minimax(theta, psi):
    """D maximises log(1 - D(theta)), with D(theta) = sigmoid(theta psi), and G minimises it."""
    d_fake = torch.sigmoid(theta * psi)
    return d_fake * psi, -d_fake * theta


def non_saturating(theta, psi):
    """D maximises log(1 - D(theta)), and G minimises -log D(theta)."""
    d_fake = torch.sigmoid(theta * psi)
    return (1 - d_fake) * psi, -d_fake * theta


def r1(theta, psi, gamma=0.3):
    """`non_saturating` with the penalty gamma / 2 · psi², the squared gradient of D at the real point (eq. 9 there)."""
    v_theta, v_psi = non_saturating(theta, psi)
    return v_theta, v_psi - gamma * psi


def instance_noise(theta, psi, sigma=0.7):
    """`non_saturating`, averaged over noise N(0, sigma²) on both points (Sønderby et al. 2016, arXiv 1610.04490)."""
    noise, theta, psi = sigma * NOISE.to(theta), theta.unsqueeze(-1), psi.unsqueeze(-1)
    d_real, d_fake = torch.sigmoid(noise * psi), torch.sigmoid((theta + noise) * psi)
    return ((1 - d_fake) * psi).mean(-1), ((1 - d_real) * noise - d_fake * (theta + noise)).mean(-1)


def wgan(theta, psi):
    """D maximises the difference of its logits, 0 - theta psi, and G minimises it (Arjovsky et al. 2017, arXiv 1701.07875)."""
    return psi, -theta


def wgan_gp(theta, psi, gamma=0.3):
    """`wgan` with the gradient penalty gamma / 2 · (|psi| - 1)² (Gulrajani et al. 2017, arXiv 1704.00028)."""
    return psi, -theta - gamma * (psi - psi.sign())


FIELDS = {
    "minimax": minimax,
    "non-saturating": non_saturating,
    "R1": r1,
    "instance noise": instance_noise,
    "WGAN": wgan,
    "WGAN-GP": wgan_gp,
}


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


def grid(side=5, spacing=1.0, sigma=0.1):
    """A `Mixture` of side × side modes, the middle one at the origin."""
    at = spacing * (torch.arange(side) - (side - 1) / 2)
    return Mixture(torch.cartesian_prod(at, at), sigma)


def count_good_samples(world, x):
    """How many of x [N, d] are good samples of each mode, [K]: nearest to it, and within three standard deviations.

    As in Srivastava et al. 2017 (arXiv 1705.07761) and Lin et al. 2018 (arXiv 1712.04086).
    """
    distance, mode = (x.unsqueeze(1) - world.centres).norm(dim=2).min(1)
    return mode[distance <= 3 * world.sigma].bincount(minlength=len(world.centres))


def count_modes(world, x):
    """How many modes have at least one good sample among x."""
    return count_good_samples(world, x).count_nonzero().item()


def share_of_good_samples(world, x):
    """The share of x that is good: of a world's own points in the plane 1 - exp(-9 / 2) or more, 98.9 %."""
    return count_good_samples(world, x).sum().item() / len(x)


def nets(d=2, latent_dim=2, width=64):
    """A generator from z [N, latent_dim] to points [N, d], and a discriminator from points to logits [N]."""
    mlp = lambda n_in, n_out, activation: nn.Sequential(
        nn.Linear(n_in, width), activation, nn.Linear(width, width), activation, nn.Linear(width, n_out)
    )
    return mlp(latent_dim, d, nn.ReLU()), mlp(d, 1, nn.LeakyReLU(0.2)).append(nn.Flatten(0))
