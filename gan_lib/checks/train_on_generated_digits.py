"""Checks of the lesson on training data: batches of real and generated digits, and a comparison seed by seed."""

import torch

from gan_lib import data
from gan_lib.checks.check import call, check, same


@check
def half_a_batch(answer):
    """`answer(real, fake, n)` → n images and their labels, half of them from each `data.Digits`, drawn at random."""
    shades, n = torch.arange(200, dtype=torch.uint8), 40  # the grey level of an image is its index
    images, labels = shades.view(-1, 1, 1).expand(-1, 28, 28), 7 * shades.long() % 10
    real, fake = (data.Digits(images[part], labels[part]) for part in (slice(120), slice(120, 200)))
    batches = [call(answer, real, fake, n) for _ in range(20)]
    for got, got_labels in batches:
        shapes = f"[{n}, 28, 28] and labels [{n}], not {list(got.shape)} and {list(got_labels.shape)}"
        yield got.shape != (n, 28, 28) or got_labels.shape != (n,), f"a batch of {n} is images {shapes}."
        index = got[:, 0, 0].long()
        yield not same(got_labels, labels[index]), "the labels are not those of the images: draw the indices once."
        generated = (index >= 120).sum().item()
        yield generated != n // 2, f"of {n} images {n // 2} should be generated, and {generated} are."
    yield batches[0][0].equal(batches[1][0]), "it gives the same digits at each call; draw them at random."
    drawn = torch.cat([got[:, 0, 0] for got, _ in batches]).unique()
    yield len(drawn) < 150, "some digits are never drawn: draw from all images of a source."


def reference_wins(real, mixed):
    """{count: in how many seeds `mixed` is lower} of two {count: [error rate for each seed]}, for the counts of both."""
    return {n: sum(m < r for r, m in zip(real[n], mixed[n], strict=True)) for n in real if n in mixed}


@check
def seed_by_seed(answer):
    """`answer(real, mixed)` → as `reference_wins`."""
    real, mixed = {10: [9.0, 5.0, 7.0], 50: [2.0, 3.0], 99: [1.0]}, {10: [8.0, 6.0, 6.0], 50: [2.0, 4.0]}
    got, right = call(answer, real, mixed), {10: 2, 50: 0}
    yield got == {10: 2, 50: 1}, "equal is not fewer: use <, not <=."
    yield got != right, f"for {real} and {mixed} it is {right}, not {got}."
