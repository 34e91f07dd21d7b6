"""The playground: generators with sliders in one HTML file, which opens by a double click. No kernel, no network.

What is computed here, once: each net as a short list of layers, the directions of the sliders, the digits to draw after.
What is computed in the browser: everything else, in page_nets.js and page.js. Lesson 05.
"""

import base64
import json
import math
import re
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from gan_lib import UserError, checkpoint, data, latent, models, recipes
from gan_lib.attributes import ATTRIBUTES
from gan_lib.files import manifest, write_atomically

SLIDERS = {name: ATTRIBUTES[name] for name in ("slant", "thickness", "width", "height")}
MOMENTS = 9  # of a run, at most: each has its own weights in the file, and 9 pictures fit under a slider


class Moment(NamedTuple):
    """A generator as it was after some step, and its discriminator, where they are known."""

    step: int | None
    sampler: models.Sampler
    discriminator: nn.Module | None
    dataset: str = "mnist"


def write(path, sources=(), bits=12):
    """Write the page with a generator for each of `sources` (by default every pretrained one). Returns its size in bytes.

    A source is a pretrained recipe's name, a checkpoint file or the folder of a run; a folder gives up to `MOMENTS` of its
    checkpoints. A weight takes `bits` bits, up to 16. Raises `UserError` in one sentence where a source or a layer is none
    that the page can take.
    """
    sources = sources or [name for name in reversed(recipes.RECIPES) if name in manifest()]
    generators = {}
    for source in sources:
        name, moments = read_source(source)
        if name in generators:
            raise UserError(f"Two of the generators are called {name}: give one of them, or rename its folder.")
        generators[name] = generator(moments, bits)
    content = page(generators).encode()
    write_atomically(path, content)
    return len(content)


def read_source(source):
    """The name of a source, and its `Moment`s in the order of their steps."""
    paths = checkpoint.files_of(source)
    if not paths:
        return source, [Moment(None, recipes.pretrained(source), None)]
    if not Path(source).is_dir():
        saved = checkpoint.read(paths[0])
        return f"{saved.recipe.name} at step {saved.header['step']}", [moment(saved)]
    chosen = sorted({round(i * (len(paths) - 1) / (MOMENTS - 1)) for i in range(MOMENTS)})
    return Path(source).resolve().name, [moment(checkpoint.read(paths[i])) for i in chosen]


def moment(saved):
    """The `Moment` in a `checkpoint.Checkpoint`."""
    game = saved.game()
    return Moment(game.step, game.sampler(), game.discriminator.eval(), saved.header["notes"].get("data", "mnist"))


def generator(moments, bits=12):
    """What the page is told of a generator: its moments, and the directions of the last, along which the sliders go."""
    last = moments[-1].sampler
    attributes = dict(list(SLIDERS.items())[: last.latent_dim])  # more can't be at right angles
    found = latent.orthogonal(latent.find_directions(last, attributes))
    directions = [{"name": d.name, "vector": rounded(d.vector)} for d in found]
    about = {
        "latent_dim": last.latent_dim,
        "classes": last.classes,
        "truncation": last.truncation,
        "directions": directions,
    }
    return about | {"moments": [told(m, bits) for m in moments]}


@torch.no_grad()
def told(moment, bits=12, n=200):
    """What the page is told of a moment; of a discriminator also its logits of n real images, and of n of its rival's.

    Of a generator that is told labels: the layers for label 0, and the "biases" of the first of them for each label.
    """
    sampler = moment.sampler
    asked = [sampler.of(label) for label in range(sampler.classes)] or [sampler]
    nets = [layers(each.generator, (sampler.latent_dim,)) for each in asked]
    about = {"step": moment.step, "layers": packed(nets[0], bits)}
    if sampler.classes:  # these nets differ in the bias of their first layer alone
        about["biases"] = [encoded(steps[0]["bias"]) for steps in nets]
    elif moment.discriminator is not None:
        real = data.to_range(data.load(moment.dataset, train=False).images[:n])
        piles = {"real": real, "fake": moment.sampler.sample(n)}
        logits = {name: rounded(moment.discriminator(images).sort().values) for name, images in piles.items()}
        about["discriminator"] = {"layers": packed(layers(moment.discriminator, (1, 28, 28)), bits), **logits}
    return about


def rounded(values):
    """A tensor of numbers as a list, four decimals each."""
    return [round(value, 4) for value in values.tolist()]


def page(generators):
    """The page as text. `generators` maps names to what `generator` returns."""
    digits = data.load(train=False)
    examples = torch.stack([digits.images[digits.labels == label][0] for label in range(10)])  # uint8 [10, 28, 28]
    facts = json.dumps({"generators": generators, "digits": encoded(examples)}, separators=(",", ":"))
    facts = facts.replace("<", "\\u003c")  # no name in them can end the <script> that holds them
    parts = {"nets": own("page_nets.js"), "screen": own("page.js"), "facts": facts}
    return re.sub(r"{{(\w+)}}", lambda hole: parts[hole[1]], own("page.html"))


def own(name):
    """The text of a file that lies beside this one."""
    return (resources.files("gan_lib.playground") / name).read_text(encoding="utf-8")


def encoded(tensor):
    """The bytes of a tensor as base64."""
    return base64.b64encode(tensor.contiguous().numpy().tobytes()).decode()


