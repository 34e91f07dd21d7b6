"""Checks of the lesson on the DCGAN: transposed convolutions and the generator's block."""

import torch
from torch import nn
from torch.nn import functional as F

from gan_lib.checks.check import call, check, same


@check
def transposed_size(answer):
    """`answer(size, kernel, stride, padding)` → the output size of a transposed convolution."""
    for size, kernel, stride, padding in ((1, 4, 1, 0), (4, 3, 2, 1), (7, 4, 2, 1), (14, 4, 2, 1), (6, 5, 3, 2)):
        got, expected = call(answer, size, kernel, stride, padding), (size - 1) * stride + kernel - 2 * padding
        yield got != expected, f"{size}, {kernel}, {stride} and {padding} give {expected}, not {got}."


@check
def transposed_convolution(answer):
    """`answer(x, kernel, stride)` → the transposed convolution of x [H, W] with kernel [k, k], no padding."""
    for height, width, size, stride in ((3, 4, 4, 2), (2, 2, 3, 1), (3, 2, 2, 3)):
        x, kernel = torch.randn(height, width), torch.randn(size, size)
        got = call(answer, x, kernel, stride)
        expected = F.conv_transpose2d(x[None, None], kernel[None, None], stride=stride)[0, 0]
        sizes = f"{list(expected.shape)}, not {list(got.shape)} (kernel {size}, stride {stride})"
        yield got.shape != expected.shape, f"a {height} × {width} input should give {sizes}."
        yield not same(got, expected), "the size is right and the values are not: where stamps overlap, add them."


def reference_block(inputs, outputs, kernel=4, stride=2, padding=1):
    """Transposed convolution without bias, BatchNorm, ReLU."""
    layer = nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


@check
def block(answer):
    """`answer` is a function like `reference_block`."""
    for sizes in ((5, 3), (5, 4, 4, 1, 0)):
        nets, x = (call(answer, *sizes), reference_block(*sizes)), torch.zeros(2, 5, 4, 4)
        got, expected = (", ".join(type(layer).__name__ for layer in net) for net in nets)
        yield got != expected, f"the layers should be {expected}, not {got}."
        yield nets[0][0].bias is not None, "BatchNorm subtracts what the bias adds: leave it out with bias=False."
        got, expected = (list(net(x).shape) for net in nets)
        yield got != expected, f"block{sizes} should turn {list(x.shape)} into {expected}, not {got}."
