"""The exercises' self-checks. Each returns a `Verdict`, which says in one line how the answer stands, and never raises."""

import functools
import itertools
import math
import struct
from typing import NamedTuple

import torch
from torch.nn.utils import parameters_to_vector

from gan_lib import data, losses, models


class Verdict(NamedTuple):
    """`status` is "right", "not yet" (then `reason` says why) or "not tried yet"."""

    status: str
    reason: str = ""

    def __repr__(self):
        return {
            "right": "Right.",
            "not tried yet": "Not tried yet: replace the `...` and run the cell again.",
            "not yet": f"Not yet, because {self.reason}",
        }[self.status]


def check(test):
    """Make a check of `test(answer)`, which returns the reason why the answer is not right yet, or None.

    An answer is not tried yet when it is `...`, or a function that returns `...`. What it raises becomes the reason.
    """

    @functools.wraps(test)
    def checked(answer):
        if answer is ...:
            return Verdict("not tried yet")
        try:
            reason = test(answer)
        except NotTried:
            return Verdict("not tried yet")
        except Exception as error:  # a learner's code may raise anything
            return Verdict("not yet", f"it raised {type(error).__name__}: {error}")
        return Verdict("not yet", reason) if reason else Verdict("right")

    return checked


class NotTried(Exception):
    """The stub is as it was."""


def call(function, *arguments):
    """The answer's result for these arguments; raises `NotTried` where that is `...`."""
    result = function(*arguments)
    if result is ...:
        raise NotTried
    return result


def differ(got, expected, tolerance=1e-5):
    """Whether two numbers or tensors differ, in shape or by more than `tolerance`."""
    got, expected = torch.as_tensor(got).double(), torch.as_tensor(expected).double()
    return got.shape != expected.shape or not torch.allclose(got, expected, rtol=0, atol=tolerance)


# Lesson 01


@check
def read_labels(answer):
    """`answer(content)`, the bytes of an IDX file of labels → those labels."""
    for labels in ([5, 0, 4, 1, 9, 2, 1, 3, 1, 4], [7, 2, 1, 0] * 75):
        content = struct.pack(">2I", 2049, len(labels)) + bytes(labels)
        got = [int(label) for label in call(answer, content)]
        if got == list(content):
            return "that is the whole file: its header is among the labels."
        if got == labels[8:]:
            return "the first 8 labels are missing: a label file has one size, so its header is shorter."
        if got != labels:
            return f"{len(labels)} labels that begin {labels[:4]} were read as {len(got)} that begin {got[:4]}."


@check
def way_back(answer):
    """`answer(x)`, float [N, 1, 28, 28] → uint8 [N, 28, 28], rounded and clipped."""
    greys = torch.arange(3 * 784).remainder(256).view(3, 28, 28).to(torch.uint8)
    got = call(answer, data.to_range(greys))
    if not isinstance(got, torch.Tensor) or got.dtype != torch.uint8:
        return f"the result should be a tensor of torch.uint8, not {getattr(got, 'dtype', type(got).__name__)}."
    if got.shape != greys.shape:
        return f"three pictures should have the shape {list(greys.shape)}, not {list(got.shape)}."
    off = (greys.int() - got.int()).unique().tolist()
    if off == [0, 1]:
        dark = greys[got != greys].unique().numel()
        return f"{dark} of the 256 greys come back one too dark: round before you convert."
    if off != [0]:
        return f"-1, 0 and 1 should become 0, 128 and 255; greys come back as far off as {max(off, key=abs)}."
    outside = torch.linspace(-1.5, 1.5, 784).view(1, 1, 28, 28)
    if not call(answer, outside.clone()).equal(data.to_uint8(outside)):
        return "what lies a little outside [-1, 1] comes out wrong, white as black perhaps: clamp before you convert."


