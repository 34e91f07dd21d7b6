"""Checks of the lesson on conditional GANs: the logit of a projection discriminator, a grid of classes and latent vectors."""

import torch

from gan_lib.checks.check import call, check, same


def reference_logit(f, y, w, b, v):
    """w · f + b + v_y · f, the logits [N] of features f [N, d] and labels y [N], with class embeddings v [10, d]."""
    return f @ w + b + (v[y] * f).sum(1)


@check
def projection_logit(answer):
    """`answer(f, y, w, b, v)` → as `reference_logit`."""
    f, (w,), v = torch.randn(15, 6).split([4, 1, 10])
    b, y = 0.7, torch.tensor([7, 0, 9, 7])
    got, right, plain = torch.as_tensor(call(answer, f, y, w, b, v)), reference_logit(f, y, w, b, v), f @ w + b
    yield got.shape != (4,), f"its shape is {list(got.shape)}, not [4]: compute one dot product v_y · f for each image."
    yield same(got, plain, 1e-4), "the label changes nothing: add v_y · f."
    yield not same(got, right, 1e-4), f"the first logit should be {right[0]:.3f}, not {got[0]:.3f}."


def reference_grid(z):
    """z [10 R, d] and labels [10 R] of a grid: in each row one of the R latent vectors z, and the labels 0 to 9."""
    return z.repeat_interleave(10, 0), torch.arange(10).repeat(len(z))


@check
def class_by_latent(answer):
    """`answer(z)` → as `reference_grid`."""
    got = call(answer, z := torch.arange(12.0).view(3, 4))
    (points, y), (right, labels) = map(torch.as_tensor, got), reference_grid(z)
    yield [*points.shape, *y.shape] != [30, 4, 30], f"R is 3, and the shapes are {[*points.shape]} and {[*y.shape]}."
    yield y.is_floating_point(), "labels are whole numbers: torch.arange(10), not torch.arange(10.0)."
    yield same(points, z.repeat(10, 1)), "z changes with every image of a row: repeat each z ten times on the spot."
    yield not (same(points, right) and same(y, labels)), f"the first row has z {points[:10, 0]} and labels {y[:10]}."
