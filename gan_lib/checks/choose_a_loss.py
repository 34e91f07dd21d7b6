"""Checks of the lesson on losses and penalties: the largest singular value, R1."""

import math

import torch

from gan_lib import losses, models
from gan_lib.checks.check import call, check, same


@check
def largest_singular_value(answer):
    """`answer(weight, rounds)` → the largest singular value of weight [m, n], by power iteration."""
    weight = torch.randn(3, 5)
    got, largest = call(answer, weight, 100), torch.linalg.matrix_norm(weight, 2)
    yield not math.isfinite(float(got)), "it overflows after a hundred rounds: scale v to length 1 in each round."
    yield same(got, largest**2, 1e-3), "that is its square, the largest eigenvalue of Wᵀ W."
    yield same(got, weight.norm(), 1e-3), "that is the Frobenius norm, which counts every direction."
    yield not same(got, largest, 1e-3), f"for a [3, 5] weight it gives {float(got):.3f}, not {largest:.3f}."
    yield same(call(answer, weight, 1), largest, 1e-4), "one round can't be exact: do you use `rounds`?"


@check
def r1_penalty(answer):
    """`answer(discriminator, images)` → R1 of D at images [N, 1, 28, 28], differentiable with respect to D's weights."""
    discriminator, images = models.plain_discriminator(4), torch.randn(5, 1, 28, 28)
    got = torch.as_tensor(call(answer, discriminator, images.clone()))
    gradients = losses.input_gradients(discriminator, images).detach()
    value, expected = got.item(), gradients.square().sum(1).mean().item()
    close = lambda wrong: math.isclose(value, wrong, rel_tol=1e-3)
    yield close(gradients.norm(dim=1).mean()), "that is the mean norm; R1 is the mean of the squared norm."
    yield close(expected / len(images) ** 2), "that is the gradient of the mean logit; use the sum of the logits."
    yield not close(expected), f"it gives {value:.3g}, not {expected:.3g}."
    yield not got.requires_grad, "the value is right, but .backward() can't reach D's weights: use create_graph=True."
