"""How good are the samples? Images → features → statistics → one number. Introduced in lesson 07.

The features come from a small digit classifier (`digit_net`), not from Inception, which was trained on photographs.
"""

import functools
from typing import Annotated, NamedTuple

import torch

from gan_lib import UserError, data, models
from gan_lib.files import bundled_weights


@functools.cache
def digit_net(device="cpu"):
    """The bundled digit classifier, frozen, in eval mode. `python tools/make_digit_net.py` trains it."""
    net = models.digit_classifier()
    net.load_state_dict(bundled_weights("digit-net")[0])
    return net.eval().requires_grad_(False).to(device)


@torch.no_grad()
def features_and_logits(images, net=None, chunk=250):
    """Images [N, 1, 28, 28] in [-1, 1] → features [N, 128] and logits [N, 10] of the digit net."""
    data.check_images(images)
    net = digit_net(images.device) if net is None else net
    features = torch.cat([net[:-1](part) for part in images.split(chunk)])
    return features, net[-1](features)


def class_counts(images):
    """How many of the images [N, 1, 28, 28] in [-1, 1] the digit net assigns to each class: int64 [10]."""
    return features_and_logits(images)[1].argmax(1).bincount(minlength=10)


def gaussian(features):
    """The mean [d] and the covariance [d, d] of features [N, d], both float64. Raises `UserError` for N < 2."""
    if len(features) < 2:
        raise UserError(f"A covariance needs at least two images or points, not {len(features)}.")
    features = features.cpu().double()
    return features.mean(0), torch.atleast_2d(features.T.cov())  # d = 1: [1, 1]


