"""How good are the samples? Images → features → statistics → one number.

The features are those of a small digit classifier of this package (`digit_net`), not of Inception: Inception was trained
on photographs, and its distances say little about digits. Introduced in lesson 06.
"""

import functools

import torch
from torch import nn

from gan_lib import data
from gan_lib.files import bundled_weights


def untrained_digit_net():
    """A digit classifier: images [N, 1, 28, 28] in [-1, 1] → 10 logits; what enters its last layer are the features."""
    return nn.Sequential(  #                                                          x [N, 1, 28, 28]
        nn.Conv2d(1, 32, 5, stride=2, padding=2), nn.BatchNorm2d(32), nn.ReLU(),  #     [N, 32, 14, 14]
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),  #              [N, 64, 14, 14]
        nn.MaxPool2d(2),  #                                                             [N, 64, 7, 7]
        nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),  #              [N, 64, 7, 7]
        nn.Flatten(), nn.Linear(64 * 49, 128), nn.BatchNorm1d(128), nn.ReLU(),  #       [N, 128] the features
        nn.Linear(128, 10),  #                                                          [N, 10] the logits
    )  # fmt: skip


@functools.cache
def digit_net(device="cpu"):
    """The trained classifier, frozen, in eval mode. Made by `python tools/train_digit_net.py`."""
    net = untrained_digit_net()
    net.load_state_dict(bundled_weights("digit-net")[0])
    return net.eval().requires_grad_(False).to(device)


@torch.no_grad()
def features_and_logits(images, net=None, chunk=1000):
    """Images [N, 1, 28, 28] in [-1, 1] → features [N, 128] and logits [N, 10] of the digit net."""
    net = digit_net(images.device) if net is None else net
    features = torch.cat([net[:-1](part) for part in images.split(chunk)])
    return features, net[-1](features)


def class_counts(images):
    """How many of the images [N, 1, 28, 28] the digit net reads as each class: int64 [10]."""
    return features_and_logits(images)[1].argmax(1).bincount(minlength=10)


def frechet_distance(a, b):
    """|mean a - mean b|² + trace(cov a + cov b - 2 (cov a · cov b)^½) of features a [N, d] and b [M, d], in float64.

    Heusel et al. 2017 (arXiv 1706.08500), eq. 6. Zero for equal statistics; compare only for equal N, beside the floor.
    """
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.atleast_2d(a.T.cov()), torch.atleast_2d(b.T.cov())  # [d, d], for d = 1 too
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt()  # eigenvalues of the matrix root
    distance = (a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots.sum()
    return distance.item()


@torch.no_grad()
def nearest(images, reference, k=1, chunk=10_000):
    """The k of `reference` (uint8 [M, 28, 28]) nearest to each of `images` ([N, 1, 28, 28] in [-1, 1]), nearest first.

    Returns Euclidean distances over the pixels in [-1, 1], float [N, k], and indices, int64 [N, k]. The search needs one
    matrix product a chunk, by |a - b|² = |a|² - 2 a·b + |b|²; the distances are then taken without that rounding.
    Introduced in lesson 05.
    """
    flat, scores, places = images.flatten(1), [], []
    for start in range(0, len(reference), chunk):
        others = data.to_range(reference[start : start + chunk]).flatten(1)
        few = (others.square().sum(1) - 2 * flat @ others.T).topk(min(k, len(others)), largest=False)
        scores.append(few.values)  # without |a|², which is the same for all
        places.append(few.indices + start)
    best = torch.cat(scores, 1).topk(k, largest=False).indices
    indices = torch.cat(places, 1).gather(1, best)
    return (flat.unsqueeze(1) - data.to_range(reference[indices]).flatten(2)).norm(dim=2), indices
