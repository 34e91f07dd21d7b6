"""What can be measured on an image of a digit, by plain formulas. Introduced in lesson 05.

Each takes images [N, 1, 28, 28] in [-1, 1] and gives one number for each of them, float [N]. Each raises `UserError` for
images that `data.check_images` refuses.
"""

import torch
from torch.nn import functional as F

from gan_lib import data, evaluation


def moments(images):
    """Ink-weighted variances of x and y and their covariance, in pixels², of images [N, 1, 28, 28] in [-1, 1]: [N] each."""
    data.check_images(images)
    ink = (images.squeeze(1) + 1) / 2
    ink = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-6)
    at = torch.arange(28.0, device=images.device)
    x, y = at.view(1, 1, 28), at.view(1, 28, 1)
    x = x - (ink * x).sum((1, 2), keepdim=True)
    y = y - (ink * y).sum((1, 2), keepdim=True)
    return (ink * x * x).sum((1, 2)), (ink * y * y).sum((1, 2)), (ink * x * y).sum((1, 2))


def slant(images):
    """How far the strokes lean to the right, in degrees [N]: arctan(-cov(x, y) / var(y)), y pointing down."""
    _, var_y, cov = moments(images)
    return torch.rad2deg(torch.atan(-cov / var_y.clamp(min=1e-6)))


def thickness(images):
    """Stroke thickness in pixels [N]: 2 · area / outline. A stroke L long and t thick has area L t and outline 2 L.

    The area is the sum of the ink, the outline the sum of its gradient's length.
    """
    data.check_images(images)
    ink = F.pad((images.squeeze(1) + 1) / 2, (1, 1, 1, 1))
    dx, dy = ink[:, :-1, 1:] - ink[:, :-1, :-1], ink[:, 1:, :-1] - ink[:, :-1, :-1]
    outline = (dx.square() + dy.square()).sqrt().sum((1, 2))
    return 2 * ink.sum((1, 2)) / outline.clamp(min=1e-6)


def width(images):
    """Width in pixels [N], the slant taken out: sqrt(12 (var(x) - cov(x, y)² / var(y))).

    A filled box of w whole pixels gives sqrt(w² - 1).
    """
    var_x, var_y, cov = moments(images)
    return (12 * (var_x - cov.square() / var_y.clamp(min=1e-6)).clamp(min=0)).sqrt()


def height(images):
    """Height in pixels [N]: sqrt(12 var(y)). A filled box of h whole pixels gives sqrt(h² - 1)."""
    _, var_y, _ = moments(images)
    return (12 * var_y).sqrt()


def ink(images):
    """How many pixels the ink would fill [N]: the sum of the greys, black 0 and white 1."""
    data.check_images(images)
    return ((images + 1) / 2).sum((1, 2, 3))


def roundness(images):
    """How round the ink lies, in [0, 1] [N]: its spread across the long axis over that along it. A line is 0, a ring 1."""
    var_x, var_y, cov = moments(images)
    mean, half = (var_x + var_y) / 2, ((var_x - var_y).square() / 4 + cov.square()).sqrt()
    return ((mean - half).clamp(min=0) / (mean + half).clamp(min=1e-6)).sqrt()


def confidence(images):
    """How sure the digit net is of the class that it reads, a probability in [0, 1] [N]."""
    return evaluation.features_and_logits(images)[1].softmax(1).amax(1)


ATTRIBUTES = {
    "slant": slant,  # degrees
    "thickness": thickness,  # pixels
    "width": width,  # pixels
    "height": height,  # pixels
    "ink": ink,  # pixels
    "roundness": roundness,  # 0 to 1
    "confidence": confidence,  # 0 to 1
}