def frechet_distance(a, b):
    """The squared 2-Wasserstein distance |mean a - mean b|² + trace(cov a + cov b - 2 (cov a · cov b)^½) of two `gaussian`s.

    FID (Heusel et al. 2017, arXiv 1706.08500, eq. 6). It is biased: two samples of one distribution have a distance above 0,
    which falls with their size. Compare at equal sizes, and with the `floor`. `UserError` for statistics that are not finite.
    """
    (mean_a, cov_a), (mean_b, cov_b) = a, b
    product = cov_a @ cov_b
    if not product.isfinite().all():  # LAPACK would end the process
        raise UserError("There is no distance: the features, or their statistics, hold NaN or infinity.")
    roots = torch.linalg.eigvals(product).real.clamp(min=0).sqrt()  # eigenvalues of the matrix root
    return ((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots.sum()).item()


def kernel_distance(a, b, chunk=250):
    """KID, the squared maximum mean discrepancy of features a [N, d] and b [M, d], with the kernel k(x, y) = (x·y / d + 1)³.

    mean k(a, a') + mean k(b, b') - 2 mean k(a, b) over all pairs of different points: unbiased, so it can be below zero.
    Bińkowski et al. 2018 (arXiv 1801.01401), eq. 4.
    """

    def total(x, y):
        return sum((part @ y.T / y.shape[1] + 1).pow_(3).sum(1).cpu().double().sum() for part in x.split(chunk))

    def within(x):
        with_itself = (x.cpu().double().square().sum(1) / x.shape[1] + 1).pow(3).sum()
        return (total(x, x) - with_itself) / (len(x) * (len(x) - 1))

    return (within(a) + within(b) - 2 * total(a, b) / (len(a) * len(b))).item()


def knn_radii(features, k=5, chunk=250):
    """The distance from each of the features [N, d] to its k-th nearest neighbour among the others: [N], N > k."""
    nearest = [torch.cdist(part, features).topk(k + 1, largest=False).values for part in features.split(chunk)]
    return torch.cat(nearest)[:, k]  # column 0 is the point itself


def precision_recall_density_coverage(real, fake, k=5, chunk=250, real_radii=None):
    """Four numbers from the k-NN manifolds of features, real [N, d] and fake [M, d].

    A manifold is a union of balls with the `knn_radii` (`real_radii`, if known). Precision: share of fakes in the real one;
    recall: share of reals in the fake one (Kynkäänniemi et al. 2019, arXiv 1904.06991). Density: mean number of real balls
    around a fake, over k (it can exceed 1); coverage: share of real balls with a fake (Naeem et al. 2020, arXiv 2002.09797).
    """
    real_radii = knn_radii(real, k, chunk) if real_radii is None else real_radii
    fake_radii = knn_radii(fake, k, chunk)
    hits = recalled = covered = 0  # hits [M]: real balls around each fake
    for part, radii in zip(real.split(chunk), real_radii.split(chunk), strict=True):
        distances = torch.cdist(part, fake)
        inside = distances < radii.unsqueeze(1)
        hits += inside.sum(0)
        covered += inside.any(1).sum()
        recalled += (distances < fake_radii).any(1).sum()
    shares = (hits > 0).float().mean(), recalled / len(real), hits.float().mean() / k, covered / len(real)
    return tuple(share.item() for share in shares)


@torch.no_grad()
def nearest(images, reference, k=1, chunk=10_000):
    """The k of `reference` (uint8 [M, 28, 28]) nearest to each of `images` ([N, 1, 28, 28] in [-1, 1]), nearest first.

    Returns Euclidean distances over the pixels in [-1, 1], float [N, k], and indices, int64 [N, k]. Lesson 10.
    """
    data.check_images(images)
    flat, scores, indices = images.flatten(1), [], []
    for start in range(0, len(reference), chunk):
        others = data.to_range(reference[start : start + chunk]).flatten(1)
        # |a - b|² = |a|² - 2 a·b + |b|² with one matrix product; without |a|², which is the same for all
        closest = (others.square().sum(1) - 2 * flat @ others.T).topk(min(k, len(others)), largest=False)
        scores.append(closest.values)
        indices.append(closest.indices + start)
    best = torch.cat(scores, 1).topk(k, largest=False).indices
    indices = torch.cat(indices, 1).gather(1, best)
    return (flat.unsqueeze(1) - data.to_range(reference[indices]).flatten(2)).norm(dim=2), indices


class Score(NamedTuple):
    """How good images are, measured against the 10,000 test digits, with the line that `measure` prints about each number."""

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
    """The 10,000 test digits, with what every score compares with."""

    def __init__(self, device):
        images, self.labels = data.load(train=False, device=device)
        self.images = data.to_range(images)
        self.features, logits = features_and_logits(self.images)  # [10000, 128]
        self.gaussian = gaussian(self.features)
        self.shares = class_shares(logits)  # [10], by the digit net's predictions

    radii = functools.cached_property(lambda self: knn_radii(self.features))  # [10000]; only `score` needs these two
    training_distance = functools.cached_property(lambda self: nearness(self.images))


real_digits = functools.cache(RealDigits)  # real_digits(device): loaded once for each device


def frechet(images):
    """The Fréchet distance of images [N, 1, 28, 28] in [-1, 1], N at least 2, to the test digits in the digit net's features."""
    return frechet_distance(gaussian(features_and_logits(images)[0]), real_digits(images.device).gaussian)


def class_shares(logits):
    """The share of each class among the predictions from logits [N, 10]: float [10]."""
    return logits.argmax(1).bincount(minlength=10) / len(logits)


def classes(shares, real_shares):
    """How many of the ten classes have at least a tenth of their share among the real digits."""
    return (shares >= real_shares / 10).sum().item()


def nearness(images, among=1000):
    """The median distance from the first `among` images to their nearest training digits, over the pixels in [-1, 1]."""
    return nearest(images[:among], data.load(device=images.device).images)[0].median()


def score(images):
    """The `Score` of images [N, 1, 28, 28] in [-1, 1]. Raises `UserError` for N < 1,000: the covariance has 128 features."""
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
        (nearness(images) / real.training_distance).item(),
    )


def floor(n=10_000, seed=0, device="cpu"):
    """The reference value of `score`: that of n training digits drawn with `seed`. No generator is expected to do better."""
    images = data.load(device=device).images
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:n]
    return score(data.to_range(images[chosen.to(device)]))
