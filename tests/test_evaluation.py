"""The digit net, and each number of a score against closed forms, plain loops and other implementations."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from gan_lib import data, evaluation
from gan_lib.evaluation import Gaussian, gaussian


@pytest.fixture(scope="module")
def digits():
    return data.load(train=False)


def features(n, d, seed=0, scale=1.0, shift=0.0):
    """Correlated features, float32 [n, d]."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng) @ torch.randn(d, d, generator=rng) * scale + shift


def normal(n, d, seed=0):
    """Independent features from N(0, 1), float32 [n, d]."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def shuffled(values, seed=0):
    return values[torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))]


# The digit net


def test_the_digit_net_reads_994_of_1000_test_digits(digits):
    made, logits = evaluation.features_and_logits(data.to_range(digits.images))
    assert (made.shape, logits.shape) == ((10_000, 128), (10_000, 10))
    assert (logits.argmax(1) == digits.labels).float().mean() >= 0.994
    assert made.min() == 0  # after a ReLU
    assert torch.allclose(evaluation.digit_net()(data.to_range(digits.images[:5])), logits[:5], atol=1e-4)


def test_the_digit_net_is_frozen(digits):
    net = evaluation.digit_net()
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())


def test_features_do_not_depend_on_the_chunk_or_on_the_neighbours(digits):
    images = data.to_range(digits.images[:25])
    whole = evaluation.features_and_logits(images)
    for got, expected in zip(evaluation.features_and_logits(images, chunk=7), whole, strict=True):
        assert torch.allclose(got, expected, atol=1e-4)


def test_classes_are_counted_and_missing_ones_are_zero(digits):
    chosen = torch.cat([digits.images[digits.labels == c][:40] for c in (0, 0, 7)])
    counts = evaluation.class_counts(data.to_range(chosen))
    assert counts.shape == (10,)
    assert counts.sum() == 120
    assert counts[0] >= 78
    assert counts[7] >= 38
    assert evaluation.class_counts(data.to_range(chosen)).dtype == torch.int64


# The Fréchet distance


def distance_of(a, b):
    return evaluation.frechet_distance(gaussian(a), gaussian(b))


def test_the_statistics_are_mean_and_covariance_in_float64():
    for made in (features(40, 3), features(40, 1)):
        mean, cov = gaussian(made)
        assert (mean.dtype, cov.dtype) == (torch.float64, torch.float64)
        x = made.double().numpy()
        assert np.allclose(mean, x.mean(0), rtol=1e-12)
        assert np.allclose(cov, np.atleast_2d(np.cov(x, rowvar=False)), rtol=1e-12)


def test_in_one_dimension_it_is_the_closed_form():
    """(mean a - mean b)² + (std a - std b)² for numbers."""
    a = Gaussian(torch.tensor([1.0]).double(), torch.tensor([[4.0]]).double())
    b = Gaussian(torch.tensor([3.5]).double(), torch.tensor([[0.25]]).double())
    assert evaluation.frechet_distance(a, b) == pytest.approx(2.5**2 + (2 - 0.5) ** 2, rel=1e-12)


def test_samples_in_one_dimension_give_the_closed_form_too():
    a, b = features(500, 1), features(300, 1, seed=1, scale=3.0, shift=2.0)
    x, y = a.double().numpy(), b.double().numpy()
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert distance_of(a, b) == pytest.approx(expected, rel=1e-6)


def test_independent_dimensions_add_up():
    """Where the covariances are diagonal the distance is the sum over the dimensions."""
    a = Gaussian(torch.tensor([0.0, 1, 2, 3]).double(), torch.tensor([1.0, 4, 9, 0]).diag().double())
    b = Gaussian(torch.tensor([0.0, 6, 3, 3]).double(), torch.tensor([4.0, 4, 0.25, 2.25]).diag().double())
    expected = 5**2 + 1**2 + (1 - 2) ** 2 + 0 + (3 - 0.5) ** 2 + (0 - 1.5) ** 2
    assert evaluation.frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


def test_a_rotation_of_both_changes_nothing():
    """Covariances with the same eigenvectors commute: again the differences of the deviations count, squared."""
    turn = torch.linalg.qr(normal(4, 4).double()).Q
    a, b = (Gaussian(torch.zeros(4).double(), turn @ torch.tensor(v).double().diag() @ turn.T)
            for v in ([1.0, 4, 9, 16], [25.0, 4, 0.25, 1]))  # fmt: skip
    assert evaluation.frechet_distance(a, b) == pytest.approx(4**2 + 0 + 2.5**2 + 3**2, rel=1e-9)


def root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def test_it_equals_the_symmetric_form_in_numpy():
    """trace (cov a · cov b)^½ = trace (cov a^½ · cov b · cov a^½)^½, a root of a symmetric matrix."""
    a, b = features(400, 12), features(300, 12, seed=1, scale=1.5, shift=0.3)
    x, y = a.double().numpy(), b.double().numpy()
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    between = np.trace(root(root(cov_x) @ cov_y @ root(cov_x)))
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(cov_x) + np.trace(cov_y) - 2 * between
    assert distance_of(a, b) == pytest.approx(expected, rel=1e-6)


class AsTheyAre(torch.nn.Module):
    """Images that are features already, as torchmetrics wants its net."""

    num_features = 12

    def forward(self, images):
        return images.flatten(1)


def test_it_equals_that_of_torchmetrics():
    from torchmetrics.image.fid import FrechetInceptionDistance  # here, because it takes seconds to import

    a, b = features(400, 12), features(300, 12, seed=1, scale=1.5, shift=0.3)
    oracle = FrechetInceptionDistance(AsTheyAre().eval(), normalize=True, input_img_size=(12, 1, 1)).set_dtype(
        torch.float64
    )
    oracle.update(a[..., None, None].double(), real=True)
    oracle.update(b[..., None, None].double(), real=False)
    assert distance_of(a, b) == pytest.approx(oracle.compute().item(), rel=1e-6)


def test_it_is_zero_on_itself_even_where_a_feature_is_dead():
    a = features(200, 20)
    a[:, 3] = 0
    assert distance_of(a, a) == pytest.approx(0, abs=1e-3)
    assert distance_of(a, shuffled(a)) == pytest.approx(0, abs=1e-3)


def test_it_is_symmetric_and_a_shift_adds_its_square():
    a, b = features(200, 8), features(300, 8, seed=1)
    assert distance_of(a, b) == pytest.approx(distance_of(b, a), rel=1e-6)
    assert distance_of(a, a + 2) == pytest.approx(8 * 2**2, rel=1e-5)


@pytest.mark.parametrize("n", [0, 1])
def test_a_covariance_of_fewer_than_two_points_is_refused(n):
    with pytest.raises(ValueError, match=f"A covariance takes at least two images or points, not {n}"):
        gaussian(torch.ones(n, 5))


CRASHES = """
import math, torch
from gan_lib import evaluation, recipes, latent
good, sentences = torch.rand(60, 1, 28, 28) * 2 - 1, []
diverged = recipes.pretrained("mlp")
[weights.data.fill_(math.nan) for weights in diverged.generator.parameters()]
broken = evaluation.Gaussian(torch.zeros(128).double(), torch.full((128, 128), math.nan).double())
bad = [good[:0], good[:1], good.where(torch.arange(784).view(28, 28) > 0, math.nan), diverged.sample(40)]
calls = [lambda images=images: evaluation.frechet(images) for images in bad]
calls += [lambda: evaluation.frechet_distance(broken, broken), lambda: evaluation.score(diverged.sample(1000))]
calls += [lambda: evaluation.frechet_distance(*map(evaluation.gaussian, (torch.full((9, 5), math.inf), torch.ones(9, 5))))]
calls += [lambda: latent.principal_directions(diverged, n=200), lambda: latent.find_directions(diverged, n=200)]
for call in calls:
    try:
        call()
    except ValueError as error:
        sentences.append(str(error))
