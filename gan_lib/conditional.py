"""Players that are told which class an image is to show: G(z, y) and D(x, y). Lesson 08.

Labels y are int64 [N], from 0 to classes - 1. Any pair of models.py whose discriminator ends in a linear layer can be told.
"""

import functools

import torch
from torch import nn


class LabelledGenerator(nn.Module):
    """G(z, y): beside z stands a vector that belongs to y, as long as z, and learnt. Mirza & Osindero 2014 (arXiv 1411.1784)."""

    def __init__(self, make, latent_dim=64, width=256, classes=10):
        super().__init__()
        self.classes = classes
        self.embedding = nn.Embedding(classes, latent_dim)
        self.net = make(2 * latent_dim, width)

    def forward(self, z, labels):
        """z [N, latent_dim], labels [N] → images [N, 1, 28, 28] in [-1, 1]."""
        return self.net(torch.cat([z, self.embedding(labels)], 1))


class ProjectionDiscriminator(nn.Module):
    """D(x, y) = D(x) + v_y · f(x), where f(x) [features] enters D's last layer: one more number, how well x fits its label.

    Miyato & Koyama 2018 (arXiv 1802.05637), eq. 3. v starts at 0, and D as a discriminator that looks at no label.
    """

    def __init__(self, make, width=256, classes=10):
        super().__init__()
        *body, self.last, _ = make(width)
        self.features = nn.Sequential(*body)
        self.embedding = nn.Embedding(classes, self.last.in_features)
        nn.init.zeros_(self.embedding.weight)

    def forward(self, images, labels):
        """images [N, 1, 28, 28], labels [N] → logits [N], high for real images of that label."""
        f = self.features(images)  # [N, features]
        return self.last(f).squeeze(1) + (self.embedding(labels) * f).sum(1)


def pair(make_generator, make_discriminator):
    """The makers of the same two nets, told labels."""
    return functools.partial(LabelledGenerator, make_generator), functools.partial(
        ProjectionDiscriminator, make_discriminator
    )
