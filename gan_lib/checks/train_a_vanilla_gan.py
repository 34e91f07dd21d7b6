"""Checks of the lesson on the first GAN: G's step, the vanishing gradient."""

import copy
import math

import torch
from torch.nn.utils import parameters_to_vector

from gan_lib import losses, models
from gan_lib.checks.check import call, check, same


def reference_generator_step(discriminator, optimizer, fake):
    """The right answer to `generator_step`. The lesson uses it until the learner's answer is right."""
    g_loss = losses.non_saturating_g(None, discriminator(fake))
    optimizer.zero_grad()
    g_loss.backward()
    optimizer.step()
    return g_loss


@check
def generator_step(answer):
    """`answer(discriminator, optimizer, fake)` updates G, which made `fake`, towards D(fake) = 1. It returns g_loss."""
    generator, discriminator, z = models.mlp_generator(8, 16), models.mlp_discriminator(16), torch.randn(64, 8)
    before = copy.deepcopy(generator), copy.deepcopy(discriminator)
    ours, our_discriminator = copy.deepcopy(before)
    our_loss = reference_generator_step(our_discriminator, torch.optim.Adam(ours.parameters(), 1e-3), ours(z))
    optimizer = torch.optim.Adam(generator.parameters(), 1e-3)
    g_loss = call(answer, discriminator, optimizer, generator(z))
    d_before, g_before, d_after, g_after, expected = (
        parameters_to_vector(net.parameters()).clone() for net in (before[1], before[0], discriminator, generator, ours)
    )
    yield not d_after.equal(d_before), "D changed; only the optimiser that you are given should step."
    yield g_after.equal(g_before), "G did not change. Is there a detach, or is backward or step missing?"
    away = discriminator(generator(z)).mean() < discriminator(before[0](z)).mean()
    yield away, "G went the wrong way: D(G(z)) is lower than before. Which label does G want for its fakes?"
    yield not same(g_after, expected), "G's step is not the one on -log D(G(z)): use label 1, and negate nothing."
    returned = isinstance(g_loss, torch.Tensor) and same(g_loss.detach(), our_loss.detach())
    yield not returned, "the step should return g_loss, the tensor."
    for p in generator.parameters():
        p.grad = torch.full_like(p, 1e3)
    call(answer, discriminator, optimizer, generator(z))
    jump = (parameters_to_vector(generator.parameters()) - g_after).abs().max()
    kept = jump > 1e-2 or generator[0].weight.grad.abs().max() > 500
    yield kept, "old gradients are added to the new ones: call zero_grad before backward."


@check
def loss_gradients(answer):
    """`answer(a)` → the derivatives of log(1 - sigmoid(a)) and of -log sigmoid(a) at the logit a."""
    for a in (-10.0, -1.0, 2.0):
        got, (first, second) = call(answer, a), (-1 / (1 + math.exp(-a)), -1 / (1 + math.exp(a)))
        yield same(got, (second, first)), "the two gradients are in the wrong order: log(1 - D) comes first."
        yield not same(got, (first, second)), f"at a = {a} they should be {first:.5f} and {second:.5f}."
