"""Toy problems: each formula computed in another way, and the known behaviour of their games."""

import math
from functools import partial

import pytest
import torch
from torch import distributions
from torch.nn.functional import logsigmoid

from gan_lib import losses, training
from gan_lib.studies import toys
from gan_lib.studies.toys import Mixture
from tests.notebooks.test_same_code import defined

PLACES = [(0.7, -1.2), (-0.4, 0.3), (2.0, 1.5), (0.0, 0.8), (-1.1, 0.0)]
ODD = Mixture(torch.tensor([[0.3, -1.0], [2.0, 0.5], [-0.7, 0.4]]), 0.4)
LINE = Mixture(torch.tensor([[-1.5], [1.0]]), 0.5)
BELL = Mixture(torch.tensor([[0.5]]), 1.0)
GRID = Mixture(torch.cartesian_prod(*2 * [torch.arange(-2.0, 3.0)]), 0.1)
WORLDS = {"ring": toys.ring(), "grid": GRID, "odd": ODD, "line": LINE, "bell": BELL}
X = torch.linspace(-8, 8, 3201).unsqueeze(1)  # 0.005 apart
bilinear, path, FIELDS, best_logit = defined("06", "bilinear", "path", "FIELDS", "best_logit", p=LINE)
minimax, non_saturating, r1, instance_noise, wgan, wgan_gp = FIELDS.values()
each_place = pytest.mark.parametrize("place", PLACES)


def each_of(*names):
    return pytest.mark.parametrize("field", [FIELDS[name] for name in names], ids=names)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def at(field, theta, psi, **settings):
    """The two velocities at a place, as plain numbers."""
    places = torch.tensor([theta], dtype=torch.float64), torch.tensor([psi], dtype=torch.float64)
    return [v.item() for v in field(*places, **settings)]


def radii(*arguments, **options):
    """The distances from the equilibrium along a path."""
    return path(*arguments, **options).norm(dim=1).tolist()


# Fields

r1_of = lambda gamma: lambda psi: gamma / 2 * psi**2
gp_of = lambda gamma: lambda psi: gamma / 2 * (abs(psi) - 1) ** 2
GOALS = {  # name: (field, the loss of the package that it follows, what D pays besides)
    "minimax": (minimax, "minimax", r1_of(0)),
    "non-saturating": (non_saturating, "non-saturating", r1_of(0)),
    "R1": (r1, "non-saturating", r1_of(0.3)),
    "R1, gamma": (partial(r1, gamma=0.8), "non-saturating", r1_of(0.8)),
    "WGAN": (wgan, "Wasserstein", gp_of(0)),
    "WGAN-GP": (wgan_gp, "Wasserstein", gp_of(0.3)),
    "WGAN-GP, gamma": (partial(wgan_gp, gamma=0.8), "Wasserstein", gp_of(0.8)),
}


@pytest.mark.parametrize("name", GOALS)
@each_place
def test_a_field_descends_the_loss_of_g_by_theta_and_the_loss_of_d_by_psi(name, place):
    """The logit of a point x is psi x. The real point is 0, and the fake is theta."""
    (theta, psi), (field, loss, penalty), e = place, GOALS[name], 1e-6
    logits = lambda t, p: torch.tensor([[0.0], [p * t]], dtype=torch.float64)
    g_loss = lambda t, p: losses.LOSSES[loss].generator(*logits(t, p)).item()
    d_loss = lambda t, p: losses.LOSSES[loss].discriminator(*logits(t, p)).item() + penalty(p)
    v_theta = -(g_loss(theta + e, psi) - g_loss(theta - e, psi)) / (2 * e)
    v_psi = -(d_loss(theta, psi + e) - d_loss(theta, psi - e)) / (2 * e)
    assert at(field, theta, psi) == pytest.approx([v_theta, v_psi], abs=1e-8)


@each_place
def test_instance_noise_is_the_mean_over_noise(place):
    """By the sum over a fine grid of the normal density; 200 quantiles come within 0.01 of it."""
    (theta, psi), sigma, step = place, 0.8, 0.01
    grid = [step * i for i in range(-600, 601)]
    weights = [step * math.exp(-(e**2) / 2) / math.sqrt(2 * math.pi) for e in grid]
    mean = lambda f: sum(w * f(sigma * e) for w, e in zip(weights, grid, strict=True))
    v_theta = mean(lambda e: (1 - sigmoid(psi * (theta + e))) * psi)
    v_psi = mean(lambda e: (1 - sigmoid(psi * e)) * e - sigmoid(psi * (theta + e)) * (theta + e))
    assert at(instance_noise, theta, psi, sigma=sigma) == pytest.approx([v_theta, v_psi], abs=0.01)
    assert at(instance_noise, theta, psi, sigma=0.0) == pytest.approx(at(non_saturating, theta, psi))


