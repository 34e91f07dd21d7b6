"""Generators and discriminators as plain stacks of layers. The comment beside a layer is the shape of its output.

A generator maps z [N, latent_dim] from N(0, 1) to images [N, 1, 28, 28] in [-1, 1]. A discriminator maps images to logits [N],
high for real. MLPs: lesson 02. Convolutions: lesson 03. Class-conditional nets take labels y, int64 [N], too: lesson 11.
"""

import copy

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_lib import UserError
from gan_lib.sampler import Sampler as Sampler


def mlp_generator(latent_dim=64, width=256):
    """Three linear layers and a tanh. Lesson 02."""
    return nn.Sequential(  #                                  z [N, latent_dim]
        nn.Linear(latent_dim, width), nn.ReLU(),  #             [N, width]
        nn.Linear(width, width), nn.ReLU(),  #                  [N, width]
        nn.Linear(width, 28 * 28), nn.Tanh(),  #                [N, 784] in [-1, 1]
        nn.Unflatten(1, (1, 28, 28)),  #                        [N, 1, 28, 28]
    )  # fmt: skip


def mlp_discriminator(width=256):
    """Three linear layers. LeakyReLU has a gradient below 0 as well. Lesson 02."""
    return nn.Sequential(  #                                  x [N, 1, 28, 28]
        nn.Flatten(),  #                                        [N, 784]
        nn.Linear(28 * 28, width), nn.LeakyReLU(0.2),  #        [N, width]
        nn.Linear(width, width), nn.LeakyReLU(0.2),  #          [N, width]
        nn.Linear(width, 1), nn.Flatten(0),  #                  [N]
    )  # fmt: skip


class SigmoidPixels(nn.Module):
    """2 sigmoid(a) - 1 = tanh(a / 2): pixels as probabilities, scaled to [-1, 1]."""

    def forward(self, a):
        return a.sigmoid() * 2 - 1


def mlp_sigmoid_generator(latent_dim=128, width=256):
    """Layers that widen and end in sigmoid pixels, as in many first GANs."""
    return nn.Sequential(  #                                  z [N, latent_dim]
        nn.Linear(latent_dim, width), nn.ReLU(),  #             [N, width]
        nn.Linear(width, 2 * width), nn.ReLU(),  #              [N, 2 width]
        nn.Linear(2 * width, 28 * 28), SigmoidPixels(),  #      [N, 784] in [-1, 1]
        nn.Unflatten(1, (1, 28, 28)),  #                        [N, 1, 28, 28]
    )  # fmt: skip


def mlp_relu_discriminator(width=256):
    """Layers that narrow, with ReLU."""
    return nn.Sequential(  #                                  x [N, 1, 28, 28]
        nn.Flatten(),  #                                        [N, 784]
        nn.Linear(28 * 28, 2 * width), nn.ReLU(),  #            [N, 2 width]
        nn.Linear(2 * width, width), nn.ReLU(),  #              [N, width]
        nn.Linear(width, 1), nn.Flatten(0),  #                  [N]
    )  # fmt: skip


def dcgan_generator(latent_dim=64, width=32, channels=1):
    """Transposed convolutions from z to 28 × 28: Radford et al. 2015 (arXiv 1511.06434), figure 1, for MNIST. Lesson 03."""
    return nn.Sequential(  #                                                              z [N, latent_dim]
        nn.Unflatten(1, (latent_dim, 1, 1)),  #                                             [N, latent_dim, 1, 1]
        nn.ConvTranspose2d(latent_dim, 4 * width, 4, bias=False),  #                        [N, 4 width, 4, 4]
        nn.BatchNorm2d(4 * width), nn.ReLU(),  #                                            [N, 4 width, 4, 4]
        nn.ConvTranspose2d(4 * width, 2 * width, 3, stride=2, padding=1, bias=False),  #    [N, 2 width, 7, 7]
        nn.BatchNorm2d(2 * width), nn.ReLU(),  #                                            [N, 2 width, 7, 7]
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),  #        [N, width, 14, 14]
        nn.BatchNorm2d(width), nn.ReLU(),  #                                                [N, width, 14, 14]
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.Tanh(),  #          [N, channels, 28, 28] in [-1, 1]
    ).apply(normal_init)  # fmt: skip