print(len(sentences), len(calls), any(chr(10) in sentence for sentence in sentences))
print(evaluation.frechet(good[:2]) > 0)
"""


def test_what_is_too_few_or_not_finite_is_a_sentence_and_the_process_lives_on():
    """In a process of its own: LAPACK ends it by a signal."""
    told = subprocess.run([sys.executable, "-c", CRASHES], capture_output=True, text=True)
    assert (told.returncode, told.stdout.split()) == (0, ["9", "9", "False", "True"]), told.stderr


def test_other_digits_are_further_away_than_other_halves(digits):
    made, _ = evaluation.features_and_logits(data.to_range(digits.images[:2000]))
    zeros = made[digits.labels[:2000] == 0]
    floor = distance_of(made[:1000], made[1000:])
    assert 0 < 5 * floor < distance_of(made, zeros)


# The kernel distance


def kernel_distance_by_loops(a, b):
    """Bińkowski et al. 2018, eq. 4, a pair at a time, in float64."""
    a, b = a.double().numpy(), b.double().numpy()

    def mean(x, y, same):
        return np.mean(
            [(u @ v / len(u) + 1) ** 3 for i, u in enumerate(x) for j, v in enumerate(y) if not (same and i == j)]
        )

    return mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)


def test_the_kernel_distance_is_that_of_a_plain_loop():
    a, b = features(23, 6), features(17, 6, seed=1, scale=1.3, shift=0.2)
    assert evaluation.kernel_distance(a, b) == pytest.approx(kernel_distance_by_loops(a, b), rel=1e-4)
    assert evaluation.kernel_distance(a.double(), b.double()) == pytest.approx(
        kernel_distance_by_loops(a, b), rel=1e-12
    )


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save all:UserWarning")
def test_the_kernel_distance_equals_that_of_torchmetrics():
    """Of one subset that holds everything; of degree 3, gamma 1 / d and coefficient 1, which are its defaults."""
    from torchmetrics.image.kid import KernelInceptionDistance

    a, b = features(300, 12).double(), features(300, 12, seed=1, scale=1.2, shift=0.3).double()
    oracle = KernelInceptionDistance(AsTheyAre().eval(), subsets=1, subset_size=300, normalize=True)
    oracle.set_dtype(torch.float64)
    oracle.update(a[..., None, None], real=True)
    oracle.update(b[..., None, None], real=False)
    assert evaluation.kernel_distance(a, b) == pytest.approx(oracle.compute()[0].item(), rel=1e-9)


@pytest.mark.parametrize("chunk", [1, 7, 40, 1000])
def test_the_kernel_distance_depends_neither_on_the_chunk_nor_on_the_order(chunk):
    a, b = features(40, 6), features(30, 6, seed=1)
    expected = evaluation.kernel_distance(a.double(), b.double())
    assert evaluation.kernel_distance(shuffled(a), shuffled(b), chunk) == pytest.approx(expected, rel=1e-4)
    assert evaluation.kernel_distance(b, a, chunk) == pytest.approx(expected, rel=1e-4)


def test_the_kernel_distance_of_two_halves_lies_around_zero_and_below_it_too():
    """Unbiased: over many pairs of samples of one distribution the mean is 0, within four of its standard errors."""
    each = np.array([evaluation.kernel_distance(normal(100, 8, i), normal(100, 8, 1000 + i)) for i in range(100)])
    assert each.min() < 0 < each.max()
    assert abs(each.mean()) < 4 * each.std(ddof=1) / math.sqrt(len(each))
    apart = evaluation.kernel_distance(normal(100, 8), normal(100, 8, 1) + 1)
    assert apart > 10 * np.abs(each).max()


# Precision, recall, density and coverage


def distances_by_loops(a, b):
    a, b = a.double().numpy(), b.double().numpy()
    return np.array([[np.linalg.norm(u - v) for v in b] for u in a])


def radii_by_loops(made, k):
    return np.array([sorted(np.delete(row, i))[k - 1] for i, row in enumerate(distances_by_loops(made, made))])


def shares_by_loops(real, fake, k):
    """Kynkäänniemi et al. 2019, eq. 1-3; Naeem et al. 2020, eq. 4-5, a ball at a time."""
    between, n, m = distances_by_loops(real, fake), range(len(real)), range(len(fake))
    reach, other_reach = radii_by_loops(real, k), radii_by_loops(fake, k)
    precision = sum(any(between[i, j] < reach[i] for i in n) for j in m) / len(m)
    recall = sum(any(between[i, j] < other_reach[j] for j in m) for i in n) / len(n)
    density = sum(between[i, j] < reach[i] for i in n for j in m) / (k * len(m))
    coverage = sum(any(between[i, j] < reach[i] for j in m) for i in n) / len(n)
    return precision, recall, density, coverage


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("n", [12, 60])  # from 26 on cdist takes another way
def test_the_radii_are_distances_to_the_kth_of_the_others(n, k):
    made = features(n, 6)
    for chunk in (1, 7, 1000):
        assert np.allclose(evaluation.radii_of(made, k, chunk), radii_by_loops(made, k), rtol=1e-4)


@pytest.mark.parametrize(("n", "m", "k"), [(60, 60, 5), (60, 25, 5), (25, 60, 5), (40, 50, 1), (40, 50, 3)])
def test_the_four_shares_are_those_of_plain_loops(n, m, k):
    real, fake = normal(n, 3), normal(m, 3, 1) * 1.2 + 1.5
    expected = shares_by_loops(real, fake, k)
    assert all(0 < share < 1 for share in expected)
    for chunk in (7, 1000):
        got = evaluation.precision_recall_density_coverage(real, fake, k, chunk)
        assert got == pytest.approx(expected, abs=1e-6)
    got = evaluation.precision_recall_density_coverage(shuffled(real), shuffled(fake), k)
    assert got == pytest.approx(expected, abs=1e-6)


def test_five_neighbours_are_asked_unless_told_otherwise():
    real, fake = normal(60, 3), normal(50, 3, 1) + 0.7
    got = evaluation.precision_recall_density_coverage(real, fake)
    assert got == pytest.approx(shares_by_loops(real, fake, 5), abs=1e-6)


def test_fakes_far_away_get_nothing_and_copies_get_all():
    real = normal(300, 8)
    assert evaluation.precision_recall_density_coverage(real, real + 100) == (0, 0, 0, 0)
    precision, recall, density, coverage = evaluation.precision_recall_density_coverage(real, real.clone())
    assert (precision, recall, coverage) == (1, 1, 1)
    assert density == pytest.approx(1, abs=0.05)  # each ball holds its centre and the 4 points before its rim


def test_one_good_fake_repeated_is_precise_and_covers_nothing():
    """What precision can't see, coverage and recall do."""
    real = normal(500, 8)
    fake = real[:1] + 1e-2 * normal(300, 8, 1)
    precision, recall, _, coverage = evaluation.precision_recall_density_coverage(real, fake)
    assert precision == 1
    assert recall < 2 / 500  # none but the one it copies
    assert coverage < 0.1


