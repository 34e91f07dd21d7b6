"""How good are the samples? Images → features → statistics → one number.

The features are those of a small digit classifier of this package (`digit_net`), not of Inception: Inception was trained
on photographs, and its distances say little about digits. Introduced in lesson 06.
"""

import functools
from typing import Annotated, NamedTuple

import torch

from gan_lib import UserError, data, models
from gan_lib.files import bundled_weights


@functools.cache
def digit_net(device="cpu"):
    """The trained classifier, frozen, in eval mode. Made by `python tools/make_digit_net.py`."""
    net = models.digit_classifier()
    net.load_state_dict(bundled_weights("digit-net")[0])
    return net.eval().requires_grad_(False).to(device)


@torch.no_grad()
def features_and_logits(images, net=None, chunk=250):
    """Images [N, 1, 28, 28] in [-1, 1] → features [N, 128] and logits [N, 10] of the digit net. See `data.check_images`."""
    data.check_images(images)
    net = digit_net(images.device) if net is None else net
    features = torch.cat([net[:-1](part) for part in images.split(chunk)])
    return features, net[-1](features)


def class_counts(images):
    """How many of the images [N, 1, 28, 28] the digit net reads as each class: int64 [10]."""
    return features_and_logits(images)[1].argmax(1).bincount(minlength=10)


class Gaussian(NamedTuple):
    """The mean [d] and the covariance [d, d] of features, float64."""

    mean: torch.Tensor
    cov: torch.Tensor


def gaussian(features):
    """The statistics of features [N, d] that `frechet_distance` compares. Raises `UserError` for N < 2."""
    if len(features) < 2:
        raise UserError(f"A covariance takes at least two images or points, not {len(features)}.")
    features = features.double()
    return Gaussian(features.mean(0), torch.atleast_2d(features.T.cov()))  # [1, 1] for d = 1, too


def frechet_distance(a, b):
    """|mean a - mean b|² + trace(cov a + cov b - 2 (cov a · cov b)^½) of two `Gaussian`s.

    Heusel et al. 2017 (arXiv 1706.08500), eq. 6. Zero for equal statistics. That of two samples is never zero, and falls
    with their size: compare only for equal sizes, and beside the floor, which is the distance of real digits to real digits.
    """
    product = a.cov @ b.cov
    if not product.isfinite().all():  # LAPACK would end the process
        raise UserError("There is no distance: the features, or their statistics, hold NaN or infinity.")
    roots = torch.linalg.eigvals(product).real.clamp(min=0).sqrt()  # eigenvalues of the matrix root
    distance = (a.mean - b.mean).square().sum() + a.cov.trace() + b.cov.trace() - 2 * roots.sum()
    return distance.item()


def kernel_distance(a, b, chunk=250):
    """The squared maximum mean discrepancy of features a [N, d] and b [M, d] under the kernel k(x, y) = (x·y / d + 1)³.

    mean k(a, a') + mean k(b, b') - 2 mean k(a, b), with no point paired with itself: unbiased, so it can be below zero.
    Bińkowski et al. 2018 (arXiv 1801.01401), eq. 4. All pairs are taken, so nothing is drawn at random.
    """

    def total(x, y):
        return sum((part @ y.T / y.shape[1] + 1).pow_(3).sum(1).double().sum() for part in x.split(chunk))

    def itself(x):
        return (x.double().square().sum(1) / x.shape[1] + 1).pow(3).sum()

    n, m = len(a), len(b)
    within = (total(a, a) - itself(a)) / (n * (n - 1)) + (total(b, b) - itself(b)) / (m * (m - 1))
    return (within - 2 * total(a, b) / (n * m)).item()


def radii_of(features, k=5, chunk=250):
    """The distance of each of the features [N, d] to its k-th nearest neighbour among the others: [N], N > k."""
    parts = [torch.cdist(part, features).topk(k + 1, largest=False).values[:, k] for part in features.split(chunk)]
    return torch.cat(parts)  # the nearest of all is the point itself


def precision_recall_density_coverage(real, fake, k=5, chunk=250, real_radii=None):
    """Four shares from balls around features, real [N, d] and fake [M, d]; a ball reaches to the k-th nearest neighbour.

    Precision: of the fakes, how many lie in some real ball. Recall: of the real, how many lie in some fake ball
    (Kynkäänniemi et al. 2019, arXiv 1904.06991, eq. 1-3). Density: in how many real balls a fake lies, over k, on average;
    it can exceed 1. Coverage: of the real balls, how many hold a fake (Naeem et al. 2020, arXiv 2002.09797, eq. 4-5).
    `real_radii` [N], where they are known, are not worked out again.
    """
    real_radii = radii_of(real, k, chunk) if real_radii is None else real_radii
    fake_radii = radii_of(fake, k, chunk)
    hits = torch.zeros(len(fake), device=fake.device)  # real balls around each fake
    recalled = covered = 0
    for part, reach in zip(real.split(chunk), real_radii.split(chunk), strict=True):
        distances = torch.cdist(part, fake)
        inside = distances < reach.unsqueeze(1)
        hits += inside.sum(0)
        covered += inside.any(1).sum()
        recalled += (distances < fake_radii).any(1).sum()
    shares = (hits > 0).float().mean(), recalled / len(real), hits.mean() / k, covered / len(real)
    return tuple(share.item() for share in shares)


