"""Attributes of images of digits, by plain formulas. Introduced in lesson 05.

Each function takes images [N, 1, 28, 28] in [-1, 1] (see `data.check_images`) and returns one number for each, float [N].
"""

import torch
from torch.nn import functional as F

from gan_lib import data, evaluation


def moments(images):
    """The ink-weighted variances of x and y and their covariance, in pixels²: [N] each."""
    data.check_images(images)
    ink = (images.squeeze(1) + 1) / 2
    ink = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-6)
    at = torch.arange(28.0, device=images.device)
    x, y = (axis - (ink * axis).sum((1, 2), keepdim=True) for axis in (at.view(1, 1, 28), at.view(1, 28, 1)))
    return (ink * x * x).sum((1, 2)), (ink * y * y).sum((1, 2)), (ink * x * y).sum((1, 2))


def slant(images):
    """Slant to the right in degrees: arctan(-cov(x, y) / var(y)), y pointing down."""
    _, var_y, cov = moments(images)
    return torch.rad2deg(torch.atan(-cov / var_y.clamp(min=1e-6)))


def thickness(images):
    """Stroke thickness in pixels: 2 · area / outline, as a stroke of length L and thickness t has area L t and outline 2 L."""
    data.check_images(images)
    ink = F.pad((images.squeeze(1) + 1) / 2, (1, 1, 1, 1))
    dx, dy = ink[:, :-1, 1:] - ink[:, :-1, :-1], ink[:, 1:, :-1] - ink[:, :-1, :-1]
    outline = (dx.square() + dy.square()).sqrt().sum((1, 2))  # the gradient of the ink is 0 elsewhere
    return 2 * ink.sum((1, 2)) / outline.clamp(min=1e-6)


def width(images):
    """Width in pixels, without the slant: sqrt(12 (var(x) - cov(x, y)² / var(y))). A box w pixels wide gives sqrt(w² - 1)."""
    var_x, var_y, cov = moments(images)
    return (12 * (var_x - cov.square() / var_y.clamp(min=1e-6)).clamp(min=0)).sqrt()


def height(images):
    """Height in pixels: sqrt(12 var(y)). A box h pixels high gives sqrt(h² - 1)."""
    _, var_y, _ = moments(images)
    return (12 * var_y).sqrt()


def ink(images):
    """Amount of ink in pixels: the sum of the grey values, where black is 0 and white is 1."""
    data.check_images(images)
    return ((images + 1) / 2).sum((1, 2, 3))


def roundness(images):
    """Standard deviation of the ink along its short axis over that along its long axis: 0 for a line, 1 for a ring."""
    var_x, var_y, cov = moments(images)
    mean, half = (var_x + var_y) / 2, ((var_x - var_y).square() / 4 + cov.square()).sqrt()
    return ((mean - half).clamp(min=0) / (mean + half).clamp(min=1e-6)).sqrt()


def confidence(images):
    """The largest class probability of the digit net, in [0, 1]."""
    return evaluation.features_and_logits(images)[1].softmax(1).amax(1)


ATTRIBUTES = {measure.__name__: measure for measure in (slant, thickness, width, height, ink, roundness, confidence)}
