"""Checks of the lesson on evaluation: the Fréchet distance in one dimension, coverage, reading the measures."""

import math

import torch

from gan_lib.checks.check import call, check, same


@check
def frechet_distance_1d(answer):
    """`answer(a, b)` → (mean a - mean b)² + (std a - std b)², the squared 2-Wasserstein distance of two Gaussians."""
    rng = torch.Generator().manual_seed(0)
    a, b = 2 + 3 * torch.randn(4000, generator=rng), 5 + torch.randn(5000, generator=rng)
    mean, std, var = ((f(a) - f(b)).item() for f in (torch.mean, torch.std, torch.var))
    got, expected = torch.as_tensor(call(answer, a, b)), mean**2 + std**2
    yield got.numel() != 1, f"it should be one number for the two sets, not {got.numel()}."
    got = got.item()
    yield same(got, mean**2, 0.02), "that compares only the means; different standard deviations should cost, too."
    yield same(got, abs(mean) + abs(std), 0.02), "square each difference before you add: it is the mean *squared* move."
    yield same(got, math.sqrt(expected), 0.02), "that is the square root; return the square."
    yield same(got, mean**2 + var**2, 0.02), "you took the variances; the second term compares standard deviations."
    yield same(got, mean**2 + var, 0.02), "(s_a - s_b)² is not s_a² - s_b²: subtract first, then square."
    apart = f"means {abs(mean):.2f} apart and standard deviations {abs(std):.2f} apart"
    yield not same(got, expected, 0.02), f"for {apart} it gives {got:.2f}, not {expected:.2f}."


@check
def coverage_from_distances(answer):
    """`answer(distances, radii)` → the share of the rows of distances [N, M] with an entry below the row's radius."""
    rng = torch.Generator().manual_seed(0)
    distances, radii = torch.rand(40, 25, generator=rng), 0.08 * torch.rand(40, generator=rng)
    inside = distances < radii.unsqueeze(1)
    covered, pairs = inside.any(1).double(), inside.double().mean()
    got = torch.as_tensor(call(answer, distances.clone(), radii.clone())).double()
    yield got.numel() != 1, f"it should be one share, not {got.numel()} numbers."
    got, share = got.item(), covered.mean().item()
    yield same(got, inside.any(0).double().mean()), "that is the share of *fakes* near a real point: precision."
    yield same(got, covered.sum()), "that is the number of covered real points; a share is the mean."
    yield same(got, pairs), "that is the share of all pairs; a real point counts once, however many fakes are near."
    yield same(got, 1 - share), "that is the share of real points without a fake near them."
    yield not same(got, share), f"{covered.sum():.0f} of 40 real points are covered: {share:.2f}, not {got:.2f}."


@check
def four_sets(answer):
    """The origin of each of four sets of images, {letter: name}."""
    origins = {"A": "collapsed", "B": "honest", "C": "real", "D": "memoriser"}
    letters = isinstance(answer, dict) and set(answer) == set(origins)
    yield not letters, 'it should be a dictionary with the letters A, B, C and D: {"A": "real", ...}.'
    names = sorted(origins.values())
    yield sorted(map(str, answer.values())) != names, f"each of the names {', '.join(names)} belongs to one letter."
    letter = {name: letter for letter, name in answer.items()}
    yield answer["D"] != "memoriser", f"{letter['memoriser']} does not copy: its novelty is that of test digits, not 0."
    yield answer["A"] != "collapsed", f"{letter['collapsed']} has not collapsed: its coverage is high. Whose is low?"
    yield answer != origins, "real and honest are swapped: the distance of real digits is the reference value."
