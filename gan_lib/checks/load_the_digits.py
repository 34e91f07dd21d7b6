"""Checks of the lesson on the MNIST files: pixels back to uint8, an epoch of batches."""

import torch

from gan_lib import data
from gan_lib.checks.check import call, check


@check
def to_uint8(answer):
    """`answer(x)`, float [N, 1, 28, 28] → uint8 [N, 28, 28], rounded and clipped."""
    greys, x = torch.arange(256, dtype=torch.uint8).view(256, 1, 1).repeat(1, 28, 28), torch.linspace(-2, 2, 784)
    got, x = call(answer, data.to_range(greys)), x.view(1, 1, 28, 28)
    kind = f"{got.dtype} {list(got.shape)}"
    yield kind != "torch.uint8 [256, 28, 28]", f"256 images should become torch.uint8 [256, 28, 28], not {kind}."
    off = (greys.int() - got.int())[:, 0, 0]
    yield off.any(), f"-1, 0 and 1 should become 0, 128 and 255; you are off by up to {off.abs().max()}."
    yield not data.to_uint8(x).equal(call(answer, x)), "values outside [-1, 1] are wrong: clamp before you convert."


@check
def one_epoch(answer):
    """`answer(images, batch_size)` → shuffled batches in [-1, 1], each image at most once, no incomplete batch."""
    images, epochs = torch.arange(53, dtype=torch.uint8).view(53, 1, 1).repeat(1, 28, 28), []
    for _ in range(2):
        batches = [x for _, x in zip(range(7), call(answer, images, 10), strict=False)]
        sizes, x = [len(batch) for batch in batches], torch.cat(batches)
        yield sizes != [10] * 5, f"53 images make 5 complete batches of ten, and yours begin with the sizes {sizes}."
        wrong = not x.is_floating_point() or x.shape[1:] != (1, 28, 28) or x.abs().max() > 1
        yield wrong, f"a batch is float [10, 1, 28, 28] in [-1, 1], not {x.dtype} {[*x[:10].shape]} up to {x.max()}."
        epochs.append(data.to_uint8(x)[:, 0, 0].tolist())
        yield len(set(epochs[-1])) < 50, "some images came twice: use a permutation of the row numbers."
    yield epochs[0] == sorted(epochs[0]), "the images come in the order of the file: shuffle them."
    yield epochs[0] == epochs[1], "two epochs have the same order: shuffle again at each call."
