"""Checks of the lesson on evaluation: the Fréchet distance in one dimension, precision and recall, reading the measures."""

import torch

from gan_lib import evaluation
from gan_lib.checks.check import call, check, same


@check
def frechet_distance_1d(answer):
    """`answer(a, b)` → (mean a - mean b)² + (std a - std b)², the squared 2-Wasserstein distance of two Gaussians."""
    a, b = 2 + 3 * torch.randn(4000), 5 + torch.randn(5000)
    mean, std = (f(a) - f(b) for f in (torch.mean, torch.std))
    got, expected = torch.as_tensor(call(answer, a, b)), mean**2 + std**2
    yield same(got, mean**2, 0.02), "that compares only the means; different standard deviations should cost, too."
    yield same(got, expected**0.5, 0.02), "that is the square root; return the square."
    yield not same(got, expected, 0.02), f"means and deviations {mean:.2f} and {std:.2f} apart give {expected:.2f}."


@check
def precision_recall(answer):
    """`answer(real, fake, k)` → precision and recall of features real [N, d] and fake [M, d]."""
    real, fake = torch.randn(60, 3), 0.8 + 0.7 * torch.randn(40, 3)
    got = torch.tensor([float(share) for share in call(answer, real.clone(), fake.clone(), 3)])
    right, nearer = (torch.tensor(evaluation.precision_recall_density_coverage(real, fake, k)) for k in (3, 2))
    yield same(got, right[[1, 0]]), "they are swapped: precision is a share of the fakes, recall of the real points."
    yield same(got, nearer[:2]), "your balls are too small: the nearest point in a row is the centre itself."
    yield same(got[0], right[3]), "your precision is the share of the *real balls* that hold a fake: coverage."
    yield not same(got, right[:2]), f"for a test with 60 and 40 points they are {right[:2]}, not {got}."


@check
def four_sets(answer):
    """The origin of each of four sets of images, {letter: name}."""
    origins = {"A": "collapsed", "B": "honest", "C": "real", "D": "memoriser"}
    yield set(answer) != set(origins), 'it should be a dictionary with the letters A, B, C and D: {"A": "real", ...}.'
    yield set(answer.values()) != set(origins.values()), "honest, real, collapsed, memoriser: each has one letter."
    letter = {name: letter for letter, name in answer.items()}
    yield answer["D"] != "memoriser", f"{letter['memoriser']} does not copy: its novelty is that of test digits, not 0."
    yield answer["A"] != "collapsed", f"{letter['collapsed']} has not collapsed: its recall is high. Whose is low?"
    yield answer != origins, "real and honest are swapped: the distance of real digits is the reference value."
