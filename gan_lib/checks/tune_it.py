"""Checks of the lesson on hyper-parameter search: log-uniform draws, the best of n, permutation test."""

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
    low, lowest = ((got < bound).double().mean() for bound in (1e-2, 1e-3))
    yield low < 0.2, "nine in ten are above 1e-2, the highest of three decades: draw the logarithm uniformly."
    place, even = (got / 1e-4).log() / math.log(1e3), (torch.arange(4000) + 0.5) / 4000  # place: uniform in [0, 1]
    uneven = (place.sort().values - even).abs().max() > 0.05
    yield uneven, f"a third should lie below 1e-3, and {lowest:.0%} do: draw the logarithm uniformly."
    one, other = (torch.as_tensor(call(answer, 9, 1e-4, 1e-1)) for _ in range(2))
    yield one.equal(other), "it gives the same numbers at each call: draw them at random."


@check
def expected_minimum(answer):
    """`answer(n, sigma)` → minus the expected minimum of n normal scores with mean 0 and standard deviation sigma."""
    for n, sigma, of_one in ((10, 1.0, 1.5388), (10, 3.0, 1.5388), (100, 3.0, 2.5076), (1, 2.0, 0.0)):
        got, expected, tolerance = float(call(answer, n, sigma)), sigma * of_one, 0.08 * sigma
        if same(got, expected, tolerance):
            continue
        yield same(got, -expected, tolerance), "the distance below the truth is positive: change the sign."
        yield same(got, of_one, tolerance), "twice the noise is twice the distance: multiply by sigma."
        limit = sigma * math.sqrt(2 * math.log(n))
        yield same(got, sigma / n**0.5, tolerance), "that is the standard error of the mean; this is about the minimum."
        yield same(got, limit, tolerance), "that is the limit for large n; draw n scores many times instead."
        yield True, f"for n = {n} and sigma = {sigma:g} it gives {got:.2f}; it should be about {expected:.2f}."


@check
def permutation_test(answer):
    """`answer(a, b)` → p-value of the exact permutation test: |mean a - mean b| at least as large, two-sided."""
    for a, b in (([1.0, 2.0, 5.0, 3.5], [2.5, 4.0, 7.0, 6.0]), ([8.0, 3.0, 9.0], [1.0, 2.0, 4.0])):
        sums = torch.tensor([sum(part) for part in itertools.combinations([*a, *b], len(a))]).double()
        gaps = sums / len(a) - (sum(a) + sum(b) - sums) / len(b)
        size, seen = gaps.abs(), gaps[0].abs()
        got, expected = call(answer, list(a), list(b)), (size >= seen - 1e-9).double().mean().item()
        if same(got, expected):
            continue
        for side in (gaps <= gaps[0] + 1e-9, gaps >= gaps[0] - 1e-9):
            yield same(got, side.double().mean()), "that is one-sided: count large differences in both directions."
        larger = (size > seen + 1e-9).double().mean()
        yield same(got, larger), "equal differences count too: count those that are at least as large."
        yield same(got, 1 - expected), "that is the share of smaller differences."
        yield same(got, expected * len(gaps)), "that is a number of permutations; divide it by their total number."
        yield True, f"for {a} and {b} it gives {float(got):.3f}; it should be {expected:.3f}."
