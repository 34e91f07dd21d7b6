"""Checks of the lesson on the DCGAN: transposed convolutions, batch normalisation."""

import torch
from torch.nn import functional as F

from gan_lib.checks.check import call, check, same


@check
def transposed_size(answer):
    """`answer(size, kernel, stride, padding)` → the output size of a transposed convolution."""
    for size, kernel, stride, padding in ((1, 4, 1, 0), (4, 3, 2, 1), (7, 4, 2, 1), (14, 4, 2, 1), (6, 5, 3, 2)):
        got, expected = call(answer, size, kernel, stride, padding), (size - 1) * stride + kernel - 2 * padding
        ordinary = (size + 2 * padding - kernel) // stride + 1
        yield got == ordinary, "that is the output size of an ordinary convolution; solve it for the input size."
        yield got == expected + stride, "the last pixel's stamp starts after size - 1 strides, not after size."
        what = f"a {size} pixel input with kernel {kernel}, stride {stride} and padding {padding}"
        yield got != expected, f"{what} gives {expected}, not {got}."


@check
def transposed_convolution(answer):
    """`answer(x, kernel, stride)` → the transposed convolution of x [H, W] with kernel [k, k], no padding."""
    rng = torch.Generator().manual_seed(0)
    for height, width, size, stride in ((3, 4, 4, 2), (2, 2, 3, 1), (3, 2, 2, 3)):
        x, kernel = torch.randn(height, width, generator=rng), torch.randn(size, size, generator=rng)
        got = call(answer, x, kernel, stride)
        expected = F.conv_transpose2d(x[None, None], kernel[None, None], stride=stride)[0, 0]
        flipped = F.conv_transpose2d(x[None, None], kernel.flip(0, 1)[None, None], stride=stride)[0, 0]
        sizes = f"{list(expected.shape)}, not {list(got.shape)} (kernel {size}, stride {stride})"
        yield got.shape != expected.shape, f"a {height} × {width} input should give {sizes}."
        yield same(got, flipped), "the kernel is flipped; a stamp is the kernel unflipped, times the pixel."
        yield not same(got, expected), "the size is right and the values are not: where stamps overlap, add them."


@check
def batch_norm_in_eval_mode(answer):
    """`answer(x, layer)` → the output of a BatchNorm2d layer in eval mode for x [N, C, H, W]."""
    rng = torch.Generator().manual_seed(0)
    layer = torch.nn.BatchNorm2d(3).eval().requires_grad_(False)
    for tensor in (layer.weight, layer.bias, layer.running_mean):
        tensor.copy_(torch.randn(3, generator=rng))
    layer.running_var.copy_(torch.rand(3, generator=rng) + 0.1)
    x = torch.randn(4, 3, 5, 5, generator=rng)
    got, training = call(answer, x, layer), F.batch_norm(x, None, None, layer.weight, layer.bias, True)
    shapes = f"should stay {list(x.shape)}, not become {list(got.shape)}"
    yield got.shape != x.shape, f"the shape {shapes}: give the statistics the shape [1, C, 1, 1]."
    yield same(got, training, 1e-3), "that uses the batch's own mean and variance, as in train mode."
    yield not same(got, layer(x)), "for each channel use (x - running_mean) / sqrt(running_var + eps) · weight + bias."
