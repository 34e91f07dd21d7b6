"""Checks of the lesson on other pictures and generators: a distance with features of one's own, and an adapter."""

import torch
from torch import nn

from gan_lib import evaluation
from gan_lib.checks.check import call, check, same


def reference_distance(net, a, b):
    """The Fréchet distance between the images a and b in the features that enter the last layer of `net`."""
    return evaluation.frechet_distance(*(evaluation.gaussian(net[:-1](images)) for images in (a, b)))


@check
def own_distance(answer):
    """`answer(net, a, b)` → the Fréchet distance of two sets of images in the features of a classifier."""
    net, a = nn.Sequential(nn.AvgPool2d(14), nn.Flatten(), nn.AvgPool1d(2)), torch.arange(784 * 30.0).sin()
    a, b = a.view(30, 1, 28, 28), -a.view(30, 1, 28, 28).abs()
    got, right = float(call(answer, net, a, b)), reference_distance(net, a, b)
    yield not same(got, right), f"the distance of our two sets is {right:.4f}, and yours is {got:.4f}."


@check
def adapter(answer):
    """`answer(net)` → a module that makes images [N, 1, 28, 28] in [-1, 1] of the rows [N, 784] in [0, 1] of `net`."""
    adapted, z = call(answer, nn.Sigmoid()), torch.linspace(-3, 3, 3 * 784).view(3, 784)
    yield not isinstance(adapted, nn.Module), "it should return an nn.Module: an object with weights, not a function."
    got, right = adapted(z), 2 * z.sigmoid().view(3, 1, 28, 28) - 1
    yield got.shape != right.shape, f"for 3 z its images have the shape {list(got.shape)}, not [3, 1, 28, 28]."
    yield not same(got, right), f"black should be -1, grey 0, white 1; yours is off by {(got - right).abs().max():.2f}."
