"""Checks of the first lesson: the size of a latent vector, and the vector halfway between two."""

from torch import tensor

from gan_lib.checks.check import call, check, same


@check
def latent_size(answer):
    """`answer`: how many numbers are in one latent vector of the lesson's generator."""
    yield answer != 64, f"it is not {answer}. The shape of z is [how many latent vectors, how many numbers in each]."


@check
def halfway(answer):
    """`answer(a, b)` → the latent vectors halfway between a and b, all [N, d]."""
    got = call(answer, tensor([[0.0, 2.0], [1.0, 5.0]]), tensor([[4.0, 4.0], [2.0, 5.0]]))
    yield same(got, [[2, 1], [0.5, 0]]), "that is half of the way from a to b. Now start the way at a."
    yield not same(got, [[2, 3], [1.5, 5]]), f"halfway between [0, 2] and [4, 4] is [2, 3], not {got[0].tolist()}."


def reference_halfway(a, b):
    """The vectors halfway between a and b."""
    return (a + b) / 2
