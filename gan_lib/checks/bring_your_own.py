"""Checks of the lesson on other pictures and other generators: an adapter for a foreign generator."""

import torch
from torch import nn

from gan_lib.checks.check import call, check


@check
def adapter(answer):
    """`answer(net)` → a module that makes images [N, 1, 28, 28] in [-1, 1] of the rows [N, 784] in [0, 1] of `net`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net, z = nn.Sequential(nn.Linear(5, 784), nn.Sigmoid()), torch.randn(3, 5)
    adapted, rows = call(answer, net), net(z)
    yield not isinstance(adapted, nn.Module), "it should return an nn.Module: an object with weights, not a function."
    got = adapted(z)
    yield got.shape != (3, 1, 28, 28), f"for 3 z its images have the shape {list(got.shape)}, not [3, 1, 28, 28]."
    yield got.min() >= 0, f"its pixels lie from {got.min():.2f} to {got.max():.2f}: black should be -1, not 0."
    off = (got - (2 * rows - 1).view_as(got)).abs().max()
    yield off > 1e-5, f"a pixel 0.5 should become 0, and 1 should stay 1; yours is off by up to {off:.2f}."