# Nets as lists of layers. A linear layer joins a small image to a big one by a kernel: a transposed convolution goes up
# from the small one to the big, a convolution goes down, and an nn.Linear is a transposed convolution between single pixels.


@torch.no_grad()
def layers(net, shape):
    """A net in eval mode as a list of dicts, one for each step; `shape` is that of one input.

    "up" and "down": sizes small and big [height, width, channels], kernel, stride, padding; weight float [channels of small,
    kernel, kernel, channels of big], and bias. "scale": scale and bias, for a BatchNorm with no linear layer before it.
    "leaky": slope · a where a < 0. "tanh": tanh(gain · a). "flatten" and "unflatten": shape [channels, height, width].
    Raises `UserError` for a layer that is none of these.
    """
    steps, x = [], torch.zeros(2, *shape)
    for name, layer in net.named_modules(remove_duplicate=False):
        if isinstance(layer, nn.Sequential) or "parametrizations" in name:  # of which the weight is made, not the image
            continue
        y = layer(x)
        step = described(layer, x, y)
        if step and step["kind"] == "scale" and steps and steps[-1]["kind"] in ("up", "down"):
            fold(step, steps[-1])
        elif step:
            steps.append(step)
        x = y
    return steps


def described(layer, x, y):
    """One layer, which makes y from x, as `layers` describes it; None where nothing moves."""
    match layer:
        case nn.Linear():
            return linear("up", x, y, layer.weight.T[:, None, None, :], layer.bias)
        case nn.ConvTranspose2d() if plain(layer):
            return linear("up", x, y, layer.weight.permute(0, 2, 3, 1), layer.bias, layer.stride, layer.padding)
        case nn.Conv2d() if plain(layer):
            return linear("down", y, x, layer.weight.permute(0, 2, 3, 1), layer.bias, layer.stride, layer.padding)
        case nn.BatchNorm1d() | nn.BatchNorm2d() if layer.track_running_stats and layer.affine:
            scale = layer.weight / (layer.running_var + layer.eps).sqrt()
            return {"kind": "scale", "scale": scale, "bias": layer.bias - scale * layer.running_mean}
        case nn.ReLU() | nn.LeakyReLU():
            return {"kind": "leaky", "slope": getattr(layer, "negative_slope", 0.0)}
        case nn.Tanh() | models.SigmoidPixels():
            return {"kind": "tanh", "gain": 1.0 if isinstance(layer, nn.Tanh) else 0.5}
        case nn.Flatten() | nn.Unflatten():
            _, channels, *size = (x if isinstance(layer, nn.Flatten) else y).shape
            moves = channels > 1 and math.prod(size) > 1  # the page holds images channels last, torch first
            return {"kind": type(layer).__name__.lower(), "shape": [channels, *size]} if moves else None
    name = str(layer).splitlines()[0].rstrip("(")
    raise UserError(f"The page can't compute the layer {name}: gan_lib/playground/page.py lists those that it can.")


def plain(layer):
    """Whether a convolution is what the page's is: square, of one group, without holes, zeros around the image."""
    square = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
    return square and layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"


def linear(kind, small, big, weight, bias, stride=(1, 1), padding=(0, 0)):
    """A linear layer as `layers` describes it, between the images `small` and `big`, [N, C, H, W] or [N, C] each."""
    small, big = ([*(image.shape[2:] or (1, 1)), image.shape[1]] for image in (small, big))
    bias = torch.zeros((big if kind == "up" else small)[2]) if bias is None else bias
    return {"kind": kind, "small": small, "big": big, "kernel": weight.shape[1], "stride": stride[0],
            "padding": padding[0], "weight": weight.detach(), "bias": bias.detach()}  # fmt: skip


def fold(scale, step):
    """Take a BatchNorm into the linear layer before it: s (W x + b) + t = (s W) x + (s b + t)."""
    s = scale["scale"]
    step["weight"] = step["weight"] * (s if step["kind"] == "up" else s[:, None, None, None])
    step["bias"] = step["bias"] * s + scale["bias"]


def packed(steps, bits=12):
    """What `layers` gave, as text: weights as in `quantised`, and base64 of the bytes of every tensor.

    Raises `UserError` where one holds no numbers.
    """
    told = []
    for step in steps:
        tensors = {key: value for key, value in step.items() if isinstance(value, torch.Tensor)}
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise UserError("The net has diverged: its weights are no numbers.")
        if "weight" in step:
            tensors |= quantised(step, bits)
            step = step | {"bits": bits}
        told.append(step | {key: encoded(tensor) for key, tensor in tensors.items()})
    return told


def quantised(step, bits):
    """A weight as integers of `bits` bits, packed with the highest bit first, and the unit of each output channel.

    The integer 2^(bits - 1) stands for 0.
    """
    weight, inner = step["weight"], (0, 1, 2) if step["kind"] == "up" else (1, 2, 3)
    zero = 2 ** (bits - 1)
    unit = weight.abs().amax(inner, keepdim=True).clamp(min=1e-30) / (zero - 1)  # float [1, 1, 1, C] or [C, 1, 1, 1]
    whole = ((weight / unit).round().int() + zero).flatten().numpy()
    digits = whole[:, None] >> np.arange(bits - 1, -1, -1) & 1  # [N, bits]
    return {"weight": torch.from_numpy(np.packbits(digits.astype(bool))), "unit": unit}