@each_of(*FIELDS)
def test_a_field_takes_a_whole_plane_of_places(field):
    theta, psi = torch.randn(2, 3, 4, generator=seeded(0), dtype=torch.float64)
    v_theta, v_psi = field(theta, psi)
    assert v_theta.shape == v_psi.shape == (3, 4)
    assert at(field, theta[1, 2].item(), psi[1, 2].item()) == pytest.approx([v_theta[1, 2].item(), v_psi[1, 2].item()])


# Paths


@pytest.mark.parametrize("alternating", [False, True])
def test_a_path_consists_of_euler_steps(alternating):
    (theta, psi), *places = path(minimax, (0.7, -1.2), 0.1, 3, alternating=alternating).tolist()
    assert (theta, psi) == pytest.approx((0.7, -1.2))
    assert len(places) == 3
    for place in places:
        new_psi = psi - 0.1 * sigmoid(theta * psi) * theta
        used = new_psi if alternating else psi  # theta follows the new psi
        theta, psi = theta + 0.1 * sigmoid(theta * used) * used, new_psi
        assert place == pytest.approx([theta, psi])


@pytest.mark.parametrize("h", [0.05, 0.4])
def test_on_x_times_y_simultaneous_steps_spiral_out_and_alternating_ones_stay_on_an_ellipse(h):
    start, *rest = radii(bilinear, (1.0, 0.5), h, 40)
    assert rest == pytest.approx([start * math.sqrt(1 + h**2) ** n for n in range(1, 41)])
    x, y = path(bilinear, (1.0, 0.5), h, 400, alternating=True).T
    assert (x**2 + y**2 + h * x * y).tolist() == pytest.approx([1.25 + h * 0.5] * 401)


@each_of("R1", "instance noise", "WGAN", "WGAN-GP")
def test_r1_and_instance_noise_spiral_in_and_wasserstein_games_do_not_converge(field):
    """Mescheder et al. 2018, section 3: WGAN-GP's penalty wants a gradient of 1, and the equilibrium has one of 0."""
    end = radii(field, (1.0, 0.3), 0.1, 3000, alternating=True)[-200:]
    if field in (r1, instance_noise):
        assert max(end) < 1e-3
    else:
        assert min(end) > 0.02 and max(end) > 0.5


# Points


def cover(world):
    """Places 0.02 apart all around the modes, [N, d], and the area (or length) that each stands for."""
    reach, d = world.centres.abs().max().item() + 6 * world.sigma, world.centres.shape[1]
    along = torch.linspace(-reach, reach, round(2 * reach / 0.02) + 1)
    return torch.cartesian_prod(*[along] * d).view(-1, d), (2 * reach / (len(along) - 1)) ** d


@pytest.mark.parametrize("world", [ODD, LINE], ids=["plane", "line"])
def test_log_prob_is_that_of_torchs_mixture(world):
    x = torch.tensor([[0.1, -0.8], [1.5, 0.2], [-2.0, 1.0]])[:, : world.centres.shape[1]]
    modes = distributions.Independent(distributions.Normal(world.centres, world.sigma), 1)
    mixture = distributions.MixtureSameFamily(distributions.Categorical(torch.ones(len(world.centres))), modes)
    assert world.log_prob(x).tolist() == pytest.approx(mixture.log_prob(x).tolist(), abs=1e-5)


def test_far_away_log_prob_is_still_finite():
    """|x - centre|² / (2 sigma²) = 20,000 there, and exp(-20,000) is 0."""
    found = Mixture(torch.zeros(1, 2), 0.1).log_prob(torch.tensor([[20.0, 0.0]])).item()
    assert found == pytest.approx(-20_000 - math.log(2 * math.pi * 0.01), rel=1e-5)


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_a_density_integrates_to_one_and_samples_agree_with_it(world):
    """The mean of -log p over samples is the entropy, the integral of -p log p. The mean and the spread of x agree too."""
    places, area = cover(world)
    log_p = world.log_prob(places)
    samples, weights = world.sample(40_000, seeded(1)), log_p.exp() * area
    assert weights.sum().item() == pytest.approx(1, abs=1e-4)
    entropy = -(weights * log_p).sum()
    assert (-world.log_prob(samples).mean() - entropy).abs() < 0.02
    mean = weights @ places
    assert (samples.mean(0) - mean).abs().max() < 0.04
    spread = (weights @ (places - mean).square()).sqrt()
    assert (samples.std(0) - spread).abs().max() < 0.03


