"""Checks of the lesson on class-conditional GANs: the projection discriminator, a grid of classes."""

import torch

from gan_lib.checks.check import call, check, same


@check
def projection_logit(answer):
    """`answer(f, labels, w, b, v)` → f · w + b + f · v_label of features f [N, d], with class embeddings v [10, d]: [N]."""
    rng = torch.Generator().manual_seed(0)
    f, w, v = (torch.randn(*shape, generator=rng) for shape in ((4, 6), (6,), (10, 6)))
    b, labels = 0.7, torch.tensor([7, 0, 9, 7])
    got, plain, fit = torch.as_tensor(call(answer, f, labels, w, b, v)), f @ w + b, (v[labels] * f).sum(1)
    yield got.shape == (4, 4), "f @ v[labels].T pairs each image with every label; multiply row by row, then sum."
    yield got.shape == (4, 10), "that is a number for each class; use only the class of the image's label."
    yield got.shape != (4,), f"for 4 images its shape is {list(got.shape)}, not [4]."
    yield same(got, plain, 1e-4), "the label changes nothing: add v[labels] · f."
    yield same(got, fit, 1e-4), "f · w + b is missing: it says whether the image looks real, whatever its class."
    yield same(got, f @ w + fit, 1e-4), "b is missing."
    yield same(got, plain + fit / 6, 1e-4), "a dot product is the sum over the features, not the mean."
    yield same(got, plain + v[labels].sum(1), 1e-4), "multiply the class embedding by f before you sum."
    yield not same(got, plain + fit, 1e-4), f"the first logit should be {(plain + fit)[0]:.3f}, not {got[0]:.3f}."


@check
def class_by_latent(answer):
    """`answer(z)` → z [10 R, d] and labels [10 R] of a grid whose rows are the R latent vectors, and columns the labels."""
    z = torch.arange(12.0).view(3, 4)
    got = call(answer, z.clone())
    yield not isinstance(got, tuple | list) or len(got) != 2, "it should return two tensors: z, and labels."
    points, labels = map(torch.as_tensor, got)
    shapes = f"{list(points.shape)} and {list(labels.shape)}, not [30, 4] and [30]"
    yield points.shape != (30, 4) or labels.shape != (30,), f"for 3 latent vectors the shapes are {shapes}."
    yield labels.is_floating_point(), "labels are whole numbers: torch.arange(10), not torch.arange(10.0)."
    which, by_row, by_column = (points[:, 0] / 4).tolist(), [i // 10 for i in range(30)], [i % 10 for i in range(30)]
    got, thirds, every_third = labels.tolist(), [i // 3 for i in range(30)], [i % 3 for i in range(30)]
    mixed, slow = which == every_third and got == by_column, which == by_row and got == thirds
    yield mixed, "z changes with every image of a row: use repeat_interleave to repeat each z ten times."
    yield slow, "the labels change with every third image; in a row they go from 0 to 9: repeat the whole range."
    yield which == every_third and got == thirds, "that grid has a row for each digit; a row should have one z."
    first = f"the z {[int(i) for i in which[:10]]} and the labels {got[:10]}"
    yield which != by_row or got != by_column, f"the first row has {first}."