def test_equal_distributions_get_density_one_and_the_coverage_that_counting_gives():
    """Of the others around a real point the k nearest are all real with this chance: then its ball holds no fake.

    4 dimensions, 3,000 real and 1,000 fake. Over ten seeds coverage lay within 0.026 of 0.762, density within 0.036 of 1.
    """
    n, m, k = 3000, 1000, 5
    _, _, density, coverage = evaluation.precision_recall_density_coverage(normal(n, 4), normal(m, 4, 1))
    missed = math.prod((n - 1 - i) / (n - 1 + m - i) for i in range(k))
    assert coverage == pytest.approx(1 - missed, abs=0.05)
    assert density == pytest.approx(1, abs=0.08)


def test_they_are_what_prdc_publishes_for_two_normal_samples():
    """The readme of github.com/clovaai/generative-evaluation-prdc: 10,000 of each, 1000 dimensions, k = 5, no seed told.

    In so many dimensions a few balls hold most points, so draws differ: over five seeds the standard deviations were 0.012
    (precision), 0.009 (recall), 0.07 (density) and 0.007 (coverage). The tolerances are at least four of them.
    """
    got = evaluation.precision_recall_density_coverage(normal(10_000, 1000), normal(10_000, 1000, 1))
    for share, published, tolerance in zip(got, (0.4772, 0.4705, 1.0555, 0.9735), (0.05, 0.05, 0.3, 0.03), strict=True):
        assert share == pytest.approx(published, abs=tolerance)