@check
def one_epoch(answer):
    """`answer(images, batch_size)` → shuffled batches in [-1, 1], each image at most once, the rest left out."""
    images, epochs = torch.arange(53, dtype=torch.uint8).view(53, 1, 1).expand(53, 28, 28).contiguous(), []
    for _ in range(2):
        batches = list(itertools.islice(call(answer, images, 10), 7))
        if len(batches) == 7:
            return "53 pictures in tens make 5 batches, and yours goes on: it is one epoch only."
        if batches and len(batches[-1]) == 3:
            return "the last batch has 3 pictures: leave out what does not fill a batch."
        if len(batches) != 5:
            return f"53 pictures in tens make 5 batches, not {len(batches)}."
        for x in batches:
            if x.shape != (10, 1, 28, 28) or not x.is_floating_point():
                return f"ten pictures should be float [10, 1, 28, 28], not {x.dtype} {list(x.shape)}: see data.to_range."
            if x.abs().max() > 1:
                return f"pixels go from {x.min():.2f} to {x.max():.2f}, and not from -1 to 1: use data.to_range."
        epochs.append(data.to_uint8(torch.cat(batches))[:, 0, 0].tolist())
        if len(set(epochs[-1])) < 50:
            return f"of 50 pictures only {len(set(epochs[-1]))} are different, so some came twice: use a permutation."
        if epochs[-1] == sorted(epochs[-1]):
            return "the pictures come in the order of the file: shuffle them."
    if epochs[0] == epochs[1]:
        return "two epochs have the same order: shuffle anew at each call."


# Lesson 02

REAL_LOGITS, FAKE_LOGITS = torch.tensor([0.5, 2.0, -1.0]), torch.tensor([-3.0, 0.25, 1.5])


@check
def losses_from_softplus(answer):
    """`answer(real_logits, fake_logits)` → (d_loss, g_loss), the cross-entropies of lesson 02."""
    d_loss, g_loss = call(answer, REAL_LOGITS, FAKE_LOGITS)
    mirrored = losses.cross_entropy_d(-REAL_LOGITS, -FAKE_LOGITS)
    if not differ(d_loss, mirrored):
        return "d_loss has its signs the wrong way round: a high logit means real."
    if not differ(d_loss, 3 * losses.cross_entropy_d(REAL_LOGITS, FAKE_LOGITS)):
        return "d_loss is the sum over the batch; take the mean of each part."
    if differ(d_loss, losses.cross_entropy_d(REAL_LOGITS, FAKE_LOGITS)):
        return "d_loss is off: real logits should cost softplus(-a), fake ones softplus(a), each as a mean."
    if not differ(g_loss, losses.minimax_g(REAL_LOGITS, FAKE_LOGITS)):
        return "g_loss is log(1 - D(G(z))), which goes flat when D is sure (exercise 3); it should be -log D(G(z))."
    if differ(g_loss, losses.non_saturating_g(REAL_LOGITS, FAKE_LOGITS)):
        return "g_loss is off: G wants its fakes called real, so they should cost softplus(-a), as a mean."
    with torch.no_grad():
        if not all(torch.isfinite(torch.as_tensor(loss)) for loss in answer(torch.tensor([-200.0]), torch.tensor([200.0]))):
            return "a logit of 200 makes it infinite: leave log and sigmoid to softplus."


