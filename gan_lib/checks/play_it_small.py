"""Checks of the lesson on two-player games: alternating steps, the optimal discriminator, captured modes."""

import torch

from gan_lib.checks.check import call, check, same


def reference_step(field, x, y, h):
    """The right answer to `alternating_step`. The lesson uses it until the learner's answer is right."""
    y = y + h * field(x, y)[1]
    return x + h * field(x, y)[0], y


@check
def alternating_step(answer):
    """`answer(field, x, y, h)` → x and y after y's step and then x's, whose velocity is that at the new y."""
    for field, x, y, h in ((lambda x, y: (-y, x), 1.0, 0.5, 0.2), (lambda x, y: (-2 * y - x, x - y), -0.7, 2.0, 0.5)):
        got, right, x_first = call(answer, field, x, y, h), reference_step(field, x, y, h), x + h * field(x, y)[0]
        yield same(got, (x_first, y + h * field(x, y)[1])), "that is a simultaneous step; here, x uses the new y."
        yield same(got, (x_first, y + h * field(x_first, y)[1])), "x steps first; y should."
        yield not same(got, right), f"({x}, {y}) with h = {h} should become ({right[0]:.2f}, {right[1]:.2f})."


def reference_best_d(log_p, log_q):
    """The right answer to `optimal_discriminator`."""
    return (log_p - log_q).sigmoid()


@check
def optimal_discriminator(answer):
    """`answer(log_p, log_q)` → D(x) = p / (p + q), from the logarithms of two densities [N]. In float32, exp(-200) is 0."""
    log_p, log_q = torch.tensor([-1.0, -3.0, -200.0]), torch.tensor([-2.0, -1.0, -201.0])
    got, right = call(answer, log_p, log_q), reference_best_d(log_p, log_q)
    yield got.isnan().any(), "far from the data both densities round to 0, and 0 / 0 is nan: keep the logarithms."
    yield same(got, 1 - right), "that is q / (p + q), which is high for fakes."
    yield same(got, log_p - log_q), "that is the logit of D(x); D(x) is a probability."
    yield not same(got, right), f"for log p = -1 and log q = -2 it should be {right[0]:.4f}."


def reference_count(samples, centres, sigma):
    """The right answer to `modes_and_share`, as in Srivastava et al. 2017 (arXiv 1705.07761)."""
    good = torch.cdist(samples, centres) <= 3 * sigma
    return good.any(0).sum().item(), good.any(1).float().mean().item()


@check
def modes_and_share(answer):
    """`answer(samples, centres, sigma)` → the number of captured modes, and the share of good samples."""
    centres, samples = torch.tensor([[0, 0], [4.5, 0], [0, 4.5]]), torch.tensor([[0, 0], [1, 1], [4.5, 1.7], [0, 3.3]])
    modes, share = call(answer, samples.clone(), centres.clone(), 0.5)
    yield modes == len(centres), "you count all samples; only a good sample captures its mode."
    yield not same(modes, 2), f"the good samples capture 2 modes, not {modes}."
    yield not same(share, 3 / 4), f"3 of 4 samples are good: a share of 0.75, not {float(share):.3f}."
