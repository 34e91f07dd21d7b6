"""The digit net, and the Fréchet distance against closed forms and another implementation."""

import numpy as np
import pytest
import torch

from gan_lib import data, evaluation


@pytest.fixture(scope="module")
def digits():
    return data.load(train=False)


def features(n, d, seed=0, scale=1.0, shift=0.0):
    """Correlated features, float32 [n, d]."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng) @ torch.randn(d, d, generator=rng) * scale + shift


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


def test_in_one_dimension_it_is_the_closed_form():
    """(mean a - mean b)² + (std a - std b)² for numbers; NumPy gives means and deviations."""
    a, b = features(500, 1), features(300, 1, seed=1, scale=3.0, shift=2.0)
    x, y = a.double().numpy(), b.double().numpy()
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert evaluation.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_independent_dimensions_add_up():
    """Where the covariances are diagonal the distance is the sum over the dimensions."""
    n = 64
    hadamard = torch.ones(1, 1).double()
    while len(hadamard) < n:
        hadamard = torch.cat([torch.cat([hadamard, hadamard], 1), torch.cat([hadamard, -hadamard], 1)])
    columns = hadamard[:, 1:4]  # exactly uncorrelated, mean 0
    a, b = columns * torch.tensor([1.0, 2, 3]), columns * torch.tensor([2.0, 2, 0.5]) + torch.tensor([0.0, 5, 1])
    variance = n / (n - 1)
    expected = variance * ((1 - 2) ** 2 + 0 + (3 - 0.5) ** 2) + 5**2 + 1**2
    assert evaluation.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


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
    assert evaluation.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


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
    assert evaluation.frechet_distance(a, b) == pytest.approx(oracle.compute().item(), rel=1e-6)


def test_it_is_zero_on_itself_even_where_a_feature_is_dead():
    a = features(200, 20)
    a[:, 3] = 0
    assert evaluation.frechet_distance(a, a) == pytest.approx(0, abs=1e-3)
    assert evaluation.frechet_distance(
        a, a[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    ) == pytest.approx(0, abs=1e-3)


def test_it_is_symmetric_and_a_shift_adds_its_square():
    a, b = features(200, 8), features(300, 8, seed=1)
    assert evaluation.frechet_distance(a, b) == pytest.approx(evaluation.frechet_distance(b, a), rel=1e-6)
    assert evaluation.frechet_distance(a, a + 2) == pytest.approx(8 * 2**2, rel=1e-5)


def test_other_digits_are_further_away_than_other_halves(digits):
    made, _ = evaluation.features_and_logits(data.to_range(digits.images[:2000]))
    zeros = made[digits.labels[:2000] == 0]
    floor = evaluation.frechet_distance(made[:1000], made[1000:])
    assert 0 < 5 * floor < evaluation.frechet_distance(made, zeros)
