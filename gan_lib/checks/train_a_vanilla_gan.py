"""Checks of the lesson on the first GAN: its losses, G's step, the vanishing gradient."""

import copy
import math

import torch
from torch.nn.utils import parameters_to_vector

from gan_lib import losses, models
from gan_lib.checks.check import call, check, same


@check
def losses_from_softplus(answer):
    """`answer(real_logits, fake_logits)` → (d_loss, g_loss): cross-entropy, and the non-saturating loss."""
    logits = torch.tensor([0.5, 2.0, -1.0]), torch.tensor([-3.0, 0.25, 1.5])
    expected, negated = losses.cross_entropy_d(*logits), losses.cross_entropy_d(-logits[0], -logits[1])
    d_loss, g_loss = call(answer, *logits)
    yield same(d_loss, negated), "the signs in d_loss are the wrong way round: a high logit means real."
    yield same(d_loss, 3 * expected), "d_loss is the sum over the batch; take the mean of each term."
    yield not same(d_loss, expected), "d_loss should be mean softplus(-a) of real logits + mean softplus(a) of fakes."
    expected, saturating = losses.non_saturating_g(*logits), losses.minimax_g(*logits)
    yield same(g_loss, saturating), "g_loss is log(1 - D(G(z))), which saturates (exercise 3); use -log D(G(z))."
    yield not same(g_loss, expected), "g_loss should be mean softplus(-a) of fake logits: G wants D to call them real."
    extreme = torch.stack([torch.as_tensor(loss) for loss in answer(torch.tensor([-200.0]), torch.tensor([200.0]))])
    yield not extreme.isfinite().all(), "a logit of 200 makes the loss infinite: use softplus, not log and sigmoid."


@check
def generator_step(answer):
    """`answer(generator, discriminator, g_optimizer, z)` updates G alone, towards D(G(z)) = 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator, discriminator = models.mlp_generator(8, 16), models.mlp_discriminator(16)
        z = torch.randn(64, 8)
    g_before, d_before = (parameters_to_vector(net.parameters()).clone() for net in (generator, discriminator))
    d_fake = discriminator(generator(z)).mean()
    g_optimizer = torch.optim.Adam(generator.parameters(), 1e-3)
    ours = copy.deepcopy(generator)
    our_optimizer = torch.optim.Adam(ours.parameters(), 1e-3)
    our_loss = losses.non_saturating_g(None, discriminator(ours(z)))
    our_loss.backward()
    our_optimizer.step()
    discriminator.zero_grad()
    g_loss = call(answer, generator, discriminator, g_optimizer, z)
    g_after, d_after = (parameters_to_vector(net.parameters()).clone() for net in (generator, discriminator))
    yield not d_after.equal(d_before), "D changed; only G's optimiser should step."
    yield g_after.equal(g_before), "G did not change. Is there a detach, or is backward or step missing?"
    away = discriminator(generator(z)).mean() < d_fake
    yield away, "G went the wrong way: D(G(z)) is lower than before. Which label does G want for its fakes?"
    expected = parameters_to_vector(ours.parameters())
    yield not same(g_after, expected), "G's step is not the one on -log D(G(z)): use label 1, and negate nothing."
    returned = isinstance(g_loss, torch.Tensor | float) and same(torch.as_tensor(g_loss).detach(), our_loss.detach())
    yield not returned, "the step should return g_loss."
    for p in generator.parameters():
        p.grad = torch.full_like(p, 1e3)
    call(answer, generator, discriminator, g_optimizer, z)
    jump = (parameters_to_vector(generator.parameters()) - g_after).abs().max()
    kept = jump > 1e-2 or generator[0].weight.grad.abs().max() > 500
    yield kept, "old gradients are added to the new ones: call zero_grad before backward."


@check
def loss_gradients(answer):
    """`answer(a)` → the derivatives of log(1 - sigmoid(a)) and of -log sigmoid(a) at the logit a."""
    for a in (-10.0, -1.0, 2.0):
        got, (first, second) = call(answer, a), (-1 / (1 + math.exp(-a)), -1 / (1 + math.exp(a)))
        yield same(got, (second, first)), "the two gradients are in the wrong order: log(1 - D) comes first."
        yield same(got, (-first, -second)), "the signs are wrong: a higher logit makes both losses smaller."
        yield not same(got, (first, second)), f"at a = {a} they should be {first:.5f} and {second:.5f}."