# The score


def real_digits():
    return evaluation.real_digits(torch.device("cpu"))


@pytest.fixture(scope="module")
def some_training_digits():
    """1,000 of them, in [-1, 1]."""
    return data.to_range(shuffled(data.load().images)[:1000])


@pytest.fixture(scope="module")
def their_score(some_training_digits):
    return evaluation.score(some_training_digits)


def test_training_digits_score_the_floor(their_score):
    """Seen: Fréchet 0.26, kernel -0.0004, precision 0.92, recall 0.92, density 0.89, coverage 0.34, kl 0.003.

    From 1,000 images counting gives a coverage of 0.38, and density would be 1, had the net not learned from these digits.
    """
    assert 0 < their_score.frechet < 0.5
    assert abs(their_score.kernel) < 0.005
    assert their_score.precision > 0.85
    assert their_score.recall > 0.85
    assert 0.8 < their_score.density < 1.1
    assert 0.28 < their_score.coverage < 0.42
    assert their_score.classes == 10
    assert 0 < their_score.kl < 0.02
    assert their_score.confidence > 0.9
    assert their_score.novelty == 0  # each is its own nearest


def test_shuffling_a_thousand_images_changes_no_number(some_training_digits, their_score):
    assert evaluation.score(shuffled(some_training_digits, 1)) == pytest.approx(their_score, rel=1e-5, abs=1e-7)


