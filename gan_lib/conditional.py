"""Players that are told which class an image is to show: G(z, y) and D(x, y). Lesson 08.

Labels y are int64 [N], from 0 to classes - 1. Nets of models.py stand inside: `Recipe.classes` puts them there.
"""

import copy

import torch
from torch import nn

from gan_lib import UserError


class LabelledGenerator(nn.Module):
    """G(z, y) = g(W z + b + u_y), where W z + b is the first layer of `net`, and g the others: y moves its bias.

    As if a one-hot y stood beside z: Mirza & Osindero 2014 (arXiv 1411.1784), eq. 2. u starts at 0: at first the label says
    nothing. Raises `UserError` where the first layer of `net` is none that is linear.
    """

    def __init__(self, net, classes=10):
        super().__init__()
        self.first, *rest = net
        if not isinstance(self.first, nn.Linear):
            raise UserError(f"To be told labels, a generator must begin with a linear layer, not with {self.first}.")
        self.rest, self.classes = nn.Sequential(*rest), classes
        self.embedding = nn.Embedding(classes, self.first.out_features)
        nn.init.zeros_(self.embedding.weight)

    def forward(self, z, labels):
        """z [N, latent_dim], labels [N] → images [N, 1, 28, 28] in [-1, 1]. Shares of classes [N, classes] are labels, too."""
        u = labels @ self.embedding.weight if labels.is_floating_point() else self.embedding(labels)
        return self.rest(self.first(z) + u)

    @torch.no_grad()
    def of(self, label):
        """The net of z alone that this one is for a single label."""
        first = copy.deepcopy(self.first)
        first.bias += self.embedding.weight[label]
        return nn.Sequential(first, *copy.deepcopy(self.rest))


class ProjectionDiscriminator(nn.Module):
    """D(x, y) = w · f(x) + b + v_y · f(x), where f(x) is what enters the last layer of `net`: does x look real, and like y?

    Miyato & Koyama 2018 (arXiv 1802.05637), eq. 3. v starts at 0: at first the label says nothing. Raises `UserError` where the
    last layer of `net`, but for Flatten, is none that is linear.
    """

    def __init__(self, net, classes=10):
        super().__init__()
        *body, self.last, _ = net
        if not isinstance(self.last, nn.Linear):
            raise UserError(f"To be told labels, a discriminator must end in a linear layer, not in {self.last}.")
        self.features = nn.Sequential(*body)
        self.embedding = nn.Embedding(classes, self.last.in_features)
        nn.init.zeros_(self.embedding.weight)

    def forward(self, images, labels):
        """images [N, 1, 28, 28], labels [N] → logits [N], high for real images of that label."""
        f = self.features(images)  # [N, features]
        return self.last(f).squeeze(1) + (self.embedding(labels) * f).sum(1)
