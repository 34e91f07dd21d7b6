"""Toy problems: each formula computed in another way, and the known behaviour of their games."""

import math
from functools import partial

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal
from torch.nn.functional import logsigmoid

from gan_lib import losses, training
from gan_lib.checks.play_it_small import reference_best_d, reference_count, reference_step
from gan_lib.studies import toys
from tests.notebooks.test_same_code import defined

PLACES = [[(0.7, -1.2), (-0.4, 0.3), (2.0, 1.5)], [(0.0, 0.8), (-1.1, 0.0), (0.6, 0.6)]]  # a plane of (theta, psi)
LINE = MixtureSameFamily(Categorical(torch.ones(2)), Normal(torch.tensor([-1.5, 1.0]), 0.5))
BELL = Normal(0.5, 1.0)
X = torch.linspace(-8, 8, 3201)  # 0.005 apart
seeded = lambda seed: torch.Generator().manual_seed(seed)
bilinear, simultaneous, path, FIELDS = defined("06", "bilinear", "simultaneous", "path", "FIELDS")
minimax, non_saturating, penalised = FIELDS.values()


GOALS = {  # name: (field, the loss of the package that it follows, the weight of the penalties R1 + R2, which are psi² each)
    "minimax": (minimax, "minimax", 0),
    "non-saturating": (non_saturating, "non-saturating", 0),
    "penalised": (penalised, "non-saturating", 0.2),
    "penalised, gamma": (partial(penalised, gamma=0.8), "non-saturating", 0.8),
}


@pytest.mark.parametrize("name", GOALS)
def test_a_field_descends_the_loss_of_g_by_theta_and_the_loss_of_d_by_psi(name):
    """The logit of a point x is psi x. The real point is 0, and the fake is theta."""
    (field, loss, gamma), e = GOALS[name], 1e-6
    logits = lambda t, p: torch.tensor([[0.0], [p * t]], dtype=torch.float64)
    g_loss = lambda t, p: losses.LOSSES[loss].generator(*logits(t, p)).item()
    d_loss = lambda t, p: losses.LOSSES[loss].discriminator(*logits(t, p)).item() + gamma / 2 * 2 * p**2
    v_theta = lambda t, p: -(g_loss(t + e, p) - g_loss(t - e, p)) / (2 * e)
    v_psi = lambda t, p: -(d_loss(t, p + e) - d_loss(t, p - e)) / (2 * e)
    places = torch.tensor(PLACES, dtype=torch.float64)
    expected = [[[v(t, p) for t, p in row] for row in places.tolist()] for v in (v_theta, v_psi)]
    torch.testing.assert_close(torch.stack(field(*places.unbind(2))), places.new_tensor(expected), rtol=0, atol=1e-8)


@pytest.mark.parametrize("h", [0.05, 0.4])
def test_on_x_times_y_simultaneous_steps_spiral_out_and_alternating_ones_stay_on_an_ellipse(h):
    spiral = (1 + 0.5j) * (1 + 1j * h) ** torch.arange(41, dtype=torch.float64)
    torch.testing.assert_close(torch.view_as_complex(path(simultaneous, bilinear, (1.0, 0.5), h, 40)), spiral)
    x, y = path(reference_step, bilinear, (1.0, 0.5), h, 400).T
    assert (x**2 + y**2 + h * x * y).tolist() == pytest.approx([1.25 + h * 0.5] * 401)


def test_a_ring_draws_its_evenly_spaced_modes_equally_often_and_points_around_them():
    ring = toys.Ring()
    samples = ring.sample(40_000, seeded(1))
    assert ring.sample(40_000, seeded(1)).equal(samples) and not ring.sample(40_000, seeded(2)).equal(samples)
    distances, mode = torch.cdist(samples, ring.centres).min(1)
    assert (mode.bincount(minlength=8) / 5000 - 1).abs().max() < 0.06
    assert distances.square().mean().item() == pytest.approx(2 * ring.sigma**2, rel=0.03)
    centres = ring.centres
    assert centres.norm(dim=1).tolist() == pytest.approx([2.0] * 8)
    assert (centres - centres.roll(1, 0)).norm(dim=1).tolist() == pytest.approx([4 * math.sin(math.pi / 8)] * 8)


def test_no_discriminator_has_a_lower_loss_and_its_loss_is_log_4_less_twice_the_divergence():
    log_p, log_q = LINE.log_prob(X).double(), BELL.log_prob(X).double()
    p, q = log_p.exp() * 0.005, log_q.exp() * 0.005
    loss = lambda logit: -(p @ logsigmoid(logit) + q @ logsigmoid(-logit)).item()
    best = reference_best_d(log_p, log_q).logit()
    for other in (best + 0.1, best - 0.1, 1.05 * best, best + 0.3 * X.sin(), 0 * best):
        assert loss(other) > loss(best) + 1e-4
    m = (p + q) / 2
    jensen_shannon = (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).nansum().item() / 2
    assert loss(best) == pytest.approx(math.log(4) - 2 * jensen_shannon, abs=1e-3)
    assert loss(0 * best) == pytest.approx(math.log(4), abs=1e-4)
    assert (reference_best_d(log_p, log_p) == 1 / 2).all()


def test_a_sample_is_good_within_three_standard_deviations_of_its_mode():
    centres = toys.Ring().centres
    x = centres[2] + torch.tensor([[0.299, 0.0], [0.0, -0.299], [0.301, 0.0], [0.25, 0.25], [0.0, 0.0]])
    assert reference_count(x, centres, 0.1) == (1, pytest.approx(3 / 5))
    assert reference_count(torch.cat([x, centres[:2]]), centres, 0.1) == (3, pytest.approx(5 / 7))
    assert reference_count(centres + 0.5, centres, 0.1) == (0, 0)


def test_nets_map_noise_to_points_and_points_to_logits():
    generator, discriminator = toys.nets(d=1, latent_dim=3, width=8)
    points = generator(torch.randn(5, 3))
    assert points.shape == (5, 1)
    assert discriminator(points).shape == (5,)


def modes_after_training(seed, **settings):
    """How many of the ring's eight modes are captured after 600 iterations, as in lesson 06."""
    game = defined("06", "new_game")[0](seed, **settings)
    list(training.train(game, toys.Ring(), 600))
    samples = game.generator(torch.randn(2500, 2, generator=seeded(1))).detach()
    return reference_count(samples, toys.Ring.centres, toys.Ring.sigma)[0]


def test_on_the_ring_a_slow_discriminator_lets_g_collapse_and_equal_rates_or_penalties_dont():
    slow, equal, penalised = (
        [modes_after_training(seed, **settings) for seed in range(4)]
        for settings in ({"d_lr": 1e-3}, {"d_lr": 4e-3}, {"d_lr": 1e-3, "gamma": 1.0})
    )
    assert sum(modes <= 4 for modes in slow) >= 2
    assert min(equal + penalised) >= 7
