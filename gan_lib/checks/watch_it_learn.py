"""Checks of the lesson on watching a training run: log-spaced steps, the EMA of the weights, the input gradient."""

import torch

from gan_lib import models, training
from gan_lib.checks.check import NotTried, call, check, same


@check
def log_spaced(answer):
    """`answer(first, last, n)` → n whole numbers, each the same factor times the one before."""
    for first, last, n in ((1, 1000, 4), (10, 5120, 10), (10, 1000, 5), (3, 3000, 13)):
        got = list(call(answer, first, last, n))
        yield len(got) != n, f"for ({first}, {last}, {n}) it gives {len(got)} moments, not {n}."
        evenly = [first + (last - first) * i / (n - 1) for i in range(n)]
        yield same(got, evenly, 1), "the moments have equal distances; they should have equal ratios."
        exact = [first * (last / first) ** (i / (n - 1)) for i in range(n)]
        fractions = any(step != round(step) for step in got)
        yield fractions and same(got, exact, 1e-6), "steps are whole numbers: round them."
        expected = [round(step) for step in exact]
        yield not same(got, expected), f"for ({first}, {last}, {n}) it should be {expected}, not {got}."


@check
def exponential_moving_average(answer):
    """`answer(weights, ema)` → the EMA of a list of tensors, as `training.update_average` computes it."""
    rng = torch.Generator().manual_seed(0)
    net, weights = torch.nn.Linear(3, 1, bias=False), [torch.randn(1, 3, generator=rng) for _ in range(31)]
    for ema in (0.999, 0.6):
        net.load_state_dict({"weight": weights[0]})
        game = training.Game(net, torch.nn.Linear(1, 1), latent_dim=3, ema=ema)
        constant = swapped = weights[0]
        for step, now in enumerate(weights[1:]):
            net.load_state_dict({"weight": now})
            training.update_average(game)
            game.step += 1
            constant = torch.lerp(now, constant, ema)
            swapped = torch.lerp(swapped, now, min(ema, (1 + step) / (10 + step)))
        got = call(answer, [w.clone() for w in weights], ema)
        if same(got, game.average.weight):
            continue
        plain = torch.stack(weights).mean(0)
        yield same(got, plain), "that is the plain mean; it never forgets the noise of the first steps."
        yield same(got, constant), "the decay is `ema` from the start; it should be min(ema, (1 + s) / (10 + s))."
        yield same(got, swapped), "the two shares are swapped: the *old average* gets the share `decay`."
        yield True, f"with ema {ema} it differs from the library's. Does s start at 0, and the average at `weights[0]`?"


@check
def input_gradient(answer):
    """`answer(discriminator, images)` → the gradient of each logit with respect to its image's pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        discriminator, images = models.mlp_discriminator(16), torch.rand(4, 1, 28, 28) * 2 - 1
    leaf = images.clone().requires_grad_(True)
    logits = discriminator(leaf)
    expected = torch.autograd.grad(logits.sum(), leaf, retain_graph=True)[0]
    of_probability = torch.autograd.grad(logits.sigmoid().sum(), leaf)[0]
    got = answer(discriminator, images.clone())
    if got is ...:
        raise NotTried
    yield got is None, "it is None. Do the images require a gradient, and did D see these images or a copy?"
    yield got.shape != images.shape, f"its shape should be {list(images.shape)}, not {list(got.shape)}."
    yield same(got, expected / 4, 1e-7), "that is the gradient of the mean over the batch: use the sum."
    yield same(got, of_probability, 1e-7), "that is the gradient of the probability D(x); leave the sigmoid out."
    yield same(got, expected.abs(), 1e-7), "the signs are gone; they say whether more ink or less ink raises the logit."
    yield not same(got, expected, 1e-7), "it should be torch.autograd.grad(discriminator(images).sum(), images)[0]."
