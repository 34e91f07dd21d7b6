"""Numbers in one handwriting: the same z for every digit, and the digit as the label. Lesson 11."""

import numpy as np
import torch
from torch.nn import functional as F

from gan_lib import UserError, data


def write(sampler, text, z, variation=0.0):
    """The digits of `text` in the handwriting of each z [N, latent_dim]: float [N, len(text), 1, 28, 28] in [-1, 1].

    `sampler` is conditional. With a `variation` above 0, a digit that occurs again looks different: its k-th repetition uses
    z + k · variation · (z reversed), scaled to the length of z. Raises `UserError` where `text` is not one or more digits.
    """
    if not (text.isascii() and text.isdecimal()):
        raise UserError(f"What is to be written must be digits from 0 to 9, not {text!r}.")
    labels = torch.tensor([int(digit) for digit in text])
    repetition = torch.tensor([[text[:i].count(digit)] for i, digit in enumerate(text)], device=z.device)  # [K, 1]
    varied = z.unsqueeze(1) + variation * repetition * z.flip(1).unsqueeze(1)  # [N, K, latent_dim]
    if variation:
        varied = F.normalize(varied, dim=2) * z.norm(dim=1).view(-1, 1, 1)
    parts = zip(varied.flatten(0, 1).split(1000), labels.repeat(len(z)).split(1000), strict=True)
    return torch.cat([sampler(*part) for part in parts]).unflatten(0, (len(z), len(labels)))


def crop(digit, threshold):
    """A digit [28, 28] from its first to its last column with a pixel above `threshold`, all of it where there is none."""
    inked = np.flatnonzero(digit.max(0) > threshold)
    return digit[:, inked[0] : inked[-1] + 1] if len(inked) else digit


def line(images, gap=3):
    """Digits [N, 1, 28, 28] in [-1, 1] side by side: uint8 [28, width], with `gap` columns between the ink of neighbours."""
    digits = [np.pad(crop(digit, 64), ((0, 0), (0, gap))) for digit in data.to_uint8(images).cpu().numpy()]
    return np.pad(np.concatenate(digits, 1), ((0, 0), (gap, 0)))


def stack(lines):
    """Lines, uint8 [28, width] each, one below the other, padded to the widest: uint8 [28 N, width]."""
    widest = max(line.shape[1] for line in lines)
    return np.concatenate([np.pad(line, ((0, 0), (0, widest - line.shape[1]))) for line in lines])
