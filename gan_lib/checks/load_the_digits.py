"""Checks of the lesson on the MNIST files: parsing labels, pixels back to uint8, an epoch of batches."""

import itertools
import struct

import torch

from gan_lib import data
from gan_lib.checks.check import call, check


@check
def read_labels(answer):
    """`answer(content)`, the bytes of an IDX file of labels → its labels."""
    for labels in ([5, 0, 4, 1, 9, 2, 1, 3, 1, 4], [7, 2, 1, 0] * 75):
        content = struct.pack(">2I", 2049, len(labels)) + bytes(labels)
        got = [int(label) for label in call(answer, content)]
        yield got == list(content), "that is the whole file; skip its header."
        yield got == labels[8:], "the first 8 labels are missing: with one dimension, the header is shorter."
        yield got != labels, f"{len(labels)} labels, {labels[:4]} first, were read as {len(got)}, {got[:4]} first."


@check
def to_uint8(answer):
    """`answer(x)`, float [N, 1, 28, 28] → uint8 [N, 28, 28], rounded and clipped."""
    greys = torch.arange(3 * 784).remainder(256).view(3, 28, 28).to(torch.uint8)
    got = call(answer, data.to_range(greys))
    kind = getattr(got, "dtype", type(got).__name__)
    yield kind != torch.uint8, f"the result should be a tensor of torch.uint8, not {kind}."
    yield got.shape != greys.shape, f"three images should have the shape {list(greys.shape)}, not {list(got.shape)}."
    off = (greys.int() - got.int()).unique().tolist()
    dark = greys[got != greys].unique().numel()
    yield off == [0, 1], f"{dark} of the 256 grey levels come back one too dark: round before you convert."
    yield off != [0], f"-1, 0 and 1 should become 0, 128 and 255; you are off by up to {max(off, key=abs)}."
    outside = torch.linspace(-1.5, 1.5, 784).view(1, 1, 28, 28)
    clipped = call(answer, outside.clone()).equal(data.to_uint8(outside))
    yield not clipped, "values outside [-1, 1] come out wrong, white as black perhaps: clamp before you convert."


@check
def one_epoch(answer):
    """`answer(images, batch_size)` → shuffled batches in [-1, 1], each image at most once, no incomplete batch."""
    images, epochs = torch.arange(53, dtype=torch.uint8).view(53, 1, 1).expand(53, 28, 28).contiguous(), []
    for _ in range(2):
        batches = list(itertools.islice(call(answer, images, 10), 7))
        yield len(batches) == 7, "53 images make 5 batches of ten, and yours never stop: yield one epoch only."
        yield batches and len(batches[-1]) == 3, "the last batch has 3 images: drop the last incomplete batch."
        yield len(batches) != 5, f"53 images make 5 batches of ten, not {len(batches)}."
        for x in batches:
            wrong = x.shape != (10, 1, 28, 28) or not x.is_floating_point()
            yield wrong, f"a batch should be float [10, 1, 28, 28], not {x.dtype} {list(x.shape)}: see data.to_range."
            low, high = x.min(), x.max()
            yield max(-low, high) > 1, f"pixels go from {low:.2f} to {high:.2f}, not from -1 to 1: use data.to_range."
        epochs.append(data.to_uint8(torch.cat(batches))[:, 0, 0].tolist())
        different = len(set(epochs[-1]))
        yield different < 50, f"only {different} of 50 images are different, so some came twice: use a permutation."
        yield epochs[-1] == sorted(epochs[-1]), "the images come in the order of the file: shuffle them."
    yield epochs[0] == epochs[1], "two epochs have the same order: shuffle again at each call."
