"""Checks of the lesson on speed: multiply-accumulates, Amdahl's law."""

import itertools

from gan_lib.checks.check import call, check, same


@check
def multiply_accumulates(answer):
    """`answer(n, widths)` → multiplications of a forward and a backward pass through linear layers."""
    for n, widths in ((1, [3, 5]), (100, [784, 256, 256, 1]), (7, [64, 2, 9])):
        layers = [a * b for a, b in itertools.pairwise(widths)]
        forward, got, expected = n * sum(layers), call(answer, n, widths), n * (3 * sum(layers) - layers[0])
        if got == expected:
            continue
        yield got == forward, "that is the forward pass alone."
        yield got == 2 * forward, "a backward pass has two products for each layer but the first, not one."
        yield got == 3 * forward, "the first layer's input is the images, which need no gradient."
        last = n * (3 * sum(layers) - layers[-1])
        yield got == last, "the input that needs no gradient is that of the first layer, not of the last."
        yield got == expected / n, "that is for one image; there are n."
        yield True, f"for n = {n} and widths {widths} it gives {got}, not {expected}."


@check
def amdahl(answer):
    """`answer(share, factor)` → the speed-up of the whole, when a share of it becomes `factor` times as fast."""
    for share, factor in ((0.5, 2.0), (0.3, 10.0), (1.0, 4.0), (0.0, 4.0)):
        got, expected = call(answer, share, factor), 1 / (1 - share + share / factor)
        if same(got, expected):
            continue
        yield same(got, 1 / expected), "that is the time that is left; the speed-up is its inverse."
        yield same(got, share * factor), "the rest of the program takes as long as before: add the two times first."
        yield True, f"for a share of {share} and a factor of {factor:g} it gives {float(got):.3f}, not {expected:.3f}."
