"""A pipeline that reads handwritten numbers, and a bench that finds the conditions in which it fails. Introduced in lesson 09.

A strip is a picture of a number, numpy float [28, width], paper 0 and ink 1; a piece is what is taken for one of its digits.
The only module that imports scikit-image, which is not among what the package needs: `pip install scikit-image`.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from skimage import filters, measure, morphology, transform

from gan_lib import attributes, evaluation

SPECK = 12  # pixels; a smaller spot of ink is dirt
WIDEST = 22  # pixels; no digit of MNIST is wider than 20
ANY = (-np.inf, np.inf)


def write(digits, gap=4, noise=0.0, rng=None):
    """Digits [K, 1, 28, 28] in [-1, 1] as a strip, `gap` empty columns between the ink of neighbours; below 0 they overlap.

    On it comes normal noise of standard deviation `noise` from a numpy generator, cut off at 0 and 1 as in a file.
    """
    inks = []
    for digit in (digits.squeeze(1).cpu().numpy() + 1) / 2:
        columns = np.flatnonzero((digit > 0.2).any(0))
        inks.append(digit[:, columns[0] : columns[-1] + 1] if len(columns) else digit)
    lefts = 4 + np.cumsum([0] + [ink.shape[1] + gap for ink in inks])
    strip = np.zeros((28, lefts[-1] - gap + 4))
    for ink, left in zip(inks, lefts, strict=False):
        part = strip[:, left : left + ink.shape[1]]
        np.maximum(part, ink, out=part)
    return np.clip(strip + noise * rng.standard_normal(strip.shape), 0, 1) if noise else strip


def segment(strip, split=False):
    """The pieces of a strip from left to right, bool [28, width] each: what hangs together above Otsu's threshold.

    With `split`, what is too wide for one digit is cut in two, where its middle half has least ink.
    """
    blots = measure.label(strip > filters.threshold_otsu(strip), connectivity=2)
    found = sorted(measure.regionprops(blots), key=lambda blot: blot.bbox[1])
    pieces = [blots[:, blot.slice[1]] == blot.label for blot in found if blot.area >= SPECK]
    return [part for piece in pieces for part in cut(piece)] if split else pieces


def cut(piece):
    """The piece, or what is left and right of its thinnest columns, none of it wider than a digit."""
    width = piece.shape[1]
    if width <= WIDEST:
        return [piece]
    at = width // 4 + piece.sum(0)[width // 4 : -(width // 4)].argmin()
    return [*cut(piece[:, :at]), *cut(piece[:, at:])]


def deskew(piece):
    """The piece sheared upright, float [28, 28] with the centre of its ink in the middle: x loses cov(x, y) / var(y) · y."""
    y, x = np.nonzero(piece)
    lean = np.cov(x, y)[0, 1] / max(y.var(ddof=1), 1e-6)
    x0, y0 = x.mean() - 13.5, y.mean() - 13.5
    back = np.array([[1, lean, x0 - 13.5 * lean], [0, 1, y0], [0, 0, 1]])  # from a new place to the old one
    return transform.warp(piece.astype(float), back, output_shape=(28, 28))


def thin(piece):
    """A piece [28, 28] drawn anew along the middle of its strokes, as if all were written with one pen: float in [0, 1]."""
    return np.clip(2.5 * filters.gaussian(morphology.skeletonize(piece > 0.5).astype(float), 0.9), 0, 1)


def process(strip, blur=0.7, split=False, thinned=True):
    """The whole pipeline but the reading: a strip → one float [28, 28] in [0, 1] for each digit that it finds."""
    pieces = [deskew(piece) for piece in segment(filters.gaussian(strip, blur), split)]
    return [thin(piece) for piece in pieces] if thinned else pieces


def read(pieces):
    """The classes [N] that the digit net reads in N pieces [28, 28] in [0, 1]."""
    images = torch.from_numpy(np.array(pieces)).float().view(-1, 1, 28, 28) * 2 - 1
    return evaluation.features_and_logits(images)[1].argmax(1)


# The bench


class Stock(NamedTuple):
    """Labelled digits to write numbers with, and what they are like."""

    images: torch.Tensor  # [N, 1, 28, 28] in [-1, 1]
    labels: torch.Tensor  # int64 [N]
    slant: torch.Tensor  # degrees [N]
    thickness: torch.Tensor  # pixels [N]


def stock(images, labels):
    """The `Stock` of those digits that the digit net reads right as they are: if one is misread later, it was the pipeline.

    That takes out what a generator drew badly, and the few real digits that nobody can read.
    """
    right = evaluation.features_and_logits(images)[1].argmax(1) == labels.to(images.device)
    images, labels = images[right].cpu(), labels.cpu()[right.cpu()]
    return Stock(images, labels, attributes.slant(images), attributes.thickness(images))


class Condition(NamedTuple):
    """What the numbers of a test are like."""

    slant: tuple = ANY  # degrees, from the first to below the second
    thickness: tuple = ANY  # pixels, the same
    noise: float = 0.0  # standard deviation, where ink is 1
    gap: int = 4  # columns between neighbours
    length: int = 1  # digits in a number


class Tally(NamedTuple):
    """How many numbers were misread."""

    wrong: int
    of: int

    @property
    def rate(self):
        """The share of the numbers, in [0, 1]."""
        return self.wrong / self.of if self.of else np.nan

    def interval(self, level=0.95):
        """Wilson's interval for the rate, (low, high); (0, 1) where nothing was tested."""
        return tuple(stats.binomtest(*self).proportion_ci(level, "wilson")) if self.of else (0.0, 1.0)


def of_kind(digits, condition):
    """The places of those digits of a `Stock` that are as slanted and as thick as the condition says: int64 [M]."""
    inside = [(low <= of) & (of < high) for (low, high), of in zip(condition, digits[2:], strict=False)]
    return (inside[0] & inside[1]).nonzero().squeeze(1)


def test(pipeline, digits, condition, most=200, seed=0):
    """The `Tally` of a pipeline (a strip → pieces) on at most `most` numbers of this condition, written with a `Stock`.

    A number is misread where one of its digits is, or where there are more or fewer pieces. No digit is used twice, so that
    the numbers are independent.
    """
    rng = np.random.default_rng(seed)
    places = rng.permutation(of_kind(digits, condition).numpy())[: most * condition.length]
    numbers = places[: len(places) // condition.length * condition.length].reshape(-1, condition.length)
    found = [pipeline(write(digits.images[each], condition.gap, condition.noise, rng)) for each in numbers]
    said = read([piece for pieces in found for piece in pieces]).split([len(pieces) for pieces in found])
    return Tally(sum(not a.equal(digits.labels[b]) for a, b in zip(said, numbers, strict=True)), len(numbers))
