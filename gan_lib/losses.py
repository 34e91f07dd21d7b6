"""What each player wants, as pairs of pure functions of logits.

A discriminator returns one logit per image, **high for real**: D(x) = sigmoid(logit). Each function below takes
`real_logits` and `fake_logits` (float [N], any real number) and returns the mean over the batch as a scalar. Those that pair
real with fake raise `UserError` where the two shapes differ.

Logarithms are written with softplus(a) = log(1 + exp(a)), because -log sigmoid(a) = softplus(-a) and
-log(1 - sigmoid(a)) = softplus(a): exact, and with a full gradient, where log(sigmoid(a)) underflows.
Introduced in lesson 02.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import relu, softplus

from gan_lib import UserError


class Loss(NamedTuple):
    """The two players' losses; `paired` says that the generator's looks at real logits too."""

    discriminator: Callable
    generator: Callable
    paired: bool = False


def cross_entropy_d(real_logits, fake_logits):
    """-mean log D(x) - mean log(1 - D(G(z))): binary cross-entropy with label 1 for real and 0 for fake.

    Goodfellow et al. 2014 (arXiv 1406.2661), eq. 1. At the equilibrium D = 1/2 it is log 4.
    """
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def non_saturating_g(real_logits, fake_logits):
    """-mean log D(G(z)): "the fakes are real", as binary cross-entropy with label 1. At the equilibrium it is log 2.

    Goodfellow et al. 2014 (arXiv 1406.2661), section 3.
    """
    return softplus(-fake_logits).mean()


def minimax_g(real_logits, fake_logits):
    """mean log(1 - D(G(z))): the generator's side of eq. 1. Flat where the discriminator is sure. -log 2 at equilibrium."""
    return -softplus(fake_logits).mean()


def check_pairs(real, fake):
    """Raise `UserError` unless the shapes are equal: [N, 1] beside [N] would make N × N pairs."""
    if real.shape != fake.shape:
        raise UserError(
            f"Real and fake must have the same shape to be paired, not {[*real.shape]} and {[*fake.shape]}."
        )


def relativistic_d(real_logits, fake_logits):
    """-mean log sigmoid(D(x) - D(G(z))), D as logits: real must beat fake, pair by pair. At the equilibrium it is log 2.

    Jolicoeur-Martineau 2018 (arXiv 1807.00734); Huang et al. 2025 (arXiv 2501.05441), eq. 2.
    """
    check_pairs(real_logits, fake_logits)
    return softplus(fake_logits - real_logits).mean()


def relativistic_g(real_logits, fake_logits):
    """-mean log sigmoid(D(G(z)) - D(x)): the same with the pair swapped."""
    check_pairs(real_logits, fake_logits)
    return softplus(real_logits - fake_logits).mean()


def least_squares_d(real_logits, fake_logits):
    """mean (D(x) - 1)² / 2 + mean (D(G(z)) + 1)² / 2, D as logits: real at 1, fake at -1. At the equilibrium D = 0 it is 1.

    Mao et al. 2017 (arXiv 1611.04076), eq. 2 with a = -1 and b = c = 1, so that 0 is undecided as in the other losses.
    """
    return ((real_logits - 1).square().mean() + (fake_logits + 1).square().mean()) / 2


def least_squares_g(real_logits, fake_logits):
    """mean (D(G(z)) - 1)² / 2: fakes where real images are; too high is wrong as well. At the equilibrium it is 1 / 2."""
    return (fake_logits - 1).square().mean() / 2


def hinge_d(real_logits, fake_logits):
    """mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z))), D as logits: beyond 1, and -1, nothing is to be gained. At D = 0 it is 2.

    Lim & Ye 2017 (arXiv 1705.02894); Miyato et al. 2018 (arXiv 1802.05957), eq. 16.
    """
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def mean_g(real_logits, fake_logits):
    """-mean D(G(z)), D as logits: the same pull on every fake. Of hinge (Miyato et al. 2018, eq. 17) and Wasserstein."""
    return -fake_logits.mean()


def wasserstein_d(real_logits, fake_logits):
    """mean D(G(z)) - mean D(x), D as logits: the gap between the two. It has no end unless D's slopes have one. At D = 0 it is 0.

    Arjovsky et al. 2017 (arXiv 1701.07875), eq. 3.
    """
    return fake_logits.mean() - real_logits.mean()


LOSSES = {
    "non-saturating": Loss(cross_entropy_d, non_saturating_g),
    "minimax": Loss(cross_entropy_d, minimax_g),
    "least squares": Loss(least_squares_d, least_squares_g),
    "hinge": Loss(hinge_d, mean_g),
    "Wasserstein": Loss(wasserstein_d, mean_g),
    "relativistic": Loss(relativistic_d, relativistic_g, paired=True),
}

# Penalties on the slopes of D, which add gamma / 2 times themselves to its loss. D must have no BatchNorm, or the images of a
# batch would share their slopes.


def slopes(discriminator, images):
    """dD(x)/dx, D as logits, for images [N, ...], as [N, d]. Gradients go on to D's weights, and not to the images."""
    images = images.detach().requires_grad_(True)
    (found,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return found.flatten(1)


def r1_penalty(discriminator, real, fake):
    """mean |dD(x)/dx|²: steep slopes of D at real images cost. Mescheder et al. 2018 (arXiv 1801.04406), eq. 9."""
    return slopes(discriminator, real).square().sum(1).mean()


def r2_penalty(discriminator, real, fake):
    """mean |dD(G(z))/dG(z)|²: steep slopes of D at fakes cost. Eq. 10 there."""
    return slopes(discriminator, fake).square().sum(1).mean()


def zero_centred_penalties(discriminator, real, fake):
    """R1 + R2, from one pass; real and fake are [N, ...], as many of one kind as of the other."""
    check_pairs(real, fake)
    found = slopes(discriminator, torch.cat([real, fake]))
    return 2 * found.square().sum(1).mean()  # a mean over 2 N, and a sum of two


def one_centred_penalty(discriminator, real, fake):
    """mean (|dD(y)/dy| - 1)² at points y = (1 - u) x + u G(z) between the two kinds: slopes other than 1 cost.

    Gulrajani et al. 2017 (arXiv 1704.00028), eq. 3, with gamma = 2 lambda. u is to be uniform in [0, 1]; it takes even steps
    through the batch, for which images meet there is left to chance already.
    """
    check_pairs(real, fake)
    n = len(real)
    u = ((torch.arange(n, device=real.device) + 0.5) / n).view(n, *[1] * (real.ndim - 1))
    return (slopes(discriminator, real.lerp(fake, u)).norm(dim=1) - 1).square().mean()


PENALTIES = {"R1": r1_penalty, "R2": r2_penalty, "R1 + R2": zero_centred_penalties, "WGAN-GP": one_centred_penalty}
