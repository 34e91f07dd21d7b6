"""Checks of the lesson on what a generator has learnt: inversion, nearest neighbours."""

import torch

from gan_lib.checks.check import call, check, same


def reference_invert(generate, target, z, steps, zero_grad=True):
    """z [N, latent_dim] after `steps` of Adam at 0.1 on the mean squared error of generate(z)."""
    z = z.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], 0.1)
    for _ in range(steps):
        error = (generate(z) - target).square().mean()
        if zero_grad:
            optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return z.detach()


@check
def invert(answer):
    """`answer(generate, target, z, steps)` → as `reference_invert`."""
    rng = torch.Generator().manual_seed(0)
    net, start, target = torch.nn.Linear(3, 3), torch.randn(2, 3, generator=rng), torch.randn(1, 3, generator=rng)
    net.weight.data, net.bias.data = torch.eye(3) + 0.5, torch.zeros(3)
    z, before = start.clone(), net.weight.detach().clone()
    got = call(answer, net, target, z, 9).detach()
    yield not net.weight.equal(before), "it changes the weights of the generator; give z to the optimiser."
    yield not z.equal(start), "it changes the starting points; work on a copy, `z.clone()`."
    yield same(got, start), "z is where it started: are backward() and the optimiser's step in the loop?"
    yield same(got, net(reference_invert(net, target, start, 9)).detach()), "those are the images; return z."
    late = reference_invert(net, target, start, 9, zero_grad=False)
    yield same(got, late, 1e-3), "gradients of earlier iterations add up: call zero_grad."
    right = reference_invert(net, target, start, 9)
    yield not same(got, right, 1e-3), f"after 9 steps z should begin with {right[0, 0]:.3f}, and it is {got[0, 0]:.3f}."


def reference_nearest(a, b):
    """The index of the row of b [M, d] that is nearest to each row of a [N, d]: [N]."""
    return torch.cdist(a, b).argmin(1)


@check
def nearest_neighbours(answer):
    """`answer(a, b)` → as `reference_nearest`."""
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn(9, 4, generator=rng), 2 * torch.randn(40, 4, generator=rng) * torch.rand(40, 1, generator=rng)
    got, right = torch.as_tensor(call(answer, a, b)), reference_nearest(a, b)
    yield got.shape == (40,), "that is an index of a for each row of b; take the minimum along dimension 1."
    yield got.shape != (9,), f"for 9 rows of a its shape is {list(got.shape)}, not [9]."
    yield got.is_floating_point(), "those are distances; `argmin` gives the index of the smallest distance."
    yield got.equal(torch.cdist(a, b).argmax(1)), "those rows are the farthest; use argmin."
    yield got.equal((a @ b.T).argmax(1)), "a large product a · b may come from a long b: add |b|²."
    yield not got.equal(right), f"the first three are nearest to {right[:3].tolist()}, not {got[:3].tolist()}."
