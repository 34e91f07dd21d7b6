"""Checks of the lesson on what a generator has learnt: nearest neighbours."""

import torch

from gan_lib.checks.check import call, check


@check
def nearest_neighbours(answer):
    """`answer(a, b)` → the place of the row of b [M, d] that is nearest to each row of a [N, d]: [N]."""
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn(9, 4, generator=rng), 2 * torch.randn(40, 4, generator=rng) * torch.rand(40, 1, generator=rng)
    got, distances = torch.as_tensor(call(answer, a, b)), torch.cdist(a, b)
    yield got.shape == (40,), "that is a place in a for each row of b; take the minimum along dimension 1."
    yield got.shape != (9,), f"for 9 rows of a its shape is {list(got.shape)}, not [9]."
    yield got.is_floating_point(), "those are distances; `argmin` gives the place of the smallest distance."
    yield got.equal(distances.argmax(1)), "those rows are the farthest; use argmin."
    yield got.equal((a @ b.T).argmax(1)), "a large product a · b may come from a long b: add |b|²."
    right = distances.argmin(1)
    yield not got.equal(right), f"the first three are nearest to {right[:3].tolist()}, not {got[:3].tolist()}."
