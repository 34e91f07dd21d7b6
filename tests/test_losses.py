"""Each loss and each penalty against its formula, written out with `math`, on logits for which any mistake shows."""

import math
from statistics import fmean as mean

import pytest
import torch
from torch import nn

from gan_lib import UserError, losses
from gan_lib.losses import LOSSES, PENALTIES

REAL, FAKE = [1.2, -0.7, 3.1], [-0.4, 2.2, 0.9]
LOG2, LOG4 = math.log(2), math.log(4)


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def cross_entropy(real, fake):
    return -mean(math.log(sigmoid(a)) for a in real) - mean(math.log(1 - sigmoid(a)) for a in fake)


def relativistic(above, below):
    return -mean(math.log(sigmoid(a - b)) for a, b in zip(above, below, strict=True))


FORMULAS = {  # name: (D's loss, G's loss, and both where D can't tell real from fake: all logits are 0)
    "non-saturating": (cross_entropy, lambda real, fake: -mean(math.log(sigmoid(b)) for b in fake), LOG4, LOG2),
    "minimax": (cross_entropy, lambda real, fake: mean(math.log(1 - sigmoid(b)) for b in fake), LOG4, -LOG2),
    "least squares": (lambda real, fake: (mean((a - 1) ** 2 for a in real) + mean((b + 1) ** 2 for b in fake)) / 2,
                      lambda real, fake: mean((b - 1) ** 2 for b in fake) / 2, 1, 1 / 2),
    "hinge": (lambda real, fake: mean(max(0, 1 - a) for a in real) + mean(max(0, 1 + b) for b in fake),
              lambda real, fake: -mean(fake), 2, 0),
    "Wasserstein": (lambda real, fake: mean(fake) - mean(real), lambda real, fake: -mean(fake), 0, 0),
    "relativistic": (relativistic, lambda real, fake: relativistic(fake, real), LOG2, LOG2),
}  # fmt: skip


def logits(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("name", LOSSES)
def test_both_losses_equal_their_formulas(name):
    *formulas, d_undecided, g_undecided = FORMULAS[name]
    for function, formula, undecided in zip(LOSSES[name][:2], formulas, (d_undecided, g_undecided), strict=True):
        value = function(logits(REAL), logits(FAKE))
        assert value.shape == ()
        assert value.item() == pytest.approx(formula(REAL, FAKE), abs=1e-12)
        assert function(torch.zeros(5), torch.zeros(5)).item() == pytest.approx(undecided)
        for a, b in ((1000.0, -1000.0), (-1000.0, 1000.0)):
            assert function(torch.tensor([a]), torch.tensor([b])).isfinite()


def gradients(function, real, fake):
    """The derivatives of a loss by one pair of float32 logits, as in training."""
    real, fake = torch.tensor([real], requires_grad=True), torch.tensor([fake], requires_grad=True)
    found = torch.autograd.grad(function(real, fake), (real, fake), allow_unused=True)
    return [0.0 if gradient is None else round(gradient.item(), 6) for gradient in found]


@pytest.mark.parametrize(("name", "d_is_wrong", "d_is_right"), [
    ("cross_entropy_d", [-1, 1], [0, 0]),
    ("non_saturating_g", [0, 0], [0, -1]),
    ("minimax_g", [0, -1], [0, 0]),  # why it is not used: it saturates where the discriminator is sure
    ("least_squares_d", [-51, 51], [49, -49]),  # grows with the distance; too far on the right side costs as well
    ("least_squares_g", [0, 49], [0, -51]),
    ("hinge_d", [-1, 1], [0, 0]),
    ("wasserstein_d", [-1, 1], [-1, 1]),  # never enough
    ("mean_g", [0, -1], [0, -1]),
    ("relativistic_d", [-1, 1], [0, 0]),
    ("relativistic_g", [0, 0], [1, -1]),
])  # fmt: skip
def test_gradients_do_not_underflow_at_logits_of_50(name, d_is_wrong, d_is_right):
    loss = getattr(losses, name)
    assert gradients(loss, -50.0, 50.0) == d_is_wrong
    assert gradients(loss, 50.0, -50.0) == d_is_right


@pytest.mark.parametrize("function", LOSSES["relativistic"][:2])
def test_logits_of_different_shapes_are_not_paired(function):
    message = r"^Real and fake must have the same shape to be paired, not \[.* and \[.*\.$"
    for shapes in (((4, 1), (4,)), ((4,), (4, 1)), ((1,), (4,)), ((), (4,))):
        with pytest.raises(UserError, match=message):
            function(*map(torch.zeros, shapes))
    assert function(torch.zeros(4, 1), torch.zeros(4, 1)).item() == pytest.approx(LOG2)


REAL_IMAGES, FAKE_IMAGES = torch.rand(5, 1, 28, 28), torch.rand(5, 1, 28, 28) * 3


def half_square(x):
    """D(x) = |x|² / 2, whose input gradient is x."""
    return x.square().flatten(1).sum(1) / 2


def lengths(images):
    return [math.sqrt(sum(pixel * pixel for pixel in image.flatten().tolist())) for image in images]


def penalties(discriminator, real, fake):
    return {name: penalty(discriminator, real, fake).item() for name, penalty in PENALTIES.items()}


def test_the_penalties_equal_their_formulas_of_points_in_the_plane_too():
    """R1 and R2 at real and fake images; WGAN-GP at (1 - u) x + u G(z) with u = 0.1, 0.3, 0.5, 0.7, 0.9."""
    r1, r2 = (mean(length**2 for length in lengths(images)) for images in (REAL_IMAGES, FAKE_IMAGES))
    shares = zip((0.1, 0.3, 0.5, 0.7, 0.9), REAL_IMAGES, FAKE_IMAGES, strict=True)
    between = lengths((1 - u) * x + u * y for u, x, y in shares)
    expected = {"R1": r1, "R2": r2, "R1 + R2": r1 + r2, "WGAN-GP": mean((length - 1) ** 2 for length in between)}
    assert penalties(half_square, REAL_IMAGES, FAKE_IMAGES) == pytest.approx(expected, rel=1e-5)
    assert r2 > 5 * r1
    found = penalties(half_square, torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 12.0]]))
    assert list(found.values()) == pytest.approx([25, 144, 169, (math.hypot(1.5, 8) - 1) ** 2])


@pytest.mark.parametrize("name", PENALTIES)
def test_the_gradient_of_a_penalty_reaches_every_weight_of_d_and_no_image(name):
    layers = nn.Conv2d(1, 3, 4, 2), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(507, 1), nn.Flatten(0)
    real, fake = REAL_IMAGES.clone().requires_grad_(True), FAKE_IMAGES.clone().requires_grad_(True)
    PENALTIES[name](nn.Sequential(*layers), real, fake).backward()
    assert layers[0].weight.grad.abs().min() > 0
    assert layers[3].weight.grad.abs().max() > 0
    assert (real.grad, fake.grad) == (None, None)


@pytest.mark.parametrize("name", ["R1 + R2", "WGAN-GP"])
def test_one_fake_for_five_real_images_is_not_paired(name):
    with pytest.raises(UserError, match=r"same shape to be paired, not \[5, 1, 28, 28\] and"):
        PENALTIES[name](half_square, REAL_IMAGES, FAKE_IMAGES[:1])