def test_the_floor_is_the_score_of_training_digits_drawn_with_the_seed(monkeypatch):
    monkeypatch.setattr(evaluation, "score", lambda images: images)
    one, other = evaluation.floor(1000), evaluation.floor(1000, seed=1)
    assert one.shape == other.shape == (1000, 1, 28, 28)
    assert one.equal(evaluation.floor(1000, seed=0))
    assert not one.equal(other)
    assert evaluation.nearest(one[:50], data.load().images)[0].eq(0).all()


def test_novelty_tells_training_digits_from_test_digits(digits, some_training_digits):
    pile = torch.cat([some_training_digits[:5], data.to_range(digits.images[:5])])
    assert evaluation.nearness(pile, among=5) == 0
    assert evaluation.nearness(pile.flip(0), among=5) > 1
    expected = evaluation.nearest(pile[5:], data.load().images)[0].median()
    assert evaluation.nearness(pile[5:]) == pytest.approx(expected.item())


def test_novelty_is_of_a_thousand_images(monkeypatch):
    monkeypatch.setattr(evaluation, "nearest", lambda images, _: (images[:, 0, 0, :1], None))
    pile = torch.cat([torch.zeros(1000, 1, 28, 28), torch.ones(2000, 1, 28, 28)])
    assert evaluation.nearness(pile) == 0


def test_a_missing_class_is_counted_and_costs_its_share(digits, monkeypatch):
    """All test digits but those read as 7: KL is log(1 / (1 - share)). The slow numbers are left out."""
    nothing = {"frechet_distance": 0, "kernel_distance": 0, "precision_recall_density_coverage": (0, 0, 0, 0)}
    for name, value in nothing.items():
        monkeypatch.setattr(evaluation, name, lambda *_, value=value, **__: value)
    made, share = real_digits().features, real_digits().shares[7].item()
    logits = evaluation.digit_net()[-1](made)
    kept = logits.argmax(1) != 7
    monkeypatch.setattr(evaluation, "features_and_logits", lambda _: (made[kept], logits[kept]))
    got = evaluation.score(data.to_range(digits.images[1000:2000]))
    assert share == pytest.approx((digits.labels == 7).float().mean().item(), abs=0.002)
    assert got.classes == 9
    assert got.kl == pytest.approx(math.log(1 / (1 - share)), abs=1e-5)
    assert got.imbalance == pytest.approx(1, abs=1e-5)  # the 7s, all of them; the others' shares grew by less
    assert got.novelty == pytest.approx(1, abs=0.05)  # of other test digits than those that set the scale


def test_a_class_counts_from_a_tenth_of_its_share():
    shares = torch.full((10,), 0.1)
    for sevens, expected in ((0, 9), (9, 9), (10, 10), (11, 10)):
        reads = torch.cat([torch.full((sevens,), 7), torch.arange(1000 - sevens) % 7])  # no 8, no 9
        logits = torch.nn.functional.one_hot(reads, 10).float()
        assert evaluation.classes(evaluation.class_shares(logits), shares) == expected - 2


