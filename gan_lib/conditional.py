"""Class-conditional nets: G(z, y) generates a digit of class y, D(x, y) judges an image together with its label. Lesson 11.

Labels y are int64 [N], from 0 to classes - 1. Each class wraps a net of models.py; `Recipe.classes` switches them on.
"""

import copy

import torch
from torch import nn

from gan_lib import UserError


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
