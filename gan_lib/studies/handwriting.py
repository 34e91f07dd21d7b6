"""Numbers on request, each in one handwriting: the same z for all its digits. Lesson 08.

All of it takes a `models.Sampler` that is told labels; nothing here draws or holds state.
"""

import numpy as np
import torch

from gan_lib import UserError, data


def write(sampler, text, z):
    """The digits of `text` in each of the handwritings z [N, latent_dim]: float [N, len(text), 1, 28, 28] in [-1, 1].

    Raises `UserError` where `text` has another character, or none.
    """
    if not (text.isascii() and text.isdecimal()):
        raise UserError(f"What is to be written must be digits from 0 to 9, not {text!r}.")
    labels = torch.tensor([int(digit) for digit in text])
    images = sampler(z.repeat_interleave(len(labels), 0), labels.repeat(len(z)))
    return images.unflatten(0, (len(z), len(labels)))


def line(images, gap=3):
    """Digits [N, 1, 28, 28] in [-1, 1] side by side as one writes them, `gap` pixels apart: uint8 [28, width].

    Apart are the columns with ink; a digit without any keeps all of its own.
    """
    parts = [np.zeros((28, gap), np.uint8)]
    for picture in data.to_uint8(images).cpu().numpy():
        inked = np.flatnonzero(picture.max(0) > 64)
        parts += [picture[:, inked[0] : inked[-1] + 1] if len(inked) else picture, parts[0]]
    return np.concatenate(parts, 1)


def stack(lines):
    """Lines, uint8 [28, width] each, under each other, and all as wide as the widest: uint8 [28 N, width]."""
    widest = max(line.shape[1] for line in lines)
    return np.concatenate([np.pad(line, ((0, 0), (0, widest - line.shape[1]))) for line in lines])
