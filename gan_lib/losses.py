"""The losses of both players, as pairs of pure functions of logits, and gradient penalties. Introduced in lesson 02.

A discriminator returns one logit per image, **high for real**: D(x) = sigmoid(logit). Each loss takes `real_logits` and
`fake_logits`, float [N], and returns the mean over the batch. -log sigmoid(a) = softplus(-a) and -log(1 - sigmoid(a)) =
softplus(a), with softplus(a) = log(1 + exp(a)): exact, also where sigmoid(a) underflows.
"""

from collections import namedtuple

import torch
from torch.nn.functional import relu, softplus

from gan_lib import UserError

# Two functions. `paired`: the generator's loss pairs real with fake, so it needs real logits as well.
Loss = namedtuple("Loss", ["discriminator", "generator", "paired"], defaults=[False])


def cross_entropy_d(real_logits, fake_logits):
    """-mean log D(x) - mean log(1 - D(G(z))), the binary cross-entropy. At D = 1/2 it is log 4.

    Goodfellow et al. 2014 (arXiv 1406.2661), eq. 1.
    """
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def non_saturating_g(real_logits, fake_logits):
    """-mean log D(G(z)). At D = 1/2 it is log 2. Goodfellow et al. 2014, section 3."""
    return softplus(-fake_logits).mean()


def minimax_g(real_logits, fake_logits):
    """mean log(1 - D(G(z))): eq. 1 for G. Its gradient vanishes where D is sure. At D = 1/2 it is -log 2."""
    return -softplus(fake_logits).mean()


def check_pairs(real, fake):
    """Raise `UserError` unless the shapes are equal: [N, 1] and [N] would broadcast to N × N pairs."""
    if real.shape != fake.shape:
        shapes = f"{list(real.shape)} and {list(fake.shape)}"
        raise UserError(f"Real and fake must have the same shape to be paired, not {shapes}.")


def relativistic_d(real_logits, fake_logits):
    """-mean log sigmoid(D(x) - D(G(z))), D as logits: each real logit above that of its fake. At D(x) = D(G(z)) it is log 2.

    Jolicoeur-Martineau 2018 (arXiv 1807.00734); Huang et al. 2025 (arXiv 2501.05441), eq. 2.
    """
    check_pairs(real_logits, fake_logits)
    return softplus(fake_logits - real_logits).mean()


def relativistic_g(real_logits, fake_logits):
    """-mean log sigmoid(D(G(z)) - D(x)): the same with real and fake exchanged."""
    return relativistic_d(fake_logits, real_logits)


def least_squares_d(real_logits, fake_logits):
    """mean (D(x) - 1)² / 2 + mean (D(G(z)) + 1)² / 2, D as logits: targets 1 for real and -1 for fake. At D = 0 it is 1.

    Mao et al. 2017 (arXiv 1611.04076), eq. 2 with a = -1 and b = c = 1, so that 0 is undecided as in the other losses.
    """
    return ((real_logits - 1).square().mean() + (fake_logits + 1).square().mean()) / 2


def least_squares_g(real_logits, fake_logits):
    """mean (D(G(z)) - 1)² / 2, D as logits: target 1; a logit above 1 costs as well. At D = 0 it is 1 / 2."""
    return (fake_logits - 1).square().mean() / 2


def hinge_d(real_logits, fake_logits):
    """mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z))), D as logits. At D = 0 it is 2. Lim & Ye 2017 (arXiv 1705.02894)."""
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def mean_g(real_logits, fake_logits):
    """-mean D(G(z)), D as logits: the same gradient for every fake. Miyato et al. 2018 (arXiv 1802.05957), eq. 17."""
    return -fake_logits.mean()


def wasserstein_d(real_logits, fake_logits):
    """mean D(G(z)) - mean D(x), D as logits; D needs a Lipschitz constraint. Arjovsky et al. 2017 (arXiv 1701.07875), eq. 3."""
    return fake_logits.mean() - real_logits.mean()


LOSSES = {
    "non-saturating": Loss(cross_entropy_d, non_saturating_g),
    "minimax": Loss(cross_entropy_d, minimax_g),
    "least squares": Loss(least_squares_d, least_squares_g),
    "hinge": Loss(hinge_d, mean_g),
    "Wasserstein": Loss(wasserstein_d, mean_g),
    "relativistic": Loss(relativistic_d, relativistic_g, paired=True),
}

# Gradient penalties: gamma / 2 times a penalty is added to D's loss. BatchNorm in D would mix the input gradients of a batch.


def input_gradients(discriminator, images):
    """Input gradients dD(x)/dx, D as logits, of images [N, ...], as [N, d]. They can be differentiated by D's weights."""
    images = images.detach().requires_grad_(True)
    (gradients,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradients.flatten(1)


def r1_penalty(discriminator, real, fake):
    """mean |dD(x)/dx|², over the real images. Mescheder et al. 2018 (arXiv 1801.04406), eq. 9."""
    return input_gradients(discriminator, real).square().sum(1).mean()


def r2_penalty(discriminator, real, fake):
    """mean |dD(G(z))/dG(z)|², over the fakes. Mescheder et al. 2018, eq. 10."""
    return input_gradients(discriminator, fake).square().sum(1).mean()


def zero_centred_penalties(discriminator, real, fake):
    """R1 + R2 in one pass; real and fake have the same shape [N, ...]."""
    check_pairs(real, fake)
    return 2 * input_gradients(discriminator, torch.cat([real, fake])).square().sum(1).mean()  # a mean over 2 N


def one_centred_penalty(discriminator, real, fake):
    """mean (|dD(y)/dy| - 1)² at y = (1 - u) x + u G(z), between real and fake: the Lipschitz constraint of a Wasserstein loss.

    Gulrajani et al. 2017 (arXiv 1704.00028), eq. 3, with gamma = 2 lambda. u, in [0, 1], rises evenly through the batch.
    """
    check_pairs(real, fake)
    n = len(real)
    u = ((torch.arange(n, device=real.device) + 0.5) / n).view(n, *[1] * (real.ndim - 1))
    return (input_gradients(discriminator, real.lerp(fake, u)).norm(dim=1) - 1).square().mean()


PENALTIES = {"R1": r1_penalty, "R2": r2_penalty, "R1 + R2": zero_centred_penalties, "WGAN-GP": one_centred_penalty}
