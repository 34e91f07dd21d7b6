"""Checks of the lesson on two-player games: alternating steps, the optimal discriminator, captured modes."""

import torch

from gan_lib.checks.check import call, check, same
from gan_lib.studies import toys


@check
def alternating_step(answer):
    """`answer(x, y, h)` → x and y after y's ascent step on x · y and then x's descent step."""
    for x, y, h in ((1.0, 0.5, 0.2), (-0.7, 2.0, 0.5)):
        got = call(answer, x, y, h)
        up, down, first = y + h * x, y - h * x, x - h * y
        yield same(got, (first, up)), "that is a simultaneous step; in an alternating one, x uses the new y."
        yield same(got, (first, y + h * first)), "x steps first; y should step first, and x should use the new y."
        yield same(got, (x - h * down, down)), "y goes down as well; y maximises x · y, so it goes up."
        yield same(got, (x + h * up, up)), "x goes up as well; x minimises x · y, so it goes down."
        yield same(got, (up, x - h * up)), "you return y, then x; return x, then y."
        yield not same(got, (x - h * up, up)), f"({x}, {y}) with h = {h} should become ({x - h * up:.2f}, {up:.2f})."


@check
def optimal_discriminator(answer):
    """`answer(log_p, log_q)` → D(x) = p / (p + q), from the logarithms of two densities [N]."""
    log_p, log_q = torch.tensor([-1.0, -3.0, -0.5]), torch.tensor([-2.0, -1.0, -4.0])
    got, expected = call(answer, log_p, log_q), (log_p - log_q).sigmoid()
    yield same(got, 1 - expected), "that is q / (p + q), which is high for fakes; D(x) should be high for real x."
    yield same(got, log_p - log_q), "that is the logit; D(x) is a probability, sigmoid(logit)."
    yield same(got, (log_p - log_q).exp()), "p / q has no upper bound; D(x) is a probability."
    yield same(got, log_p / (log_p + log_q)), "that is a ratio of logarithms; use the densities, exp(log_p)."
    yield same(got, log_p.exp()), "that is p alone; D(x) compares p with q."
    yield same(got, (log_p > log_q).float()), "that is only yes or no; D(x) is a probability."
    yield not same(got, expected), f"for log p = -1 and log q = -2 it should be {expected[0]:.4f}."
    far = call(answer, torch.tensor([-200.0]), torch.tensor([-201.0]))
    yield far.isnan().any(), "far from the data both densities round to 0, and 0 / 0 is nan: use sigmoid and the logs."


@check
def modes_and_share(answer):
    """`answer(samples, centres, sigma)` → the number of captured modes, and the share of good samples."""
    world, at = toys.ring(), [0, 0, 3, 3, 5, 6, 7, 2, 2, 2]
    dx, dy = [0, 2.5, 1.6, 0, 3.5, 20, 2.5, 0.5, 0.2, 0], [0, 0, 0, 2.9, 0, 0, 2.5, 0, 0, 1.5]  # in sigmas
    samples = world.centres[at] + world.sigma * torch.tensor([dx, dy]).T
    distance, mode = torch.cdist(samples, world.centres).min(1)
    good, near = distance <= 3 * world.sigma, distance <= world.sigma
    captured, part = toys.count_modes(world, samples), toys.share_of_good_samples(world, samples)
    modes, share = call(answer, samples.clone(), world.centres.clone(), world.sigma)
    yield modes == mode.unique().numel(), "you count all samples; only a good sample captures its mode."
    yield modes == good.sum().item(), "that is the number of good samples; count each mode once."
    yield modes == mode[near].unique().numel(), "a good sample is within *three* standard deviations, not one."
    yield not same(modes, captured), f"the good ones among {len(at)} samples capture {captured} modes, not {modes}."
    yield same(share, good.sum()), "the second result should be a share: divide by the number of samples."
    yield same(share, captured / 8), "the second result is the share of the *modes*; return that of the samples."
    yield not same(share, part, 1e-4), f"{good.sum()} of {len(at)} are good: a share of {part}, not {float(share):.3f}."
