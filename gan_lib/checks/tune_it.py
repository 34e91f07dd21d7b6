"""Checks of the lesson on hyper-parameter search: log-uniform draws, permutation test."""

import itertools
import math

import torch

from gan_lib.checks.check import call, check, same


@check
def log_uniform(answer):
    """`answer(n, low, high)` → n log-uniform draws between low and high [n]."""
    got = torch.as_tensor(call(answer, 4000, 1e-4, 1e-1)).double()
    yield got.shape != (4000,), f"for n = 4000 its shape is {list(got.shape)}, not [4000]."
    inside = ((got >= 1e-4 * (1 - 1e-6)) & (got <= 1e-1 * (1 + 1e-6))).all()  # false for nan too
    yield not inside, f"between 1e-4 and 1e-1 it draws {got.min():.1e} to {got.max():.1e}."
    place, even = (got / 1e-4).log() / math.log(1e3), (torch.arange(4000) + 0.5) / 4000  # place: uniform in [0, 1]
    gap = (place.sort().values - even).abs().max()
    yield gap > 0.05, f"{(got < 1e-3).double().mean():.0%} are below 1e-3, not a third: draw the logarithm uniformly."
    one, other = (torch.as_tensor(call(answer, 9, 1e-4, 1e-1)) for _ in range(2))
    yield one.equal(other), "it gives the same numbers at each call: draw them at random."


def gaps(a, b):
    """mean a - mean b for every way to split these numbers into groups of the same sizes; the first is the one given."""
    sums = torch.tensor([sum(part) for part in itertools.combinations([*a, *b], len(a))], dtype=torch.double)
    return sums / len(a) - (sum(a) + sum(b) - sums) / len(b)


def reference_test(a, b):
    """The p-value of the exact, two-sided permutation test for a difference of the means of a and b."""
    sizes = gaps(a, b).abs()
    return (sizes >= sizes[0] - 1e-9).double().mean().item()


@check
def permutation_test(answer):
    """`answer(a, b)` → what `reference_test` returns."""
    for a, b in (([1.0, 2.0, 5.0, 3.5], [2.5, 4.0, 7.0, 6.0]), ([8.0, 3.0, 9.0], [5.0, 2.0, 4.0, 6.5])):
        got, expected, found = float(call(answer, list(a), list(b))), reference_test(a, b), gaps(a, b)
        for side in (found <= found[0] + 1e-9, found >= found[0] - 1e-9):
            yield same(got, side.double().mean()), "that is one-sided: count large differences in both directions."
        yield same(got, (found.abs() > abs(found[0]) + 1e-9).double().mean()), "equal differences count: ask for >=."
        yield not same(got, expected), f"for {a} and {b} it gives {got:.3f}; it should be {expected:.3f}."
