"""A pipeline that reads handwritten numbers, and a robustness test of it. Lesson 13. Needs `pip install scikit-image`.

A strip is an image of a number, numpy float [28, width], background 0 and ink 1. A piece is the part of it taken for one digit.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from skimage import filters, measure, morphology, transform

from gan_lib import attributes, evaluation
from gan_lib.studies import handwriting

SPECK = 12  # pixels; a smaller component is dirt
WIDEST = 22  # pixels; no digit of MNIST is wider than 20
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


def segment(strip, split=False):
    """Connected components above Otsu's threshold, bool [28, width] each, left to right; with `split`, wide ones are `cut`."""
    labels = measure.label(strip > filters.threshold_otsu(strip), connectivity=2)
    regions = sorted(measure.regionprops(labels), key=lambda region: region.bbox[1])
    pieces = [labels[:, region.slice[1]] == region.label for region in regions if region.area >= SPECK]
    return [part for piece in pieces for part in cut(piece)] if split else pieces


def cut(piece):
    """The parts of a piece, none wider than a digit: cut where its middle half has the least ink."""
    width = piece.shape[1]
    if width <= WIDEST:
        return [piece]
    at = width // 4 + piece.sum(0)[width // 4 : -(width // 4)].argmin()
    return [*cut(piece[:, :at]), *cut(piece[:, at:])]


def deskew(piece):
    """The piece sheared upright by x - cov(x, y) / var(y) · y and centred on its ink: float [28, 28]."""
    y, x = np.nonzero(piece)
    shear = np.cov(x, y)[0, 1] / max(y.var(ddof=1), 1e-6)
    x0, y0 = x.mean() - 13.5, y.mean() - 13.5
    inverse = np.array([[1, shear, x0 - 13.5 * shear], [0, 1, y0], [0, 0, 1]])  # from a new place to the old one
    return transform.warp(piece.astype(float), inverse, output_shape=(28, 28))


def thin(piece):
    """The skeleton of a piece [28, 28], drawn with one stroke width: float in [0, 1]."""
    return np.clip(2.5 * filters.gaussian(morphology.skeletonize(piece > 0.5).astype(float), 0.9), 0, 1)


def process(strip, blur=0.7, split=False, thinned=True):
    """The pipeline up to the classifier: a strip → one float [28, 28] in [0, 1] for each digit that it finds."""
    pieces = [deskew(piece) for piece in segment(filters.gaussian(strip, blur), split)]
    return [thin(piece) for piece in pieces] if thinned else pieces


def read(pieces):
    """The digit net's classes [N] for N pieces [28, 28] in [0, 1]."""
    images = torch.from_numpy(np.array(pieces)).float().view(-1, 1, 28, 28) * 2 - 1
    return evaluation.features_and_logits(images)[1].argmax(1)


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


class Tally(NamedTuple):
    """How many numbers were misread."""

    wrong: int
    of: int

    @property
    def rate(self):
        """The error rate, in [0, 1]; NaN where nothing was tested."""
        return self.wrong / self.of if self.of else np.nan

    def interval(self):
        """The 95 % Wilson interval of the error rate, (low, high); (0, 1) where nothing was tested."""
        return tuple(stats.binomtest(*self).proportion_ci(method="wilson")) if self.of else (0.0, 1.0)


def test(pipeline, digits, condition, most=200, seed=0):
    """The `Tally` of a pipeline (a strip → pieces) on at most `most` numbers of a `Condition`, written with a `Stock`.

    A number is misread if a digit is wrong, missing or added. Each digit is used once, so the numbers are independent.
    """
    rng = np.random.default_rng(seed)
    fits = torch.ones(len(digits.labels), dtype=torch.bool)
    for (low, high), values in ((condition.slant, digits.slant), (condition.thickness, digits.thickness)):
        fits &= (low <= values) & (values < high)
    chosen = rng.permutation(fits.nonzero().squeeze(1).numpy())[: most * condition.length]
    numbers = chosen[: len(chosen) // condition.length * condition.length].reshape(-1, condition.length)
    found = [pipeline(write(digits.images[each], condition.gap, condition.noise, rng)) for each in numbers]
    classes = read([piece for pieces in found for piece in pieces]).split([len(pieces) for pieces in found])
    return Tally(sum(not a.equal(digits.labels[b]) for a, b in zip(classes, numbers, strict=True)), len(numbers))
