"""A robustness test of a pipeline that reads handwritten numbers, as lesson 13 builds one.

A strip is an image of a number, numpy float [28, width], background 0 and ink 1. A piece is the part of it taken for one digit.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from gan_lib import UserError, attributes, evaluation
from gan_lib.studies import handwriting

ANY = (-np.inf, np.inf)


def write(digits, gap=4, noise=0.0, rng=None):
    """Digits [K, 1, 28, 28] in [-1, 1] as a strip, `gap` empty columns between the ink of neighbours; below 0 they overlap.

    `rng`, a numpy generator, adds normal noise with standard deviation `noise`; the sum is clipped to [0, 1].
    """
    inks = [handwriting.crop(digit, 0.2) for digit in (digits.squeeze(1).cpu().numpy() + 1) / 2]
    lefts = 4 + np.cumsum([0] + [ink.shape[1] + gap for ink in inks])
    strip = np.zeros((28, lefts[-1] - gap + 4))
    for ink, left in zip(inks, lefts, strict=False):
        part = strip[:, left : left + ink.shape[1]]
        np.maximum(part, ink, out=part)
    return np.clip(strip + noise * rng.standard_normal(strip.shape), 0, 1) if noise else strip


# The robustness test


class Stock(NamedTuple):
    """Labelled digits to write numbers with, and their attributes."""

    images: torch.Tensor  # [N, 1, 28, 28] in [-1, 1]
    labels: torch.Tensor  # int64 [N]
    slant: torch.Tensor  # degrees [N]
    thickness: torch.Tensor  # pixels [N]


def stock(images, labels):
    """The `Stock` of the digits that the digit net reads correctly before they are written: later errors are the pipeline's."""
    right = evaluation.features_and_logits(images)[1].argmax(1) == labels.to(images.device)
    images, labels = images[right].cpu(), labels.cpu()[right.cpu()]
    return Stock(images, labels, attributes.slant(images), attributes.thickness(images))


class Condition(NamedTuple):
    """The properties of the numbers in one test."""

    slant: tuple = ANY  # degrees: at least the first and less than the second
    thickness: tuple = ANY  # pixels, likewise
    noise: float = 0.0  # standard deviation, where ink is 1
    gap: int = 4  # columns between neighbours
    length: int = 1  # digits in a number


def test(pipeline, read, digits, condition, most=200, seed=0):
    """How many numbers a pipeline (a strip → pieces) and `read` (pieces → classes) misread, as scipy's `BinomTestResult`.

    There are at most `most` numbers of a `Condition`, written with a `Stock`. A number is misread if a digit is wrong, missing
    or added. Each digit is used once, so the numbers are independent. Raises `UserError` where the stock has none.
    """
    rng = np.random.default_rng(seed)
    fits = torch.ones(len(digits.labels), dtype=torch.bool)
    for (low, high), values in ((condition.slant, digits.slant), (condition.thickness, digits.thickness)):
        fits &= (low <= values) & (values < high)
    chosen = rng.permutation(fits.nonzero().squeeze(1).numpy())[: most * condition.length]
    numbers = chosen[: len(chosen) // condition.length * condition.length].reshape(-1, condition.length)
    if len(numbers) == 0:
        raise UserError(f"No digits fit {condition}: take a larger stock or wider ranges.")
    found = [pipeline(write(digits.images[each], condition.gap, condition.noise, rng)) for each in numbers]
    classes = read([piece for pieces in found for piece in pieces]).split([len(pieces) for pieces in found])
    wrong = sum(not a.equal(digits.labels[b]) for a, b in zip(classes, numbers, strict=True))
    return stats.binomtest(wrong, len(numbers))
