"""Each loss against its formula, written down once more with `math`, on logits that no two mistakes treat alike."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy

from gan_lib.losses import (
    LOSSES,
    PENALTIES,
    cross_entropy_d,
    hinge_d,
    least_squares_d,
    least_squares_g,
    mean_g,
    minimax_g,
    non_saturating_g,
    one_centred_penalty,
    r1_penalty,
    r2_penalty,
    relativistic_d,
    relativistic_g,
    wasserstein_d,
    zero_centred_penalties,
)

REAL, FAKE = [1.2, -0.7, 3.1], [-0.4, 2.2, 0.9]


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def mean(numbers):
    numbers = list(numbers)
    return sum(numbers) / len(numbers)


def formula_d(real, fake):
    return -mean(math.log(sigmoid(a)) for a in real) - mean(math.log(1 - sigmoid(a)) for a in fake)


FORMULAS = {
    "non-saturating": (formula_d, lambda real, fake: -mean(math.log(sigmoid(a)) for a in fake)),
    "minimax": (formula_d, lambda real, fake: mean(math.log(1 - sigmoid(a)) for a in fake)),
    "least squares": (
        lambda real, fake: (mean((a - 1) ** 2 for a in real) + mean((b + 1) ** 2 for b in fake)) / 2,
        lambda real, fake: mean((b - 1) ** 2 for b in fake) / 2,
    ),
    "hinge": (
        lambda real, fake: mean(max(0, 1 - a) for a in real) + mean(max(0, 1 + b) for b in fake),
        lambda real, fake: -mean(fake),
    ),
    "Wasserstein": (lambda real, fake: mean(fake) - mean(real), lambda real, fake: -mean(fake)),
    "relativistic": (
        lambda real, fake: -mean(math.log(sigmoid(a - b)) for a, b in zip(real, fake, strict=True)),
        lambda real, fake: -mean(math.log(sigmoid(b - a)) for a, b in zip(real, fake, strict=True)),
    ),
}
PAIRS = pytest.mark.parametrize("name", LOSSES)


def logits(values=REAL):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@PAIRS
def test_both_losses_equal_their_formula(name):
    for function, formula in zip(LOSSES[name][:2], FORMULAS[name], strict=True):
        value = function(logits(REAL), logits(FAKE))
        assert value.shape == ()
        assert value.item() == pytest.approx(formula(REAL, FAKE), abs=1e-12)


@PAIRS
def test_at_the_equilibrium_the_losses_are_what_the_docstrings_say(name):
    d, g = {
        "non-saturating": (math.log(4), math.log(2)),
        "minimax": (math.log(4), -math.log(2)),
        "least squares": (1, 1 / 2),
        "hinge": (2, 0),
        "Wasserstein": (0, 0),
        "relativistic": (math.log(2), math.log(2)),
    }[name]
    zeros = torch.zeros(5)
    assert LOSSES[name].discriminator(zeros, zeros).item() == pytest.approx(d)
    assert LOSSES[name].generator(zeros, zeros).item() == pytest.approx(g)


def test_cross_entropy_equals_torchs_own_of_sigmoids():
    real, fake = logits(REAL), logits(FAKE)
    ones, zeros = torch.ones(3).double(), torch.zeros(3).double()
    d = binary_cross_entropy(real.sigmoid(), ones) + binary_cross_entropy(fake.sigmoid(), zeros)
    assert cross_entropy_d(real, fake).item() == pytest.approx(d.item(), abs=1e-12)
    g = binary_cross_entropy(fake.sigmoid(), ones)
    assert non_saturating_g(real, fake).item() == pytest.approx(g.item(), abs=1e-12)
    ours = torch.autograd.grad(cross_entropy_d(real, fake), (real, fake))
    theirs = torch.autograd.grad(d, (real, fake))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(ours, theirs, strict=True))


@PAIRS
def test_a_logit_is_high_for_real(name):
    """D's loss falls where a real logit rises or a fake one falls; G's falls where a fake one rises: from -1 to 1 at least."""
    real, fake = (logits([a / 4 for a in values]) for values in (REAL, FAKE))
    d_real, d_fake = torch.autograd.grad(LOSSES[name].discriminator(real, fake), (real, fake))
    assert (d_real < 0).all()
    assert (d_fake > 0).all()
    (g_fake,) = torch.autograd.grad(LOSSES[name].generator(real, fake), fake)
    assert (g_fake < 0).all()


@PAIRS
def test_only_a_paired_generator_loss_looks_at_real_logits(name):
    real, fake = logits(REAL), logits(FAKE)
    (gradient,) = torch.autograd.grad(LOSSES[name].generator(real, fake), real, allow_unused=True)
    assert (gradient is not None) == LOSSES[name].paired


def slope(function, real, fake):
    """The derivatives of a loss of one pair of float32 logits, as in training."""
    real, fake = torch.tensor([real], requires_grad=True), torch.tensor([fake], requires_grad=True)
    given = torch.autograd.grad(function(real, fake), (real, fake), allow_unused=True)
    return [0.0 if gradient is None else round(gradient.item(), 6) for gradient in given]


@pytest.mark.parametrize(
    ("function", "real", "fake", "expected"),
    [
        (cross_entropy_d, -50.0, 50.0, [-1, 1]),  # wrong on both: the full gradient
        (cross_entropy_d, 50.0, -50.0, [0, 0]),  # right on both: none
        (non_saturating_g, 0.0, -50.0, [0, -1]),
        (non_saturating_g, 0.0, 50.0, [0, 0]),
        (minimax_g, 0.0, -50.0, [0, 0]),  # why it is not used: flat where the discriminator is sure
        (minimax_g, 0.0, 50.0, [0, -1]),
        (least_squares_d, -50.0, 50.0, [-51, 51]),  # the further, the harder
        (least_squares_d, 50.0, -50.0, [49, -49]),  # too far on the right side costs as well
        (least_squares_g, 0.0, -50.0, [0, -51]),
        (least_squares_g, 0.0, 50.0, [0, 49]),
        (hinge_d, -50.0, 50.0, [-1, 1]),
        (hinge_d, 50.0, -50.0, [0, 0]),
        (hinge_d, 0.9, -0.9, [-1, 1]),  # right, but not by 1
        (wasserstein_d, -50.0, 50.0, [-1, 1]),
        (wasserstein_d, 50.0, -50.0, [-1, 1]),  # never enough
        (mean_g, 0.0, -50.0, [0, -1]),
        (mean_g, 0.0, 50.0, [0, -1]),
        (relativistic_d, -50.0, 50.0, [-1, 1]),
        (relativistic_d, 50.0, -50.0, [0, 0]),
        (relativistic_g, 50.0, -50.0, [1, -1]),
        (relativistic_g, -50.0, 50.0, [0, 0]),
    ],
)
def test_gradients_are_whole_at_logits_of_50(function, real, fake, expected):
    assert slope(function, real, fake) == expected


def test_the_logarithm_of_a_sigmoid_would_have_lost_its_gradient_there():
    naive = lambda real, fake: -(fake.sigmoid() + 1e-8).log().mean()
    assert slope(naive, 0.0, -50.0) == [0, 0]


@PAIRS
def test_losses_are_finite_at_logits_of_a_thousand(name):
    for function in LOSSES[name][:2]:
        for a, b in ((1000.0, -1000.0), (-1000.0, 1000.0)):
            assert function(torch.tensor([a]), torch.tensor([b])).isfinite()


@pytest.mark.parametrize("function", LOSSES["relativistic"][:2])
@pytest.mark.parametrize("shapes", [((4, 1), (4,)), ((4,), (4, 1)), ((1,), (4,)), ((), (4,))])
def test_logits_of_two_shapes_are_not_paired(function, shapes):
    with pytest.raises(
        ValueError, match=r"Real and fake must have the same shape to be paired, not \[.*\] and \[.*\]\.$"
    ):
        function(*map(torch.zeros, shapes))
    assert function(torch.zeros(4, 1), torch.zeros(4, 1)).item() == pytest.approx(math.log(2))


# The penalties on slopes

REAL_IMAGES, FAKE_IMAGES = torch.rand(5, 1, 28, 28), torch.rand(5, 1, 28, 28) * 3


def half_square(x):
    """D(x) = |x|² / 2, whose slope is x."""
    return x.square().flatten(1).sum(1) / 2


def lengths(images):
    return [math.sqrt(sum(pixel * pixel for pixel in image.flatten().tolist())) for image in images]


def test_of_a_linear_discriminator_they_are_known_from_its_weights_alone():
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(784, 1), nn.Flatten(0))
    square = sum(w * w for w in discriminator[1].weight.flatten().tolist())
    expected = {"R1": square, "R2": square, "R1 + R2": 2 * square, "WGAN-GP": (math.sqrt(square) - 1) ** 2}
    found = {name: f(discriminator, REAL_IMAGES, FAKE_IMAGES).item() for name, f in PENALTIES.items()}
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_zero_centred_are_the_mean_squared_slopes_at_real_images_and_at_fakes():
    of_real, of_fake = (mean(length**2 for length in lengths(pile)) for pile in (REAL_IMAGES, FAKE_IMAGES))
    assert r1_penalty(half_square, REAL_IMAGES, FAKE_IMAGES).item() == pytest.approx(of_real, rel=1e-5)
    assert r2_penalty(half_square, REAL_IMAGES, FAKE_IMAGES).item() == pytest.approx(of_fake, rel=1e-5)
    both = zero_centred_penalties(half_square, REAL_IMAGES, FAKE_IMAGES)
    assert both.item() == pytest.approx(of_real + of_fake, rel=1e-5)
    assert of_fake > 5 * of_real


def test_the_one_centred_is_taken_between_the_two_kinds():
    """At (1 - u) x + u G(z) with u = 0.1, 0.3, 0.5, 0.7, 0.9."""
    shares = zip((0.1, 0.3, 0.5, 0.7, 0.9), REAL_IMAGES, FAKE_IMAGES, strict=True)
    between = [(1 - u) * x + u * y for u, x, y in shares]
    expected = mean((length - 1) ** 2 for length in lengths(between))
    assert one_centred_penalty(half_square, REAL_IMAGES, FAKE_IMAGES).item() == pytest.approx(expected, rel=1e-5)


def test_points_in_the_plane_have_slopes_too():
    real, fake = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 12.0]])
    found = [f(half_square, real, fake).item() for f in PENALTIES.values()]
    assert found == pytest.approx([25, 144, 169, (math.hypot(1.5, 8) - 1) ** 2])


@pytest.mark.parametrize("name", PENALTIES)
def test_a_gradient_reaches_every_weight_of_the_discriminator_and_no_image(name):
    discriminator = nn.Sequential(
        nn.Conv2d(1, 3, 4, 2), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(507, 1), nn.Flatten(0)
    )
    real, fake = REAL_IMAGES.clone().requires_grad_(True), FAKE_IMAGES.clone().requires_grad_(True)
    PENALTIES[name](discriminator, real, fake).backward()
    assert discriminator[0].weight.grad.abs().min() > 0
    assert discriminator[3].weight.grad.abs().max() > 0
    assert real.grad is None
    assert fake.grad is None


@pytest.mark.parametrize("name", ["R1 + R2", "WGAN-GP"])
def test_more_fakes_than_real_images_are_not_paired(name):
    for n in (1, 4):
        with pytest.raises(ValueError, match=r"same shape to be paired, not \[5, 1, 28, 28\] and"):
            PENALTIES[name](half_square, REAL_IMAGES, FAKE_IMAGES[:n])
