"""What each player wants, as pairs of pure functions of logits.

A discriminator returns one logit per image, **high for real**: D(x) = sigmoid(logit). Each function below takes
`real_logits` and `fake_logits` (float [N], any real number) and returns the mean over the batch as a scalar.

All are written with softplus(a) = log(1 + exp(a)), because -log sigmoid(a) = softplus(-a) and
-log(1 - sigmoid(a)) = softplus(a): exact, and with a full gradient, where log(sigmoid(a)) underflows.
Introduced in lesson 02.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import softplus


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


def relativistic_d(real_logits, fake_logits):
    """-mean log sigmoid(D(x) - D(G(z))), D as logits: real must beat fake, pair by pair. At the equilibrium it is log 2.

    Jolicoeur-Martineau 2018 (arXiv 1807.00734); Huang et al. 2025 (arXiv 2501.05441), eq. 2.
    """
    return softplus(fake_logits - real_logits).mean()


def relativistic_g(real_logits, fake_logits):
    """-mean log sigmoid(D(G(z)) - D(x)): the same with the pair swapped."""
    return softplus(real_logits - fake_logits).mean()


def zero_centred_penalties(discriminator, real, fake):
    """R1 + R2 = mean |dD(x)/dx|² + mean |dD(G(z))/dG(z)|², D as logits: steep slopes of D at either kind of image cost.

    Images are [N, 1, 28, 28]. D must have no BatchNorm, or the images of a batch would share their slopes.
    Mescheder et al. 2018 (arXiv 1801.04406), eq. 9 and 10, without the factor gamma / 2.
    """
    images = torch.cat([real, fake]).detach().requires_grad_(True)
    (slopes,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return 2 * slopes.square().flatten(1).sum(1).mean()  # half of the images are real: twice the mean is the sum of two


LOSSES = {
    "non-saturating": Loss(cross_entropy_d, non_saturating_g),
    "minimax": Loss(cross_entropy_d, minimax_g),
    "relativistic": Loss(relativistic_d, relativistic_g, paired=True),
}