def test_one_digit_repeated_is_precise_and_scores_badly(digits):
    """Seen: Fréchet 67, kernel 1.04, precision 1, recall 0, density 1, coverage 0.0005, kl 2.27, confidence 0.95."""
    image = data.to_range(digits.images[:1])
    got = evaluation.score(image.repeat(1000, 1, 1, 1))
    read = evaluation.features_and_logits(image)[1].argmax().item()
    assert got.frechet > 30
    assert got.kernel > 0.5
    assert got.precision == 1  # it can't see that all are the same
    assert got.recall < 0.001
    assert got.coverage < 0.01
    assert got.classes == 1
    assert got.kl == pytest.approx(-math.log(real_digits().shares[read].item()), abs=1e-5)


def test_noise_scores_badly_though_the_digit_net_is_sure_of_it():
    """Seen: Fréchet 152, kernel 7.9, no precision, recall, density or coverage, one class, confidence 0.97, novelty 3.4."""
    got = evaluation.score(torch.rand(1000, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    assert got.frechet > 100
    assert got.kernel > 4
    assert (got.precision, got.recall, got.density, got.coverage) == (0, 0, 0, 0)
    assert got.classes < 4
    assert got.confidence > 0.9  # so confidence alone says nothing
    assert got.novelty > 2


def test_fewer_than_a_thousand_images_are_refused():
    expected = r"A score needs at least 1,000 images, better 10,000; these are 999\."
    with pytest.raises(ValueError, match=expected):
        evaluation.score(torch.zeros(999, 1, 28, 28))


# Class by class


def test_real_digits_with_their_labels_are_nearly_all_right_and_lie_among_their_own_class():
    for score in evaluation.class_floor(3000):
        assert score.right > 0.99
        assert min(score.precision, score.density, score.coverage) > 0.5


def test_a_class_is_measured_by_its_own_images_alone():
    """Sevens asked for as sevens, and threes that came where fives were asked for."""
    images, labels = data.load()
    chosen = torch.cat([(labels == digit).nonzero()[:100, 0] for digit in range(10)])
    images, labels = data.to_range(images[chosen]), labels[chosen]
    before = evaluation.class_scores(images, labels)
    images[labels == 5] = images[labels == 3]
    after = evaluation.class_scores(images, labels)
    assert [before[digit] for digit in range(10) if digit != 5] == [after[digit] for digit in range(10) if digit != 5]
    assert after[5].right < 0.05 < 0.95 < before[5].right
    assert after[5].density < before[5].density / 4 and after[5].coverage < before[5].coverage / 4


def test_the_scores_of_a_class_are_those_of_the_whole_with_one_class_left(digits):
    images, labels = data.to_range(digits.images[:600]), digits.labels[:600]
    features, _ = evaluation.features_and_logits(images)
    real = evaluation.real_digits(images.device)
    expected = evaluation.precision_recall_density_coverage(real.features[digits.labels == 4], features[labels == 4])
    assert evaluation.class_scores(images, labels)[4][1:] == pytest.approx(expected)


@pytest.mark.parametrize(
    "labels",
    [
        torch.arange(80) % 10 - 1,
        torch.arange(80) % 10 + 1,
        torch.arange(80) % 9,
        torch.cat([torch.arange(75) % 9, torch.full((5,), 9)]),
        torch.arange(79) % 10,
        torch.arange(80) % 10 + 0.5,
        (torch.arange(80) % 10).view(80, 1),
    ],
)
def test_class_scores_refuse_labels_that_are_no_digits_too_few_or_of_another_length(labels, digits):
    with pytest.raises(ValueError, match="There must be a label from 0 to 9 for each image, and at least six images"):
        evaluation.class_scores(data.to_range(digits.images[:80]), labels)


def test_the_floor_of_the_classes_has_as_many_of_each(monkeypatch):
    monkeypatch.setattr(evaluation, "class_scores", lambda images, labels: (images, labels))
    images, labels = evaluation.class_floor(200, seed=1)
    assert labels.bincount().tolist() == [20] * 10
    assert not images.equal(evaluation.class_floor(200, seed=2)[0])
    there = {image.numpy().tobytes() for image in data.load().images}
    assert all(image.numpy().tobytes() in there for image in data.to_uint8(images))