def test_samples_follow_from_the_random_generator_alone():
    first, second, other = (ODD.sample(5, seeded(seed)) for seed in (3, 3, 4))
    assert first.equal(second)
    assert first.shape == (5, 2)
    assert not first.equal(other)


def test_the_ring_has_evenly_spaced_modes():
    ring = toys.ring().centres
    assert ring.shape == (8, 2)
    assert ring.norm(dim=1).tolist() == pytest.approx([2.0] * 8)
    assert (ring - ring.roll(1, 0)).norm(dim=1).tolist() == pytest.approx([4 * math.sin(math.pi / 8)] * 8)


def test_no_discriminator_has_a_lower_loss_and_its_loss_is_log_4_less_twice_the_divergence():
    p, q = LINE.log_prob(X).exp() * 0.005, BELL.log_prob(X).exp() * 0.005
    loss = lambda logit: -(p @ logsigmoid(logit) + q @ logsigmoid(-logit)).item()
    best = best_logit(BELL, X)
    for other in (best + 0.1, best - 0.1, 1.05 * best, best + 0.3 * X.sin()[:, 0], 0 * best):
        assert loss(other) > loss(best) + 1e-4
    m = (p + q) / 2
    jensen_shannon = (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).nansum().item() / 2
    assert loss(best) == pytest.approx(math.log(4) - 2 * jensen_shannon, abs=1e-3)
    assert loss(0 * best) == pytest.approx(math.log(4), abs=1e-4)
    assert best_logit(LINE, X).abs().max() == 0


# Modes


def test_a_sample_is_good_within_three_standard_deviations_of_its_mode():
    world = toys.ring(sigma=0.1)
    x = world.centres[2] + torch.tensor([[0.299, 0.0], [0.0, -0.299], [0.301, 0.0], [0.25, 0.25], [0.0, 0.0]])
    assert toys.count_good_samples(world, x).tolist() == [0, 0, 3, 0, 0, 0, 0, 0]
    assert toys.count_modes(world, x) == 1
    assert toys.share_of_good_samples(world, x) == 3 / 5


def test_samples_between_the_modes_capture_none():
    world, centres = GRID, GRID.centres
    x = torch.cat([centres + 0.5, centres[:7], centres[:3]])
    assert toys.count_modes(world, x) == 7
    assert toys.share_of_good_samples(world, x) == pytest.approx(10 / 35)
    assert toys.count_modes(world, x[:25]) == toys.share_of_good_samples(world, x[:25]) == 0


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_a_worlds_own_samples_capture_all_modes_and_are_as_good_as_the_docstring_says(name):
    world = WORLDS[name]
    x = world.sample(20_000, seeded(0))
    assert toys.count_modes(world, x) == len(world.centres)
    assert toys.share_of_good_samples(world, x) == pytest.approx(1 - math.exp(-9 / 2), abs=0.003)


# Nets


@pytest.mark.parametrize("sizes", [{}, {"d": 1, "latent_dim": 3, "width": 8}])
def test_nets_map_noise_to_points_and_points_to_logits(sizes):
    generator, discriminator = toys.nets(**sizes)
    points = generator(torch.randn(5, sizes.get("latent_dim", 2)))
    assert points.shape == (5, sizes.get("d", 2))
    assert discriminator(points).shape == (5,)


def modes_after_training(seed, loss, gamma):
    """How many of the ring's eight modes are captured after 1,000 iterations in which G learns four times as fast as D."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        nets = toys.nets()
    settings = {"latent_dim": 2, "batch_size": 128, "loss": losses.LOSSES[loss], "gamma": gamma, "seed": seed}
    game = training.Game(*nets, g_lr=4e-3, d_lr=1e-3, **settings)
    game.dtype = torch.float32
    list(training.train(game, toys.ring(), 1000))
    with torch.no_grad():
        samples = game.generator(torch.randn(2500, 2, generator=seeded(1)))
    return toys.count_modes(toys.ring(), samples)


def test_on_the_ring_the_vanilla_loss_collapses_in_most_seeds_and_relativistic_pairing_with_r1_and_r2_in_none():
    """Lesson 06 reports ten seeds after 1,200 iterations: 3 modes or fewer nine times, and 8 with each."""
    vanilla = [modes_after_training(seed, "non-saturating", 0.0) for seed in range(5)]
    assert sum(modes <= 4 for modes in vanilla) >= 3
    assert min(modes_after_training(seed, "relativistic", 1.0) for seed in range(5)) >= 7