def dcgan_discriminator(width=32):
    """Strided convolutions, no BatchNorm after the first: Radford et al. 2015 (arXiv 1511.06434), section 3. Lesson 03."""
    return nn.Sequential(  #                                                              x [N, 1, 28, 28]
        nn.Conv2d(1, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),  #                  [N, width, 14, 14]
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),  #                 [N, 2 width, 7, 7]
        nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2),  #                                    [N, 2 width, 7, 7]
        nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1, bias=False),  #             [N, 4 width, 4, 4]
        nn.BatchNorm2d(4 * width), nn.LeakyReLU(0.2),  #                                    [N, 4 width, 4, 4]
        nn.Conv2d(4 * width, 1, 4), nn.Flatten(0),  #                                       [N]
    ).apply(normal_init)  # fmt: skip


def mapped_generator(latent_dim=64, width=32):
    """A DCGAN's generator behind one layer that maps z, the shortest mapping network (Karras et al. 2018, arXiv 1812.04948)."""
    return nn.Sequential(  #                                  z [N, latent_dim]
        nn.Linear(latent_dim, 128), nn.BatchNorm1d(128), nn.LeakyReLU(0.2),  # [N, 128]
        *dcgan_generator(128, width),  #                        [N, 1, 28, 28] in [-1, 1]
    )  # fmt: skip


def plain_discriminator(width=32, channels=1):
    """No BatchNorm, as gradient penalties need it. The hidden layer lets the logit depend on combinations of patches."""
    return nn.Sequential(  #                                                              x [N, channels, 28, 28]
        nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),  #           [N, width, 14, 14]
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),  #          [N, 2 width, 7, 7]
        nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), nn.LeakyReLU(0.2),  #      [N, 4 width, 4, 4]
        nn.Flatten(), nn.Linear(16 * 4 * width, 128), nn.LeakyReLU(0.2),  #                 [N, 128]
        nn.Linear(128, 1), nn.Flatten(0),  #                                                [N]
    )  # fmt: skip


def spectral_discriminator(width=32):
    """`plain_discriminator` with spectral normalisation: each weight matrix is divided by its largest singular value.

    Miyato et al. 2018 (arXiv 1802.05957), section 2.1; torch estimates it with one power iteration a pass. Lesson 09.
    """
    return plain_discriminator(width).apply(lambda layer: spectral_norm(layer) if hasattr(layer, "weight") else layer)


class Residual(nn.Module):
    """x + f(x), two convolutions in f, [N, width, H, W] → the same: He et al. 2015 (arXiv 1512.03385). Lesson 09."""

    def __init__(self, width):
        super().__init__()
        self.f = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, padding=1),
            nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x):
        return x + self.f(x)


class Clip(nn.Module):
    """Pixels clipped to [-1, 1] in eval mode, unchanged in train mode, so that every pixel has a gradient."""

    def forward(self, x):
        return x if self.training else x.clamp(-1, 1)


def residual_generator(latent_dim=64, width=32):
    """A small R3GAN: Huang et al. 2025 (arXiv 2501.05441). Nothing is normalised, so a tanh in place of `Clip` would saturate."""
    return nn.Sequential(  #                                                              z [N, latent_dim]
        nn.Linear(latent_dim, 16 * 4 * width), nn.Unflatten(1, (4 * width, 4, 4)),  #       [N, 4 width, 4, 4]
        Residual(4 * width),  #                                                             [N, 4 width, 4, 4]
        nn.ConvTranspose2d(4 * width, 2 * width, 3, stride=2, padding=1),  #                [N, 2 width, 7, 7]
        Residual(2 * width),  #                                                             [N, 2 width, 7, 7]
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), Residual(width),  #   [N, width, 14, 14]
        nn.LeakyReLU(0.2), nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1), Clip(),  # [N, 1, 28, 28]
    ).apply(even_init)  # fmt: skip


def residual_discriminator(width=32):
    """The mirror image of the generator: images → one logit each."""
    return nn.Sequential(  #                                                              x [N, 1, 28, 28]
        nn.Conv2d(1, width, 4, stride=2, padding=1), Residual(width),  #                    [N, width, 14, 14]
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), Residual(2 * width),  #        [N, 2 width, 7, 7]
        nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), Residual(4 * width),  #    [N, 4 width, 4, 4]
        nn.LeakyReLU(0.2), nn.Conv2d(4 * width, 1, 4), nn.Flatten(0),  #                    [N]
    ).apply(even_init)  # fmt: skip