@torch.no_grad()
def nearest(images, reference, k=1, chunk=10_000):
    """The k of `reference` (uint8 [M, 28, 28]) nearest to each of `images` ([N, 1, 28, 28] in [-1, 1]), nearest first.

    Returns Euclidean distances over the pixels in [-1, 1], float [N, k], and indices, int64 [N, k]. The search needs one
    matrix product a chunk, by |a - b|² = |a|² - 2 a·b + |b|²; the distances are then taken without that rounding. Lesson 05.
    """
    data.check_images(images)
    flat, scores, places = images.flatten(1), [], []
    for start in range(0, len(reference), chunk):
        others = data.to_range(reference[start : start + chunk]).flatten(1)
        few = (others.square().sum(1) - 2 * flat @ others.T).topk(min(k, len(others)), largest=False)
        scores.append(few.values)  # without |a|², which is the same for all
        places.append(few.indices + start)
    best = torch.cat(scores, 1).topk(k, largest=False).indices
    indices = torch.cat(places, 1).gather(1, best)
    return (flat.unsqueeze(1) - data.to_range(reference[indices]).flatten(2)).norm(dim=2), indices


class Score(NamedTuple):
    """How good images are, measured against the 10,000 test digits; with what `measure` prints of each number. Lesson 06."""

    frechet: Annotated[float, "Fréchet distance of the features; training digits give the floor"]
    kernel: Annotated[float, "kernel distance of the features; unbiased around 0"]
    precision: Annotated[float, "share of samples that lie among real digits"]
    recall: Annotated[float, "share of real digits that lie among samples"]
    density: Annotated[float, "how deep among real digits the samples lie"]
    coverage: Annotated[float, "share of real digits with a sample beside them"]
    classes: Annotated[int, "of ten, those that are not missing"]
    kl: Annotated[float, "divergence of the shares of the classes, in nats"]
    imbalance: Annotated[float, "largest gap of a class's share, as a part of it"]
    confidence: Annotated[float, "how sure the digit net is, on average"]
    novelty: Annotated[float, "distance to the nearest training digit; test digits: 1, copies: 0"]


class RealDigits:
    """What `score` has to know of the 10,000 test digits. What takes long is worked out when it is first asked for."""

    def __init__(self, device):
        images, self.labels = data.load(train=False, device=device)
        self.images = data.to_range(images)
        self.features, logits = features_and_logits(self.images)  # [10000, 128]
        self.gaussian = gaussian(self.features)
        self.shares = class_shares(logits)  # of the ten classes, as the digit net reads them

    @functools.cached_property
    def radii(self):
        """[10000], to the fifth neighbour."""
        return radii_of(self.features)

    @functools.cached_property
    def nearest(self):
        """The median distance to the nearest training digit."""
        return nearness(self.images)


@functools.cache
def real_digits(device):
    """The `RealDigits`, once for each device."""
    return RealDigits(device)


def frechet(images):
    """The Fréchet distance of images [N, 1, 28, 28] from the test digits, by the features of the digit net. N is at least 2."""
    features, _ = features_and_logits(images)
    return frechet_distance(gaussian(features), real_digits(images.device).gaussian)


def class_shares(logits):
    """The share of each class among logits [N, 10], by the largest of each row: float [10]."""
    return logits.argmax(1).bincount(minlength=10) / len(logits)


def classes(shares, real_shares):
    """How many of the ten classes have at least a tenth of their share among real digits."""
    return (shares >= real_shares / 10).sum().item()


def nearness(images, among=1000):
    """The median distance of the first `among` images to their nearest training digits, over the pixels in [-1, 1]."""
    return nearest(images[:among], data.load(device=images.device).images)[0].median()


def score(images):
    """The `Score` of images [N, 1, 28, 28] in [-1, 1]; `UserError` where N < 1,000, too few for a covariance of 128 features."""
    if len(images) < 1000:
        raise UserError(f"A score needs at least 1,000 images, better 10,000; these are {len(images)}.")
    real = real_digits(images.device)
    features, logits = features_and_logits(images)
    shares = class_shares(logits)
    return Score(
        frechet_distance(gaussian(features), real.gaussian),
        kernel_distance(features, real.features),
        *precision_recall_density_coverage(real.features, features, real_radii=real.radii),
        classes(shares, real.shares),
        torch.xlogy(shares, shares / real.shares).sum().item(),
        (shares / real.shares - 1).abs().max().item(),
        logits.softmax(1).amax(1).mean().item(),
        (nearness(images) / real.nearest).item(),
    )


class ClassScore(NamedTuple):
    """How good images are that were asked for as one digit, measured against the test digits of that class. Lesson 08."""

    right: float  # share that the digit net reads as the digit asked for
    precision: float  # the other four as in `Score`, of this class alone
    recall: float
    density: float
    coverage: float


def class_scores(images, labels):
    """The `ClassScore` of each digit; images [N, 1, 28, 28] in [-1, 1], their labels [N], 0 to 9, six or more of each."""
    real, labels = real_digits(images.device), labels.to(images.device)
    valid = labels.shape == images.shape[:1] and labels.eq(labels.long().clamp(0, 9)).all()
    if not valid or labels.long().bincount(minlength=10).min() < 6:
        raise UserError("There must be a label from 0 to 9 for each image, and at least six images of each digit.")
    features, logits = features_and_logits(images)
    right, scores = logits.argmax(1) == labels, []
    for digit in range(10):
        mine, theirs = labels == digit, real.labels == digit
        shares = precision_recall_density_coverage(real.features[theirs], features[mine])
        scores.append(ClassScore(right[mine].float().mean().item(), *shares))
    return scores


def class_floor(n=10_000, seed=0, device="cpu"):
    """The `class_scores` of n training digits, as many of each class, drawn with `seed`: what to compare with."""
    images, labels = data.subset(data.load(device=device), n // 10, seed)
    return class_scores(data.to_range(images), labels)


def floor(n=10_000, seed=0, device="cpu"):
    """The `Score` of n training digits, drawn with `seed`: no generator can be expected to do better."""
    images = data.load(device=device).images
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:n]
    return score(data.to_range(images[chosen.to(device)]))