@check
def generator_step(answer):
    """`answer(generator, discriminator, g_optimizer, z)` moves G alone, towards D(G(z)) = 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator, discriminator = models.mlp_generator(8, 16), models.mlp_discriminator(16)
        z = torch.randn(64, 8)
    parts = {"G": generator, "D": discriminator}
    before = {name: parameters_to_vector(net.parameters()).clone() for name, net in parts.items()}
    d_before = discriminator(generator(z)).mean()
    g_optimizer = torch.optim.Adam(generator.parameters(), 1e-3)
    g_loss = call(answer, generator, discriminator, g_optimizer, z)
    moved = {name: not torch.equal(parameters_to_vector(net.parameters()), before[name]) for name, net in parts.items()}
    if moved["D"]:
        return "D moved. Only G's optimiser may step here."
    if not moved["G"]:
        return "G did not move. Is there a detach, or a missing backward or step?"
    if discriminator(generator(z)).mean() < d_before:
        return "G moved the wrong way: D calls its fakes real less than before. Which label does G want for them?"
    if not isinstance(g_loss, torch.Tensor | float):
        return "the step should return g_loss."
    first = parameters_to_vector(generator.parameters()).clone()
    for p in generator.parameters():
        p.grad = torch.full_like(p, 1e3)
    call(answer, generator, discriminator, g_optimizer, z)
    if (parameters_to_vector(generator.parameters()) - first).abs().max() > 1e-2 or generator[0].weight.grad.abs().max() > 500:
        return "old gradients are added to the new ones: call zero_grad before backward."


@check
def slopes(answer):
    """`answer(a)` → slopes of log(1 - sigmoid(a)) and of -log sigmoid(a)."""
    for a in (-10.0, -1.0, 2.0):
        saturating, non_saturating = call(answer, a)
        expected = -1 / (1 + math.exp(-a)), -1 / (1 + math.exp(a))
        if not differ((saturating, non_saturating), expected[::-1]):
            return "the two slopes are in the wrong order: log(1 - D) comes first."
        if not differ((saturating, non_saturating), (-expected[0], -expected[1])):
            return "the signs are wrong: raising the logit lowers both losses."
        if differ((saturating, non_saturating), expected):
            return f"at a = {a} they should be {expected[0]:.5f} and {expected[1]:.5f}."


# Lesson 03


@check
def transposed_size(answer):
    """`answer(size, kernel, stride, padding)` → size that leaves a transposed convolution."""
    for size, kernel, stride, padding in ((1, 4, 1, 0), (4, 3, 2, 1), (7, 4, 2, 1), (14, 4, 2, 1), (6, 5, 3, 2)):
        got = call(answer, size, kernel, stride, padding)
        expected = (size - 1) * stride + kernel - 2 * padding
        if got == (size + 2 * padding - kernel) // stride + 1:
            return "that is the size after an ordinary convolution; turn it round."
        if got == size * stride + kernel - 2 * padding:
            return "the last pixel's stamp is put down after size - 1 strides, not after size."
        if got != expected:
            return f"a {size} pixel input with kernel {kernel}, stride {stride}, padding {padding} gives {expected}, not {got}."


@check
def transposed_convolution(answer):
    """`answer(x, kernel, stride)` → the transposed convolution of x [H, W] with kernel [k, k], no padding."""
    rng = torch.Generator().manual_seed(0)
    for height, width, size, stride in ((3, 4, 4, 2), (2, 2, 3, 1), (3, 2, 2, 3)):
        x, kernel = torch.randn(height, width, generator=rng), torch.randn(size, size, generator=rng)
        expected = torch.nn.functional.conv_transpose2d(x[None, None], kernel[None, None], stride=stride)[0, 0]
        got = call(answer, x, kernel, stride)
        if got.shape != expected.shape:
            return f"a {height} × {width} input should give {list(expected.shape)}, not {list(got.shape)} (kernel {size}, stride {stride})."
        if not differ(got, torch.nn.functional.conv_transpose2d(x[None, None], kernel.flip(0, 1)[None, None], stride=stride)[0, 0]):
            return "the kernel is flipped: stamp it down as it is."
        if differ(got, expected):
            return "the sizes are right and the numbers are not: where stamps overlap, they should add up."


@check
def batch_norm_in_eval_mode(answer):
    """`answer(x, layer)` → what a BatchNorm2d layer makes of x [N, C, H, W] in eval mode."""
    rng = torch.Generator().manual_seed(0)
    layer = torch.nn.BatchNorm2d(3).eval().requires_grad_(False)
    for tensor in (layer.weight, layer.bias, layer.running_mean):
        tensor.copy_(torch.randn(3, generator=rng))
    layer.running_var.copy_(torch.rand(3, generator=rng) + 0.1)
    x = torch.randn(4, 3, 5, 5, generator=rng)
    got = call(answer, x, layer)
    if differ(got.shape, x.shape):
        return f"the shape should stay {list(x.shape)}, not become {list(got.shape)}: give the statistics the shape [1, C, 1, 1]."
    if not differ(got, torch.nn.functional.batch_norm(x, None, None, layer.weight, layer.bias, True), 1e-3):
        return "that uses the batch's own mean and variance, as in train mode."
    if differ(got, layer(x)):
        return "it should be (x - running_mean) / sqrt(running_var + eps) · weight + bias, channel by channel."
