"""Checks of the lesson on what a generator has learnt: inversion, nearest neighbours."""

import torch

from gan_lib.checks.check import call, check, same


def reference_invert(generate, target, z, steps):
    """z [N, latent_dim] after `steps` of Adam at 0.1 on the mean squared error of generate(z)."""
    z = z.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], 0.1)
    for _ in range(steps):
        error = (generate(z) - target).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return z.detach()


@check
def invert(answer):
    """`answer(generate, target, z, steps)` → as `reference_invert`."""
    start, target, net = torch.randn(2, 3), torch.randn(1, 3), torch.nn.Linear(3, 3)
    net.weight.data, net.bias.data = torch.eye(3) + 0.5, torch.zeros(3)
    z, before = start.clone(), net.weight.detach().clone()
    got = call(answer, net, target, z, 9).detach()
    yield not net.weight.equal(before), "it changes the weights of the generator; give z to the optimiser."
    yield not z.equal(start), "it changes the starting points; work on a copy, `z.clone()`."
    yield same(got, start), "z is where it started: are backward() and the optimiser's step in the loop?"
    right = reference_invert(net, target, start, 9)
    yield not same(got, right, 1e-3), f"z[0, 0] should be {right[0, 0]:.3f}, not {got[0, 0]:.3f}. Is zero_grad called?"


@check
def nearest_neighbours(answer):
    """`answer(a, b)` → for each row of a [N, d] the index of the nearest row of b [M, d]."""
    a, b = torch.randn(9, 4), 2 * torch.randn(40, 4) * torch.rand(40, 1)
    got, right = torch.as_tensor(call(answer, a, b)), torch.cdist(a, b).argmin(1)
    yield got.shape == (40,), "that is an index of a for each row of b; take the minimum along dimension 1."
    yield got.shape != (9,), f"for 9 rows of a its shape is {list(got.shape)}, not [9]."
    yield got.equal((a @ b.T).argmax(1)), "a large product a · b may come from a long b: add |b|²."
    yield not got.equal(right), f"the first three are nearest to {right[:3].tolist()}, not {got[:3].tolist()}."
