"""Strips of digits for the robustness test of lesson 13, and what its exercises ask for.

A strip is an image of a number, numpy float [28, width], paper 0 and ink 1.
"""

import numpy as np
from scipy import ndimage

from gan_lib.studies import handwriting


def typeset(digits, gap=4):
    """Digits [K, 1, 28, 28] in [-1, 1] as a strip, `gap` empty columns between the ink of neighbours; below 0 they overlap."""
    inks = [handwriting.crop(digit, 0.2) for digit in (digits.squeeze(1).cpu().numpy() + 1) / 2]
    lefts = 4 + np.cumsum([0] + [ink.shape[1] + gap for ink in inks])
    strip = np.zeros((28, lefts[-1] - gap + 4))
    for ink, left in zip(inks, lefts, strict=False):
        part = strip[:, left : left + ink.shape[1]]
        np.maximum(part, ink, out=part)
    return strip


def degrade(strip, blur, noise, rng):
    """A strip, blurred by a Gaussian of `blur` pixels, with normal noise from a numpy generator, clipped to [0, 1]."""
    return np.clip(ndimage.gaussian_filter(strip, blur) + noise * rng.standard_normal(strip.shape), 0, 1)


def false_alarms(rate, n, m, alarm, rng):
    """The share of 1,000 simulated tests in which `alarm(a, n, b, m)` is True, though both true error rates are `rate`."""
    counts = zip(rng.binomial(n, rate, 1000), rng.binomial(m, rate, 1000), strict=True)
    return np.mean([alarm(a, n, b, m) for a, b in counts])
