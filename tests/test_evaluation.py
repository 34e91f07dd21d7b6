"""The digit net, and each number of a score against closed forms, formulas in NumPy and other implementations."""

import math

import numpy as np
import pytest
import torch

from gan_lib import UserError, data, evaluation
from gan_lib.evaluation import gaussian


@pytest.fixture(scope="module")
def digits():
    return data.load(train=False)


@pytest.fixture(scope="module")
def real():
    return evaluation.real_digits(torch.device("cpu"))


def normal(n, d, seed=0):
    """Independent features from N(0, 1), float32 [n, d]."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def features(n, d, seed=0, scale=1.0, shift=0.0):
    """Correlated features, float32 [n, d]."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng) @ torch.randn(d, d, generator=rng) * scale + shift


def shuffled(values, seed=0):
    return values[torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))]


def test_the_digit_net_is_frozen_and_has_an_accuracy_of_99_4_percent(digits):
    images = data.to_range(digits.images)
    x, logits = evaluation.features_and_logits(images)
    assert (x.shape, logits.shape) == ((10_000, 128), (10_000, 10))
    assert (logits.argmax(1) == digits.labels).float().mean() >= 0.994
    assert x.min() == 0  # after a ReLU
    net = evaluation.digit_net()
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())
    few = evaluation.features_and_logits(images[:25], chunk=7)  # neither the chunk nor the other images matter
    for values, expected in zip((*few, net(images[:25])), (x, logits, logits), strict=True):
        assert torch.allclose(values, expected[:25], atol=1e-4)


def test_class_counts_are_zero_for_missing_classes(digits):
    chosen = torch.cat([digits.images[digits.labels == c][:40] for c in (0, 0, 7)])
    counts = evaluation.class_counts(data.to_range(chosen))
    assert (counts.shape, counts.dtype, counts.sum()) == ((10,), torch.int64, 120)
    assert counts[0] >= 78 and counts[7] >= 38


def distance(a, b):
    return evaluation.frechet_distance(gaussian(a), gaussian(b))


def test_the_statistics_are_mean_and_covariance_in_float64_also_of_one_feature():
    x = features(40, 1)
    mean, cov = gaussian(x)
    assert (mean.dtype, cov.dtype, cov.shape) == (torch.float64, torch.float64, (1, 1))
    x = x.double().numpy()
    assert np.allclose(mean, x.mean(0), rtol=1e-12, atol=0)
    assert np.allclose(cov, np.cov(x, rowvar=False), rtol=1e-12, atol=0)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("d", [1, 4])
def test_the_frechet_distance_of_independent_dimensions_is_a_closed_form(d, turned):
    """Σ (mean a - mean b)² + (std a - std b)². A rotation of both changes nothing."""
    mean_a, mean_b, std_a, std_b = 3 * normal(4, d).double().abs()
    std_a[1:2] = 0  # a dead feature
    turn = torch.linalg.qr(normal(d, d).double()).Q if turned else torch.eye(d).double()
    a, b = ((turn @ m, turn @ s.square().diag() @ turn.T) for m, s in ((mean_a, std_a), (mean_b, std_b)))
    expected = (mean_a - mean_b).square().sum() + (std_a - std_b).square().sum()
    assert evaluation.frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-6 if turned else 1e-12)


IDENTITY = torch.nn.Flatten().eval()  # takes features for images, as torchmetrics wants a net
IDENTITY.num_features = 12


def test_the_frechet_distance_equals_that_of_torchmetrics():
    from torchmetrics.image.fid import FrechetInceptionDistance  # here, because it takes seconds to import

    a, b = features(300, 12), features(300, 12, seed=1, scale=1.5, shift=0.3)
    metric = FrechetInceptionDistance(IDENTITY, normalize=True, input_img_size=(12, 1, 1))
    metric.set_dtype(torch.float64)
    metric.update(a[..., None, None].double(), real=True)
    metric.update(b[..., None, None].double(), real=False)
    assert distance(a, b) == pytest.approx(metric.compute().item(), rel=1e-6)
    assert distance(b, a) == pytest.approx(distance(a, b), rel=1e-6)
    assert distance(a, shuffled(a)) == pytest.approx(0, abs=1e-3)


