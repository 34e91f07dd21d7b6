"""The exercises' self-checks. Each returns a `Verdict`, which says in one line how the answer stands, and never raises."""

import copy
import functools
import itertools
import math
import struct
from typing import NamedTuple

import torch
from torch.nn.utils import parameters_to_vector

from gan_lib import UserError, attributes, data, latent, losses, models, training
from gan_lib.studies import faults, toys


class Verdict(NamedTuple):
    """`status` is "right", "not yet" (then `reason` says why) or "not tried yet"."""

    status: str
    reason: str = ""

    def __repr__(self):
        return {
            "right": "Right.",
            "not tried yet": "Not tried yet: replace the `...` above, run that cell, and then this one again.",
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
    if result is None:
        raise UserError("your function returned None; is there a return?")
    return result


def differ(got, expected, tolerance=1e-5):
    """Whether two numbers or tensors differ, in shape or by more than `tolerance`."""
    got, expected = torch.as_tensor(got).double(), torch.as_tensor(expected).double()
    return got.shape != expected.shape or not torch.allclose(got, expected, rtol=0, atol=tolerance)


# Lesson 00


@check
def one_round_in_turn(answer):
    """`answer(x, y, h)` → x and y after y's step up the slope of x · y, and then x's step down."""
    for x, y, h in ((1.0, 0.5, 0.2), (-0.7, 2.0, 0.5)):
        got = call(answer, x, y, h)
        up, down, first = y + h * x, y - h * x, x - h * y
        for wrong, reason in (
            ((first, up), "both step at once: x should answer the y that has moved already."),
            ((first, y + h * first), "x steps first; y should, and x should answer it."),
            ((x - h * down, down), "y goes down as well: it earns what x pays, so it goes up."),
            ((x + h * up, up), "x goes up as well: it pays what y earns, so it goes down."),
            ((x + h * down, down), "both go the wrong way: x goes down the slope, and y up."),
            ((up, x - h * up), "y comes first in what you return; give x, then y."),
        ):
            if not differ(got, wrong):
                return reason
        if differ(got, (x - h * up, up)):
            return f"from ({x}, {y}) with h = {h} it should lead to ({x - h * up:.2f}, {up:.2f})."


@check
def best_discriminator(answer):
    """`answer(log_p, log_q)` → p / (p + q), from the logarithms of two densities [N]."""
    log_p, log_q = torch.tensor([-1.0, -3.0, -0.5]), torch.tensor([-2.0, -1.0, -4.0])
    got, expected = call(answer, log_p, log_q), (log_p - log_q).sigmoid()
    for wrong, reason in (
        (1 - expected, "that is q / (p + q), the share of the fakes; high should mean real."),
        (log_p - log_q, "that is its logit; D itself is a probability, sigmoid(logit)."),
        ((log_p - log_q).exp(), "p / q grows without bounds; D is a probability."),
        (log_p / (log_p + log_q), "those are shares of the logarithms; take the densities, exp(log_p)."),
        (log_p.exp(), "that is p alone; D has to compare p with q."),
        ((log_p - log_q > 0).float(), "D says how sure it is, and not only yes or no."),
    ):
        if not differ(got, wrong):
            return reason
    if differ(got, expected):
        return f"for log p = -1 and log q = -2 it should be {expected[0]:.4f}."
    if call(answer, torch.tensor([-200.0]), torch.tensor([-201.0])).isnan().any():
        return (
            "far out, both densities round to 0, and 0 / 0 is not a number: stay with the logarithms, and use sigmoid."
        )


@check
def modes_and_share(answer):
    """`answer(samples, centres, sigma)` → how many modes have a good sample, and the share of samples that are good."""
    world, at = toys.ring(), [0, 0, 3, 3, 5, 6, 7, 2, 2, 2]
    far = [
        [0, 0],
        [2.5, 0],
        [1.6, 0],
        [0, 2.9],
        [3.5, 0],
        [20, 0],
        [2.5, 2.5],
        [0.5, 0],
        [0.2, 0],
        [0, 1.5],
    ]  # in sigmas
    samples = world.centres[at] + world.sigma * torch.tensor(far)
    distance, mode = torch.cdist(samples, world.centres).min(1)
    expected = toys.captured_modes(world, samples), toys.share_of_good_samples(world, samples)
    modes, share = call(answer, samples.clone(), world.centres.clone(), world.sigma)
    boxed = ((samples - world.centres[mode]).abs() <= 3 * world.sigma).all(1)
    near = distance <= world.sigma
    for wrong, reason in (
        (mode.unique().numel(), "a sample counts for its mode only if it is good; you count all of them."),
        (
            (distance <= 3 * world.sigma).sum().item(),
            "that is how many samples are good; count each of the modes once.",
        ),
        (mode[boxed].unique().numel(), "the distance is sqrt(dx² + dy²): a corner of the square is too far away."),
        (mode[near].unique().numel(), "within *three* standard deviations, not one."),
    ):
        if modes == wrong != expected[0]:
            return reason
    if differ(modes, expected[0]):
        return f"the good ones among {len(at)} samples lie at {expected[0]} modes, not at {modes}."
    if not differ(share, expected[1] * len(samples)):
        return "the second should be a share: divide by the number of samples."
    if not differ(share, expected[0] / len(world.centres)):
        return "the second is the share of the *modes*; it should be that of the samples."
    if differ(share, expected[1], 1e-4):
        good = round(len(at) * expected[1])
        return f"{good} of {len(at)} samples are good, so the share is {expected[1]}, not {float(share):.3f}."


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
                return (
                    f"ten pictures should be float [10, 1, 28, 28], not {x.dtype} {list(x.shape)}: see data.to_range."
                )
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
        if not all(
            torch.isfinite(torch.as_tensor(loss)) for loss in answer(torch.tensor([-200.0]), torch.tensor([200.0]))
        ):
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
    ours = copy.deepcopy(generator)
    our_optimizer = torch.optim.Adam(ours.parameters(), 1e-3)
    our_loss = losses.non_saturating_g(None, discriminator(ours(z)))
    our_loss.backward()
    our_optimizer.step()
    discriminator.zero_grad()
    g_loss = call(answer, generator, discriminator, g_optimizer, z)
    moved = {name: not torch.equal(parameters_to_vector(net.parameters()), before[name]) for name, net in parts.items()}
    if moved["D"]:
        return "D moved. Only G's optimiser may step here."
    if not moved["G"]:
        return "G did not move. Is there a detach, or a missing backward or step?"
    if discriminator(generator(z)).mean() < d_before:
        return "G moved the wrong way: D calls its fakes real less than before. Which label does G want for them?"
    if differ(parameters_to_vector(generator.parameters()), parameters_to_vector(ours.parameters())):
        return "G moved, but not as one step on -log D(G(z)) moves it: label 1 for all of these fakes, and nothing negated."
    if not isinstance(g_loss, torch.Tensor | float) or differ(torch.as_tensor(g_loss).detach(), our_loss.detach()):
        return "the step should return g_loss."
    first = parameters_to_vector(generator.parameters()).clone()
    for p in generator.parameters():
        p.grad = torch.full_like(p, 1e3)
    call(answer, generator, discriminator, g_optimizer, z)
    if (parameters_to_vector(generator.parameters()) - first).abs().max() > 1e-2 or generator[
        0
    ].weight.grad.abs().max() > 500:
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
            sizes = f"{list(expected.shape)}, not {list(got.shape)} (kernel {size}, stride {stride})"
            return f"a {height} × {width} input should give {sizes}."
        if not differ(
            got, torch.nn.functional.conv_transpose2d(x[None, None], kernel.flip(0, 1)[None, None], stride=stride)[0, 0]
        ):
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


# Lesson 04


@check
def log_spaced(answer):
    """`answer(first, last, n)` → n whole numbers, each the same factor times the one before."""
    for first, last, n in ((1, 1000, 4), (10, 5120, 10), (10, 1000, 5), (3, 3000, 13)):
        got = list(call(answer, first, last, n))
        exact = [first * (last / first) ** (i / (n - 1)) for i in range(n)]
        if len(got) != n:
            return f"for ({first}, {last}, {n}) it gives {len(got)} moments, not {n}."
        if not differ(got, [first + (last - first) * i / (n - 1) for i in range(n)], 1):
            return "the moments are the same distance apart; they should be the same factor apart."
        if not differ(got, exact, 1e-6) and any(step != round(step) for step in got):
            return "steps are whole numbers: round them."
        if differ(got, [round(step) for step in exact]):
            return f"for ({first}, {last}, {n}) it should be {[round(step) for step in exact]}, not {got}."


@check
def moving_average(answer):
    """`answer(weights, ema)` → the average that `training.update_average` ends with; weights are tensors in time."""
    rng = torch.Generator().manual_seed(0)
    net, weights = torch.nn.Linear(3, 1, bias=False), [torch.randn(1, 3, generator=rng) for _ in range(31)]
    for ema in (0.999, 0.6):
        net.load_state_dict({"weight": weights[0]})
        game = training.Game(net, torch.nn.Linear(1, 1), latent_dim=3, ema=ema)
        for now in weights[1:]:
            net.load_state_dict({"weight": now})
            training.update_average(game)
            game.step += 1
        got = call(answer, [w.clone() for w in weights], ema)
        if not differ(got, game.average.weight):
            continue
        constant, swapped = weights[0], weights[0]
        for step, now in enumerate(weights[1:]):
            constant = torch.lerp(now, constant, ema)
            swapped = torch.lerp(swapped, now, min(ema, (1 + step) / (10 + step)))
        if not differ(got, torch.stack(weights).mean(0)):
            return "that is the plain mean, in which the noise of the first steps never fades."
        if not differ(got, constant):
            return "the decay is `ema` from the start; it should be min(ema, (1 + s) / (10 + s))."
        if not differ(got, swapped):
            return "the two shares are swapped: the *old average* gets the share `decay`."
        return f"with ema {ema} it differs from the library's. Is s = 0 at first, and `weights[0]` the start?"


@check
def pixel_gradient(answer):
    """`answer(discriminator, images)` → the gradient of each logit with respect to its image's pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        discriminator, images = models.mlp_discriminator(16), torch.rand(4, 1, 28, 28) * 2 - 1
    leaf = images.clone().requires_grad_(True)
    logits = discriminator(leaf)
    expected = torch.autograd.grad(logits.sum(), leaf, retain_graph=True)[0]
    of_probability = torch.autograd.grad(logits.sigmoid().sum(), leaf)[0]
    got = answer(discriminator, images.clone())
    if got is ...:
        raise NotTried
    if got is None:
        return "it is None: do the images require a gradient, and are they the ones that D saw?"
    if differ(got.shape, images.shape):
        return f"its shape should be {list(images.shape)}, like the images', not {list(got.shape)}."
    if not differ(got, expected / 4, 1e-7):
        return "it is a quarter of what it should be, for four images: that is the gradient of the mean. Use the sum."
    if not differ(got, of_probability, 1e-7):
        return "that is the gradient of D(x), the probability. Leave the sigmoid out."
    if not differ(got, expected.abs(), 1e-7):
        return "the signs are gone; more ink and less ink are different wishes."
    if differ(got, expected, 1e-7):
        return "the numbers are off: it should be torch.autograd.grad(discriminator(images).sum(), images)[0]."


# Lesson 05


@check
def walk_on_the_sphere(answer):
    """`answer(a, b, t)` → the point that has gone the share t from a to b along the sphere."""
    a, b = torch.randn(2, 64, generator=torch.Generator().manual_seed(0)) * torch.tensor([[0.9], [1.1]])
    for t in (0.0, 0.2, 0.5, 0.9):
        got, straight = call(answer, a, b, t), latent.lerp(a, b, t)
        if differ(got.shape, a.shape):
            return f"the point should have the shape {list(a.shape)}, not {list(got.shape)}."
        if got.isnan().any():
            return "it is not a number: the cosine of the angle is a·b / (|a| |b|), and no more than 1."
        if not differ(got, latent.slerp(b, a, t), 1e-3) and t != 0.5:
            return "it goes from b to a: t = 0 should give a, and t = 1 should give b."
        if not differ(got, straight, 1e-3) and t == 0.2:
            return "that is the straight line, which cuts through the inside of the shell."
        if t == 0.2 and torch.cosine_similarity(got, straight, 0) > 0.9999:
            return "that is the straight line, pushed out to the shell: it turns fastest in the middle. Weigh a and b by sines."
        if torch.cosine_similarity(got, latent.slerp(a, b, t), 0) > 0.9999 and differ(got, latent.slerp(a, b, t), 1e-3):
            return "the way is right and the length is not: divide by sin ω."
        if differ(got, latent.slerp(a, b, t), 1e-3):
            return f"at t = {t} the point is off: it should be (sin((1 - t) ω) a + sin(t ω) b) / sin ω."


@check
def slant_in_degrees(answer):
    """`answer(images)` → slant [N] in degrees."""
    leans = torch.tensor([-30.0, 0.0, 10.0, 25.0])
    y, x = torch.arange(28.0).view(1, 28, 1) - 13.5, torch.arange(28.0) - 13.5
    across = (x + torch.deg2rad(leans).tan().view(-1, 1, 1) * y).abs()
    half = torch.tensor([2.5, 2.5, 2.5, 8.5]).view(-1, 1, 1)  # a fat one: its longest axis is not its slant
    bars = ((half - across).clamp(0, 1) * (y.abs() < 10) * 2 - 1).unsqueeze(1)
    got = call(answer, bars)
    if differ(got.shape, leans.shape):
        return f"it should be a number for each image, [{len(bars)}], not {list(got.shape)}."
    if not differ(got, torch.deg2rad(leans), 0.02):
        return "that is in radians; the answer should be in degrees."
    if not differ(got.abs(), torch.deg2rad(leans).tan().abs(), 0.02):
        return "that is the slope, the tangent of the angle; the arctangent makes an angle of it."
    if not differ(got, -leans, 1.0):
        return "the sign is wrong: to the right is positive, and y points down."
    var_x, _, cov = attributes.moments(bars)
    if not differ(got.abs(), torch.rad2deg(torch.atan(cov / var_x)).abs(), 0.1):
        return "you divide by the variance of x: x follows y, so the slope is cov / var(y)."
    if differ(got, leans, 1.0):
        return f"bars drawn with the slants {leans.tolist()} measure {[round(each, 1) for each in got.tolist()]}."


@check
def direction_by_least_squares(answer):
    """`answer(z, values)` → the unit vector [d] of the weights in values ≈ w · z + c."""
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(200, 5, generator=rng) @ torch.randn(5, 5, generator=rng) + 0.5
    direction = torch.tensor([0.6, 0.0, -0.8, 0.0, 0.0])
    values = 3 * z @ direction + 20
    got = call(answer, z, values)
    if got.numel() == 6:
        return "it has 6 numbers for 5 coordinates: leave out the weight of the column of ones, c."
    if differ(got.shape, direction.shape):
        return f"its shape should be [5], like a z, not {list(got.shape)}."
    if not differ(got, 3 * direction, 0.01):
        return "its length is 3: divide by the length, for a direction has the length 1."
    if not differ(got, -direction, 0.01):
        return "it points the wrong way: along it, the values fall."
    through_origin = torch.linalg.lstsq(z, values[:, None]).solution[:, 0]
    if torch.cosine_similarity(got, through_origin, 0) > 0.9999:
        return "the line is forced through the origin: add a column of ones to z, for the constant c."
    if differ(got, direction, 0.01):
        return f"for values that grow along [0.6, 0, -0.8, 0, 0] it gives {[round(each, 2) for each in got.tolist()]}."


# Lesson 06


@check
def bell_to_bell(answer):
    """`answer(a, b)` → (mean a - mean b)² + (std a - std b)², for values a [N] and b [M]."""
    rng = torch.Generator().manual_seed(0)
    a, b = 2 + 3 * torch.randn(4000, generator=rng), 5 + torch.randn(5000, generator=rng)
    mean, std, variance = ((f(a) - f(b)).item() for f in (torch.mean, torch.std, torch.var))
    got, expected = torch.as_tensor(call(answer, a, b)), mean**2 + std**2
    if got.numel() != 1:
        return f"it should be one number for the two piles, not {got.numel()}."
    for wrong, reason in (
        (mean**2, "that compares the means alone; a pile that is too narrow should pay, too."),
        (abs(mean) + abs(std), "square each gap before you add them: it is the mean of the *squared* moves."),
        ((mean + std) ** 2, "square each gap by itself: the term with a single t has mean 0."),
        (math.sqrt(expected), "that is the root of it; leave the square."),
        (mean**2 + variance**2, "the second gap is that of the standard deviations; you took the variances."),
        (mean**2 + variance, "(s_a - s_b)² is not s_a² - s_b²: take the gap first, then square it."),
        (mean**2 + (a.var() + b.var()).item(), "each value keeps its place in the order, so the spreads subtract."),
    ):
        if not differ(got.reshape(()), wrong, 0.02):
            return reason
    if differ(got.reshape(()), expected, 0.02):
        apart = f"means {abs(mean):.2f} and standard deviations {abs(std):.2f} apart"
        return f"for {apart} it gives {got.item():.2f}, not {expected:.2f}."


@check
def coverage_from_distances(answer):
    """`answer(distances, radii)` → the share of the rows of distances [N, M] with an entry below the row's radius."""
    rng = torch.Generator().manual_seed(0)
    distances, radii = torch.rand(40, 25, generator=rng), 0.08 * torch.rand(40, generator=rng)
    inside = distances < radii.unsqueeze(1)
    share = inside.any(1).double().mean()
    got = torch.as_tensor(call(answer, distances.clone(), radii.clone())).double()
    if got.numel() != 1:
        return f"it should be one share for the pile, not {got.numel()} numbers."
    for wrong, reason in (
        (inside.any(0).double().mean(), "that is the share of the *fakes* that lie in a ball: precision. Count balls."),
        (inside.any(1).sum(), "that is how many balls hold a fake; a share is the mean."),
        (inside.double().mean(), "that is the share of all pairs; a ball counts once, for one fake or for ten."),
        (1 - share, "that is the share of the balls that are empty."),
        ((distances.mean(1) < radii).double().mean(), "the *nearest* fake decides, not the mean of all."),
    ):
        if not differ(got.reshape(()), wrong):
            return reason
    if differ(got.reshape(()), share):
        return f"where {inside.any(1).sum()} of 40 balls hold a fake, it gives {got.item():.2f}, not {share:.2f}."


@check
def four_piles(answer):
    """Who made each pile, {letter: name}."""
    piles = {"A": "collapsed", "B": "honest", "C": "real", "D": "memoriser"}
    if not isinstance(answer, dict) or set(answer) != set(piles):
        return 'it should be a dictionary with the letters A, B, C and D: {"A": "real", ...}.'
    if sorted(map(str, answer.values())) != sorted(piles.values()):
        return f"each of the names {', '.join(sorted(piles.values()))} belongs to one letter."
    said = {name: letter for letter, name in answer.items()}
    if answer["D"] != "memoriser":
        return f"{said['memoriser']} is no copier: it keeps as far from the training digits as test digits do. Copies lie near."
    if answer["A"] != "collapsed":
        return (
            f"{said['collapsed']} does not draw too little: it covers most of the real balls. Whose are mostly empty?"
        )
    if answer != piles:
        return "real and honest are swapped: real digits lie at the floor, whatever your eye says."


# Lesson 07


@check
def largest_stretch(answer):
    """`answer(weight, rounds)` → the largest singular value of weight [m, n], by power iteration."""
    rng = torch.Generator().manual_seed(0)
    for m, n in ((3, 5), (6, 2)):
        weight = torch.randn(m, n, generator=rng)
        got, expected = call(answer, weight, 100), torch.linalg.matrix_norm(weight, 2)
        if not math.isfinite(float(got)):
            return "after a hundred rounds it is too large to be a number: bring v to length 1 in each."
        for wrong, reason in (
            (expected**2, "that is its square, the stretch of a whole round there and back."),
            (weight.norm(), "that is the root of the sum of all squares; it counts every direction, not only the one."),
            ((weight @ torch.ones(n)).norm(), "that is how long W makes the first v: nothing was iterated."),
            (torch.linalg.svdvals(weight)[-1], "that is the direction that is stretched least."),
        ):
            if not differ(got, wrong, 1e-3):
                return reason
        if differ(got, expected, 1e-3):
            return f"for a weight [{m}, {n}] it gives {float(got):.3f}, not {expected:.3f}."
        if not differ(call(answer, weight, 1), expected, 1e-4):
            return "one round can't be exact: is `rounds` used?"


@check
def r1_by_hand(answer):
    """`answer(discriminator, real)` → R1 of a discriminator at images [N, 1, 28, 28], with a gradient to its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        discriminator, real = models.plain_discriminator(4), torch.randn(5, 1, 28, 28)
    got, n = torch.as_tensor(call(answer, discriminator, real.clone())), len(real)
    slopes = losses.slopes(discriminator, real).detach()
    value, expected = got.item(), slopes.square().sum(1).mean().item()
    for wrong, reason in (
        (slopes.norm(dim=1).mean(), "that is the mean length; R1 takes the square of it."),
        (slopes.square().mean(), "that is the mean over pixels too; a squared length is a sum over pixels."),
        (n * expected, "that is the sum over the images; R1 is their mean."),
        (expected / n**2, "that is the slope of the mean logit; each image's own is the slope of the sum."),
        (expected / 2, "the half belongs to γ/2, and the penalty itself has none."),
    ):
        if math.isclose(value, wrong, rel_tol=1e-3):
            return reason
    if not math.isclose(value, expected, rel_tol=1e-3):
        return f"it gives {value:.3g}, not {expected:.3g}."
    if not got.requires_grad:
        return "the number is right, and no trail leads back to D's weights: create_graph=True."


MARKS = {  # what the curves and samples of a fault look like
    "range": "D has a lead from the start and never loses it, and G's digits are blurs on grey",
    "no detach": "D is sure within some dozens of iterations, and g_loss climbs or swings",
    "learning rate": "d_loss climbs far beyond 3",
    "swapped labels": "D(G(z)) lies above D(x)",
    "sigmoid twice": "D(x) and D(G(z)) stay between 0.50 and 0.73",
    "discriminator too strong": "D is sure within some dozens of iterations, and g_loss is level",
}


def against(fault, run):
    """A fault, or "healthy", that a `clinic.Patient` does not have, and why it is another."""
    if fault in MARKS:
        return f"{fault}: there {MARKS[fault]}"
    return f"{fault}: look again, for {faults.diagnose(run.records, run.game, run.images).sign}"


@check
def blind_runs(answer):
    """What the three `clinic.patients()` have, a list of names."""
    names = [faults.HEALTHY, *faults.FAULTS]
    if not isinstance(answer, list | tuple) or len(answer) != 3:
        return "it should be a list of three names, one for each run."
    if ... in answer:
        raise NotTried
    for name in answer:
        if name not in names:
            return f"{name!r} is none of the names: {', '.join(names)}."
    for which, said, true, run in zip(
        ("first", "second", "third"), answer, faults.answers(), faults.patients(), strict=True
    ):
        if said != true:
            return f"the {which} run is not {against(said, run)}."


# Lesson 08


@check
def label_beside_pixels(answer):
    """`answer(images, labels)` → [N, 794]: the pixels of images [N, 1, 28, 28], and then the label as a one-hot vector."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        images, labels = torch.rand(4, 1, 28, 28) * 2 - 1, torch.tensor([7, 0, 9, 7])
    got = torch.as_tensor(call(answer, images, labels))
    pixels, hot = images.flatten(1), torch.eye(10)[labels]
    if got.shape == (4, 785):
        return "one number says which digit as if 7 were more than 0: make ten numbers of it, one of which is 1."
    if got.shape == (8, 794) or got.shape != (4, 794):
        return f"for 4 images its shape is {list(got.shape)}, not [4, 794]."
    if got.equal(torch.cat([hot, pixels], 1)):
        return "the label stands before the pixels; put it behind them."
    if not got[:, :784].equal(pixels):
        return "the first 784 numbers of a row are not the pixels of its image."
    if not got[:, 784:].equal(hot):
        wrong = got[:, 784:].float().argmax(1).tolist()
        return f"for the labels {labels.tolist()} the 1 stands at {wrong}."


@check
def projection_logit(answer):
    """`answer(f, labels, w, b, v)` → f · w + b + f · v_label of features f [N, d], for one vector v [10, d] a class: [N]."""
    rng = torch.Generator().manual_seed(0)
    f, w, v = (torch.randn(*shape, generator=rng) for shape in ((4, 6), (6,), (10, 6)))
    b, labels = 0.7, torch.tensor([7, 0, 9, 7])
    got, plain, fit = torch.as_tensor(call(answer, f, labels, w, b, v)), f @ w + b, (v[labels] * f).sum(1)
    if got.shape == (4, 4):
        return "f @ v[labels].T holds each image with the label of every other one; multiply row by row, and sum."
    if got.shape == (4, 10):
        return "it has a number for each class; of those only the one of the image's own label is wanted."
    if got.shape != (4,):
        return f"for 4 images its shape is {list(got.shape)}, not [4]."
    for wrong, reason in (
        (plain, "the label changes nothing: add v[labels] · f."),
        (fit, "f · w + b is missing: it says whether the image looks real, whatever it shows."),
        (f @ w + fit, "b is missing."),
        (plain + (v[labels] * f).mean(1), "a product of two vectors is a sum over the features, not their mean."),
        (plain + v[labels].sum(1), "the class vector has to meet the features: multiply it with f before the sum."),
    ):
        if torch.allclose(got, wrong, atol=1e-4):
            return reason
    if not torch.allclose(got, plain + fit, atol=1e-4):
        return f"for the first image it gives {got[0]:.3f}, not {(plain + fit)[0]:.3f}."


@check
def class_by_latent(answer):
    """`answer(z)` → z [10 R, d] and labels [10 R] of a grid, row by row: R points z [R, d], each with the labels 0 to 9."""
    z = torch.arange(12.0).view(3, 4)
    got = call(answer, z.clone())
    if not isinstance(got, tuple | list) or len(got) != 2:
        return "it should return two tensors: z, and labels."
    points, labels = map(torch.as_tensor, got)
    if points.shape != (30, 4) or labels.shape != (30,):
        return f"for 3 points their shapes are {list(points.shape)} and {list(labels.shape)}, not [30, 4] and [30]."
    if labels.is_floating_point():
        return "labels are whole numbers: torch.arange(10), without a point."
    which, rows, columns = points[:, 0] / 4, torch.arange(30) // 10, torch.arange(30) % 10
    if which.equal((torch.arange(30) % 3).float()) and labels.equal(columns):
        return "z takes turns with every image, so a row is of three hands: repeat_interleave keeps each z for ten in a row."
    if which.equal(rows.float()) and labels.equal(rows.new_tensor(range(30)) // 3):
        return (
            "the labels change with every third image; in a row they should go from 0 to 9: repeat the whole of them."
        )
    if which.equal((torch.arange(30) % 3).float()) and labels.equal(torch.arange(30) // 3):
        return "that is a grid with a row for each digit; a row should be one z."
    if not (which.equal(rows.float()) and labels.equal(columns)):
        return f"the first row has the z {which[:10].int().tolist()} and the labels {labels[:10].tolist()}."


# Lesson 09


@check
def upright_shifts(answer):
    """`answer(image)` → how far to move each row of an image [1, 28, 28] to the right, in pixels [28], to bring it upright."""
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    for lean, top, left in ((0.5, 3, 16), (-0.3, 6, 9)):  # strokes that end in a foot
        stroke = ((x + lean * (y - top) - left).abs() < 1.5) & (y >= top) & (y < 22)
        image = ((stroke | ((y >= 20) & (y < 22) & (x >= 5) & (x < 15))).float() * 2 - 1).unsqueeze(0)
        var_x, var_y, cov = (each.item() for each in attributes.moments(image.unsqueeze(0)))
        ink, rows = (image[0] + 1).sum(1), torch.arange(28.0)
        centre = ((ink * rows).sum() / ink.sum()).item()
        slope, expected = cov / var_y, -cov / var_y * (rows - centre)
        got = torch.as_tensor(call(answer, image.clone())).float()
        if got.shape != (28,):
            return f"there are 28 rows to move, and it gives the shape {list(got.shape)}."
        if not differ(got, expected, 1e-2):
            continue
        for wrong, reason in (
            (-expected, "so the digit leans twice as much: turn the sign."),
            (-slope * rows, "so the digit leaves its place: count y from the centre of the ink, where nothing moves."),
            (-slope * (rows - 13.5), "13.5 is the middle of the picture; count y from the centre of the ink."),
            (-cov / var_x * (rows - centre), "the slope is how far x goes for each y: divide by the variance of y."),
            (-cov * (rows - centre), "that is the covariance; divide it by the variance of y."),
            (-math.atan(slope) * (rows - centre), "an angle is no slope: for each row down x goes by cov / var(y)."),
            (-math.degrees(math.atan(slope)) * (rows - centre), "those are degrees; a row moves by pixels."),
        ):
            if not differ(got, wrong, 1e-3):
                return reason
        return f"it moves the top row by {got[0].item():.2f} pixels; it should be {expected[0].item():.2f}."


@check
def half_a_batch(answer):
    """`answer(real, fake, n)` → n images and their labels, half of them from either `data.Digits`, drawn at random."""
    shades, n = torch.arange(200, dtype=torch.uint8), 40  # an image's shade tells which it is
    labels = (7 * shades.long()) % 10
    images = shades.view(-1, 1, 1).expand(-1, 28, 28)
    real, fake = (data.Digits(images[part], labels[part]) for part in (slice(120), slice(120, 200)))
    batches = [call(answer, real, fake, n) for _ in range(20)]
    for got, told in batches:
        if got.shape != (n, 28, 28) or told.shape != (n,):
            return f"a batch of {n} is images [{n}, 28, 28] and labels [{n}], not {list(got.shape)} and {list(told.shape)}."
        places = got[:, 0, 0].long()
        if differ(told, labels[places]):
            return "labels and images don't belong together: draw the places once, and take both from there."
        made = (places >= 120).sum().item()
        if made != n // 2:
            return f"of {n} images {n // 2} should be generated, and {made} are."
    if batches[0][0].equal(batches[1][0]):
        return "it gives the same digits each time; draw them at random."
    if torch.cat([got[:, 0, 0] for got, _ in batches]).unique().numel() < 150:
        return "some digits are never drawn: draw from all that a source has."


# Lesson 10


@check
def log_uniform(answer):
    """`answer(n, low, high)` → n rates between low and high [n], as likely in each decade."""
    got = torch.as_tensor(call(answer, 4000, 1e-4, 1e-1)).double()
    if got.shape != (4000,):
        return f"for n = 4000 its shape is {list(got.shape)}, not [4000]."
    if not ((got >= 1e-4 * (1 - 1e-6)) & (got <= 1e-1 * (1 + 1e-6))).all():  # nor are they nan
        return f"asked for 1e-4 to 1e-1, it gives {got.min():.1e} to {got.max():.1e}."
    place = (got / 1e-4).log() / math.log(1e3)  # in [0, 1], and even where it is right
    even = (torch.arange(4000) + 0.5) / 4000
    if (got < 1e-2).double().mean() < 0.2:
        return "nine in ten are above 1e-2, and the two decades below get the rest: draw the logarithm evenly."
    if (place.sort().values - even).abs().max() > 0.05:
        return f"a third should lie below 1e-3, and {(got < 1e-3).double().mean():.0%} do: draw the logarithm evenly."
    if torch.equal(torch.as_tensor(call(answer, 9, 1e-4, 1e-1)), torch.as_tensor(call(answer, 9, 1e-4, 1e-1))):
        return "it gives the same numbers at each call: draw them at random."


@check
def share_explained(answer):
    """`answer(values, groups)` → the share of the variance of the values [N] that their groups' means explain."""
    values, groups = torch.tensor([1.0, 2.0, 3.0, 7.0, 9.0, 2.0, 5.0, 5.0]), ["a", "a", "a", "b", "b", "a", "c", "c"]
    means = {"a": 2.0, "b": 8.0, "c": 5.0}
    of_each = torch.tensor([means[group] for group in groups])
    whole = (values - values.mean()).square().mean()
    expected = ((of_each - values.mean()).square().mean() / whole).item()
    thrice = torch.tensor(list(means.values()))
    got = call(answer, values, list(groups))
    for wrong, reason in (
        (1 - expected, "that is the share within the groups, which the means do not explain."),
        (expected * whole, "that is a variance; divide it by the variance of all values."),
        (math.sqrt(expected), "that is its root; a share of the variance has no root."),
        (thrice.var(correction=0) / whole, "a large group counts more than a small one: take the mean of each value's group."),
        (of_each.var() / whole, "one variance is divided by N and the other by N - 1: take the same for both."),
    ):  # fmt: skip
        if not differ(got, wrong, 1e-4):
            return reason
    if differ(got, expected, 1e-4):
        return f"it gives {float(got):.3f} where it should be {expected:.3f}."


@check
def luck_of_the_best(answer):
    """`answer(n, sigma)` → how far below the truth the best of n equally good settings scores, on average."""
    for n, sigma, of_one in ((10, 1.0, 1.5388), (10, 3.0, 1.5388), (100, 3.0, 2.5076), (1, 2.0, 0.0)):
        got, expected = float(call(answer, n, sigma)), sigma * of_one
        if not differ(got, expected, 0.08 * sigma):
            continue
        for wrong, reason in (
            (-expected, "how far below is a distance, and not negative: turn the sign."),
            (of_one, "twice the noise is twice the luck: multiply by sigma."),
            (sigma / math.sqrt(n), "that is the noise of the mean of n; this is about the smallest of n."),
            (sigma * math.sqrt(2 * math.log(n)), "that holds for endless n only; draw n scores many times, and look."),
        ):
            if not differ(got, wrong, 0.08 * sigma):
                return reason
        return f"for n = {n} and sigma = {sigma:g} it gives {got:.2f}, and it should be about {expected:.2f}."


@check
def relabelled(answer):
    """`answer(a, b)` → of all ways to deal the values out again, the share whose means differ at least as much."""
    for a, b in (([1.0, 2.0, 4.0, 3.5], [2.5, 5.0, 7.0, 6.0]), ([8.0, 3.0, 9.0], [1.0, 2.0, 4.0])):
        pool, n = [*a, *b], len(a)
        dealt = [(sum(each), sum(pool) - sum(each)) for each in itertools.combinations(pool, n)]
        gaps = [one / n - two / len(b) for one, two in dealt]
        seen, count = gaps[0], len(gaps)
        expected = sum(abs(gap) >= abs(seen) - 1e-9 for gap in gaps) / count
        got = call(answer, list(a), list(b))
        for wrong, reason in (
            (sum(gap <= seen + 1e-9 for gap in gaps) / count, "that is one side: a gap as large the other way counts too."),
            (sum(gap >= seen - 1e-9 for gap in gaps) / count, "that is one side: a gap as large the other way counts too."),
            (sum(abs(gap) > abs(seen) + 1e-9 for gap in gaps) / count, "the gap that you have counts too: at least as large."),
            (1 - expected, "that is the share of the smaller gaps."),
            (expected * count, "that is how many; take their share of all ways."),
        ):  # fmt: skip
            if not differ(got, wrong) and differ(wrong, expected):
                return reason
        if differ(got, expected):
            return f"for {a} and {b} it gives {float(got):.3f}, and it should be {expected:.3f}."


# Lesson 11


@check
def products(answer):
    """`answer(n, widths)` → multiplications of a forward and a backward pass through linear layers."""
    for n, widths in ((1, [3, 5]), (100, [784, 256, 256, 1]), (7, [64, 2, 9])):
        layers = [a * b for a, b in itertools.pairwise(widths)]
        got, expected = call(answer, n, widths), n * (3 * sum(layers) - layers[0])
        for wrong, reason in (
            (n * sum(layers), "that is the forward pass alone."),
            (
                2 * n * sum(layers),
                "backward there are two products for a layer, not one; only the first layer has one.",
            ),
            (3 * n * sum(layers), "the first layer's input is the images, and they need no gradient."),
            (
                n * (3 * sum(layers) - layers[-1]),
                "it is the first layer, not the last, that has nobody to hand down to.",
            ),
            (expected / n, "that is for one image, and there are n."),
        ):
            if got == wrong != expected:
                return reason
        if got != expected:
            return f"for n = {n} and widths {widths} it gives {got}, not {expected}."


@check
def amdahl(answer):
    """`answer(share, factor)` → how many times as fast the whole is, when a share of it is `factor` times as fast."""
    for share, factor in ((0.5, 2.0), (0.3, 10.0), (1.0, 4.0), (0.0, 4.0)):
        got, expected = call(answer, share, factor), 1 / (1 - share + share / factor)
        if not differ(got, 1 / expected) and differ(got, expected):
            return "that is the time that is left; how many times as fast is the whole then?"
        if not differ(got, share * factor) and differ(got, expected):
            return "the rest of the program takes its time as before; add the two times first."
        if differ(got, expected):
            return (
                f"with a share of {share} made {factor:g} times as fast, it gives {float(got):.3f}, not {expected:.3f}."
            )


@check
def smallest_step(answer):
    """`answer(kind)` → the smallest power of two x with 1 + x ≠ 1 in the dtype `kind`."""
    for kind in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
        got, expected = float(call(answer, kind)), torch.finfo(kind).eps
        if got == expected / 2:
            return f"in {kind}, 1 + {got:g} is 1 again: go back by one."
        if got == torch.finfo(kind).tiny:
            return "that is the smallest number near 0. Near 1 the numbers lie much farther apart."
        if got != expected:
            return f"in {kind} it gives {got:g}; 1 + {expected:g} is not 1, and with half of that it is."
