"""Residual nets without normalisation, a small R3GAN (Huang et al. 2025, arXiv 2501.05441). Shapes as in models.py. Lesson 09."""

import math

from torch import nn


class Residual(nn.Module):
    """x + f(x), two convolutions in f, [N, width, H, W] → the same. He et al. 2015 (arXiv 1512.03385)."""

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


def generator(latent_dim=64, width=32):
    """z → images, with a residual block at each size. A tanh in place of `Clip` would saturate: nothing here is normalised."""
    return nn.Sequential(  #                                                              z [N, latent_dim]
        nn.Linear(latent_dim, 16 * 4 * width), nn.Unflatten(1, (4 * width, 4, 4)),  #       [N, 4 width, 4, 4]
        Residual(4 * width),  #                                                             [N, 4 width, 4, 4]
        nn.ConvTranspose2d(4 * width, 2 * width, 3, stride=2, padding=1),  #                [N, 2 width, 7, 7]
        Residual(2 * width),  #                                                             [N, 2 width, 7, 7]
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), Residual(width),  #   [N, width, 14, 14]
        nn.LeakyReLU(0.2), nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1), Clip(),  # [N, 1, 28, 28]
    ).apply(even_init)  # fmt: skip


def discriminator(width=32):
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
            n = layer.weight[:, 0].numel() / math.prod(layer.stride)
        nn.init.normal_(layer.weight, 0.0, n**-0.5)
        nn.init.zeros_(layer.bias)