def test_too_few_images_and_nan_are_an_error():
    """Without the checks LAPACK would end the process."""
    for n in (0, 1):
        with pytest.raises(UserError, match=f"A covariance needs at least two images or points, not {n}"):
            evaluation.frechet(torch.zeros(n, 1, 28, 28))
    images = torch.rand(1000, 1, 28, 28) * 2 - 1
    with pytest.raises(UserError, match=r"A score needs at least 1,000 images, better 10,000; these are 999\."):
        evaluation.score(images[1:])
    assert evaluation.frechet(images[:2]) > 0
    images[:, 0, 0, 0] = math.nan
    for measure in (evaluation.frechet, evaluation.score):
        with pytest.raises(UserError, match="The images hold NaN or infinity"):
            measure(images)
    broken = torch.zeros(128).double(), torch.full((128, 128), math.nan).double()
    for a, b in ((broken, broken), (gaussian(torch.full((9, 5), math.inf)), gaussian(torch.ones(9, 5)))):
        with pytest.raises(UserError, match="There is no distance"):
            evaluation.frechet_distance(a, b)


@pytest.mark.parametrize("chunk", [1, 7, 40, 1000])
def test_the_kernel_distance_equals_its_formula_for_every_chunk_and_order(chunk):
    """Bińkowski et al. 2018, eq. 4, by NumPy in float64."""
    a, b = features(40, 6), features(30, 6, seed=1, scale=1.3, shift=0.2)
    kernel = lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
    within = lambda x: kernel(x, x)[~np.eye(len(x), dtype=bool)].mean()
    x, y = a.double().numpy(), b.double().numpy()
    expected = within(x) + within(y) - 2 * kernel(x, y).mean()
    assert evaluation.kernel_distance(a.double(), b.double(), chunk) == pytest.approx(expected, rel=1e-12)
    assert evaluation.kernel_distance(shuffled(a), shuffled(b), chunk) == pytest.approx(expected, rel=1e-4)
    assert evaluation.kernel_distance(b, a, chunk) == pytest.approx(expected, rel=1e-4)


def shares_by_numpy(real, fake, k):
    """Kynkäänniemi et al. 2019, eq. 1-3; Naeem et al. 2020, eq. 4-5, in float64."""
    real, fake = real.double().numpy(), fake.double().numpy()
    distances = lambda a, b: np.linalg.norm(a[:, None] - b, axis=2)
    real_radii, fake_radii = (np.sort(distances(x, x))[:, k] for x in (real, fake))  # column 0 is the point itself
    in_real = distances(real, fake) < real_radii[:, None]
    in_fake = distances(real, fake) < fake_radii
    return in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum(0).mean() / k, in_real.any(1).mean()


@pytest.mark.parametrize(("n", "m", "k"), [(60, 60, 5), (60, 25, 5), (25, 60, 5), (12, 50, 1), (40, 50, 3)])
def test_precision_recall_density_and_coverage_equal_their_formulas(n, m, k):
    real, fake = normal(n, 3), normal(m, 3, 1) * 1.2 + 1.5
    expected = pytest.approx(shares_by_numpy(real, fake, k), abs=1e-6)
    for options in ({"chunk": 7}, {"chunk": 1000}, {"real_radii": evaluation.knn_radii(real, k)}):
        got = evaluation.precision_recall_density_coverage(real, fake, k, **options)
        assert all(0 < share < 1 for share in got)
        assert got == expected
    assert evaluation.precision_recall_density_coverage(shuffled(real), shuffled(fake), k) == expected
    assert (evaluation.precision_recall_density_coverage(real, fake) == expected) == (k == 5)  # the default


@pytest.mark.parametrize("chunk", [1, 2, 7, 23, 10_000])
def test_nearest_neighbours_equal_a_sort_of_all_distances_for_every_size_of_chunk(chunk, images):
    reference, queries = images[:23], normal(5, 784).sigmoid().view(5, 1, 28, 28) * 2 - 1
    distances, indices = evaluation.nearest(queries, reference, k=3, chunk=chunk)
    others = reference.double().flatten(1) / 127.5 - 1
    expected = (queries.double().flatten(1).unsqueeze(1) - others).norm(dim=2).sort(1)
    assert indices.dtype == torch.int64 and indices.equal(expected.indices[:, :3])
    assert torch.allclose(distances.double(), expected.values[:, :3], atol=1e-4)
    distances, indices = evaluation.nearest(data.to_range(images), images, chunk=chunk)  # each image is its own
    assert (distances.tolist(), indices.tolist()) == ([[0]] * 48, [[i] for i in range(48)])


@pytest.fixture(scope="module")
def training_digits():
    """1,000 of them, in [-1, 1]."""
    return data.to_range(shuffled(data.load().images)[:1000])


def outside(score, **ranges):
    """The numbers of a score that do not lie strictly inside these ranges."""
    return {name: getattr(score, name) for name, (low, high) in ranges.items() if not low < getattr(score, name) < high}


