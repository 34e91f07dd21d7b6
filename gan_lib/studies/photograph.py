"""A digit from a photograph or a drawing, as MNIST has them. Lesson 10."""

import numpy as np
import torch
from torch import nn

from gan_lib import UserError, files


def read(file):
    """A digit from a picture file (its path, or its bytes) in MNIST's format: float [1, 28, 28] in [-1, 1].

    White on black, within 20 × 20 pixels, its centre of mass at (14, 14). `UserError` for an unreadable or empty picture.
    """
    name = "This picture" if isinstance(file, bytes) else f"The picture {file}"
    grey = torch.from_numpy(np.array(files.read_picture(file))).float().div(255)  # [height, width]
    background = torch.cat([grey[0], grey[-1], grey[:, 0], grey[:, -1]]).median()
    low, high = grey.aminmax()
    if high - low < 0.1:
        raise UserError(f"{name} shows nothing: it has one shade all over.")
    ink = (grey - background) / ((low if background - low > high - background else high) - background)
    ink = torch.where(ink > 0.15, ink, 0)  # removes the grain of the paper
    rows, columns = ink.sum(1).nonzero(), ink.sum(0).nonzero()
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = [max(1, round(20 * side / max(ink.shape))) for side in ink.shape]
    ink = nn.functional.interpolate(ink[None, None], size, mode="area")[0, 0]
    ink = ink / ink.max()
    centre = [(ink.sum(1 - i) * torch.arange(side)).sum() / ink.sum() for i, side in enumerate(size)]
    top, left = [min(max(round(14 - c.item()), 0), 28 - side) for c, side in zip(centre, size, strict=True)]
    return nn.functional.pad(ink, (left, 28 - left - size[1], top, 28 - top - size[0])).unsqueeze(0) * 2 - 1