def even_init(layer):
    """Weights from N(0, 1 / n), n the inputs of each output, which keeps the variance: LeCun et al. 1998, "Efficient BackProp".

    The last layer of f is 0, so that a `Residual` starts as the identity: Zhang et al. 2019 (arXiv 1901.09321).
    """
    if isinstance(layer, Residual):
        nn.init.zeros_(layer.f[-1].weight)
    elif hasattr(layer, "weight"):
        n = layer.weight[0].numel()
        if isinstance(layer, nn.ConvTranspose2d):
            n = layer.weight[:, 0].numel() / (layer.stride[0] * layer.stride[1])
        nn.init.normal_(layer.weight, 0.0, n**-0.5)
        nn.init.zeros_(layer.bias)


def normal_init(layer):
    """Convolutions from N(0, 0.02²): Radford et al. 2015, section 4. BatchNorm's γ from N(1, 0.02²), as in their code."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


def digit_classifier():
    """Images [N, 1, 28, 28] in [-1, 1] → 10 logits. evaluation.py uses the input of the last layer as features."""
    return nn.Sequential(  #                                                          x [N, 1, 28, 28]
        nn.Conv2d(1, 32, 5, stride=2, padding=2), nn.BatchNorm2d(32), nn.ReLU(),  #     [N, 32, 14, 14]
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),  #              [N, 64, 14, 14]
        nn.MaxPool2d(2),  #                                                             [N, 64, 7, 7]
        nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),  #              [N, 64, 7, 7]
        nn.Flatten(), nn.Linear(64 * 49, 128), nn.BatchNorm1d(128), nn.ReLU(),  #       [N, 128] the features
        nn.Linear(128, 10),  #                                                          [N, 10] the logits
    ).to(memory_format=torch.channels_last)  # fmt: skip  # the same numbers in another order in memory: faster on a CPU


class LabelledGenerator(nn.Module):
    """G(z, y) = g(W z + b + u_y): W z + b is the first layer of `net`, which must be linear; u, the class embedding, starts at 0.

    The same as a one-hot y concatenated to z: Mirza & Osindero 2014 (arXiv 1411.1784), eq. 2.
    """

    def __init__(self, net, classes=10):
        super().__init__()
        self.first, *rest = net
        if not isinstance(self.first, nn.Linear):
            raise UserError(f"A conditional generator must begin with a linear layer, not with {self.first}.")
        self.rest, self.classes = nn.Sequential(*rest), classes
        self.embedding = nn.Embedding(classes, self.first.out_features)
        nn.init.zeros_(self.embedding.weight)

    def forward(self, z, y):
        """z [N, latent_dim], y [N] → images [N, 1, 28, 28] in [-1, 1]. Or y are shares of the classes, float [N, classes]."""
        u = y @ self.embedding.weight if y.is_floating_point() else self.embedding(y)
        return self.rest(self.first(z) + u)

    @torch.no_grad()
    def of(self, label):
        """A generator of one class: a net of z alone."""
        net = copy.deepcopy(nn.Sequential(self.first, *self.rest))
        net[0].bias += self.embedding.weight[label]
        return net


class ProjectionDiscriminator(nn.Module):
    """D(x, y) = w · f(x) + b + v_y · f(x): does x look real, and like y? Miyato & Koyama 2018 (arXiv 1802.05637), eq. 3.

    f(x) is the input of the last layer of `net`, which must end in a linear layer and Flatten. v starts at 0.
    """

    def __init__(self, net, classes=10):
        super().__init__()
        *body, self.last, _ = net
        if not isinstance(self.last, nn.Linear):
            raise UserError(f"A conditional discriminator must end in a linear layer, not in {self.last}.")
        self.features = nn.Sequential(*body)
        self.embedding = nn.Embedding(classes, self.last.in_features)
        nn.init.zeros_(self.embedding.weight)

    def forward(self, images, y):
        """images [N, 1, 28, 28], y [N] → logits [N], high for real images of that class."""
        f = self.features(images)  # [N, features]
        return self.last(f).squeeze(1) + (self.embedding(y) * f).sum(1)