def test_training_digits_have_a_good_score_in_any_order(training_digits):
    """Seen: Fréchet 0.26, kernel -0.0004, precision 0.92, recall 0.92, density 0.89, coverage 0.34, kl 0.003.

    Combinatorics gives a coverage of 0.38 for 1,000 images, and density would be 1 if the net had not seen these digits.
    """
    score = evaluation.score(training_digits)
    ranges = {"frechet": (0, 0.5), "kernel": (-0.005, 0.005), "precision": (0.85, 1), "recall": (0.85, 1)}
    ranges |= {"density": (0.8, 1.1), "coverage": (0.28, 0.42), "kl": (0, 0.02), "confidence": (0.9, 1)}
    assert not outside(score, **ranges)
    assert score.classes == 10
    assert score.novelty == 0  # each is its own nearest neighbour
    assert evaluation.score(shuffled(training_digits, 1)) == pytest.approx(score, rel=1e-5, abs=1e-7)


def test_one_digit_repeated_is_precise_and_scores_badly(digits, real):
    """Seen: Fréchet 67, kernel 1.04, precision 1, recall 0, density 1, coverage 0.0005, kl 2.27, confidence 0.95."""
    image = data.to_range(digits.images[:1])
    got = evaluation.score(image.repeat(1000, 1, 1, 1))
    assert not outside(got, frechet=(30, math.inf), kernel=(0.5, math.inf), recall=(-1, 0.001), coverage=(-1, 0.01))
    assert (got.precision, got.classes) == (1, 1)  # precision can't see that all are the same
    assert got.kl == pytest.approx(-math.log(real.shares[evaluation.class_counts(image).argmax()].item()), abs=1e-5)


def test_a_missing_class_is_counted_and_costs_its_share(digits, real, monkeypatch):
    """All test digits except those read as 7: KL is log(1 / (1 - share)). The slow numbers are left out."""
    nothing = {"frechet_distance": 0, "kernel_distance": 0, "precision_recall_density_coverage": (0, 0, 0, 0)}
    for name, value in nothing.items():
        monkeypatch.setattr(evaluation, name, lambda *_, value=value, **__: value)
    x, share = real.features, real.shares[7].item()
    logits = evaluation.digit_net()[-1](x)
    others = logits.argmax(1) != 7
    monkeypatch.setattr(evaluation, "features_and_logits", lambda _: (x[others], logits[others]))
    got = evaluation.score(data.to_range(digits.images[1000:2000]))
    assert share == pytest.approx((digits.labels == 7).float().mean().item(), abs=0.002)
    assert got.classes == 9
    assert got.kl == pytest.approx(math.log(1 / (1 - share)), abs=1e-5)
    assert got.imbalance == pytest.approx(1, abs=1e-5)  # all of the 7s; the other shares grew by less
    assert got.novelty == pytest.approx(1, abs=0.05)  # other test digits than those of the scale


@pytest.mark.parametrize(("sevens", "expected"), [(0, 7), (9, 7), (10, 8), (11, 8)])
def test_a_class_counts_from_a_tenth_of_its_share(sevens, expected):
    classes = torch.cat([torch.full((sevens,), 7), torch.arange(1000 - sevens) % 7])  # no 8 and no 9
    shares = evaluation.class_shares(torch.nn.functional.one_hot(classes, 10).float())
    assert evaluation.classes(shares, torch.full((10,), 0.1)) == expected


def test_nearness_is_the_median_distance_of_the_first_images_to_training_digits(digits, training_digits, monkeypatch):
    mixed = torch.cat([training_digits[:5], data.to_range(digits.images[:5])])
    assert evaluation.nearness(mixed, among=5) == 0
    assert evaluation.nearness(mixed.flip(0), among=5) > 1
    expected = evaluation.nearest(mixed[5:], data.load().images)[0].median()
    assert evaluation.nearness(mixed[5:]) == pytest.approx(expected.item())
    monkeypatch.setattr(evaluation, "nearest", lambda images, _: (images[:, 0, 0, :1], None))
    assert evaluation.nearness(torch.cat([torch.zeros(1000, 1, 28, 28), torch.ones(2000, 1, 28, 28)])) == 0


def test_the_floor_is_the_score_of_training_digits_drawn_with_the_seed(monkeypatch):
    monkeypatch.setattr(evaluation, "score", lambda images: images)
    one, other = evaluation.floor(1000), evaluation.floor(1000, seed=1)
    assert one.shape == other.shape == (1000, 1, 28, 28)
    assert one.equal(evaluation.floor(1000, seed=0))
    assert not one.equal(other)
    assert evaluation.nearest(one[:50], data.load().images)[0].eq(0).all()
