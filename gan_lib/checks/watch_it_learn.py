"""Checks of the lesson on watching a training run: the warm-up of the EMA, the best checkpoint, the saliency map."""

import torch

from gan_lib import losses, models
from gan_lib.checks.check import NotTried, call, check, same


def reference_share(n, ema, warm_up):
    """The share of the initial weights in the EMA after n iterations, as `training.update_average` computes it."""
    share = 1.0
    for s in range(n):
        share *= min(ema, (1 + s) / (10 + s)) if warm_up else ema
    return share


@check
def share_of_the_start(answer):
    """`answer(n, ema, warm_up)` → the share of the initial weights in the EMA after n iterations."""
    for n, ema, warm_up in ((100, 0.99, False), (3, 0.999, True), (3, 0.15, True), (0, 0.9, True)):
        got, expected = call(answer, n, ema, warm_up), reference_share(n, ema, warm_up)
        yield warm_up and n and same(got, ema**n), "the warm-up changes nothing; see the decay in the text."
        yield not same(got, expected), f"for n = {n} it should be {expected:.6f}. Does s start at 0?"


def reference_choice(distances, measure_again):
    """The step with the smallest distance, and its distance in a second measurement."""
    step = min(distances, key=distances.get)
    return step, measure_again(step)


@check
def best_checkpoint(answer):
    """`answer(distances, measure_again)` → the step of the smallest distance, and a second measurement of that step alone."""
    distances, asked = {100: 9.0, 200: 4.0, 300: 3.0, 400: 3.5, 500: 5.0}, []
    again = {100: 9.5, 200: 3.1, 300: 3.8, 400: 3.9, 500: 5.2}
    step, distance = call(answer, dict(distances), lambda step: asked.append(step) or again[step])
    yield step == 200, "it chose by the second measurement, so nothing is left to test the choice with."
    yield distance == 3.0, "it returns the distance that made this step win: return `measure_again(step)`."
    yield len(asked) > 1, "it measures more than once; only the chosen step needs it."
    yield (step, distance) != (300, 3.8), f"for {distances} it should choose step 300, and return its new distance."


def reference_gradient(discriminator, images):
    """The gradient of each image's logit with respect to its own pixels."""
    return losses.input_gradients(discriminator, images).detach().view_as(images)


@check
def input_gradient(answer):
    """`answer(discriminator, images)` → the gradient of each logit with respect to its image's pixels."""
    discriminator, images = models.mlp_discriminator(16), torch.rand(4, 1, 28, 28) * 2 - 1
    expected = reference_gradient(discriminator, images)
    got = answer(discriminator, images.clone())
    if got is ...:
        raise NotTried
    yield got is None, "it is None. Do the images require a gradient, and did D see these images or a copy?"
    yield got.shape != images.shape, f"its shape should be {list(images.shape)}, not {list(got.shape)}."
    yield same(got, expected / 4, 1e-7), "that is the gradient of the mean over the batch: use the sum."
    yield not same(got, expected, 1e-7), "it should be torch.autograd.grad(discriminator(images).sum(), images)[0]."
