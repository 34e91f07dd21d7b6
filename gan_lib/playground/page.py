"""Generators with sliders in one HTML file that opens without a kernel or a network. Lesson 05."""

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

from gan_lib import UserError, attributes, checkpoint, data, files, latent, models, recipes

SLIDERS = {name: attributes.ATTRIBUTES[name] for name in ("slant", "thickness", "width", "height")}
FOLDER = resources.files("gan_lib.playground")
MOMENTS = 9  # checkpoints of a run, at most: each has its own weights, and 9 pictures fit under a slider


class Moment(NamedTuple):
    """A generator after some iteration, and its discriminator; None where unknown."""

    step: int | None
    sampler: models.Sampler
    discriminator: nn.Module | None
    dataset: str = "mnist"


def write(path, sources=(), bits=12):
    """Write the page with a generator for each of `sources` (by default every pretrained one). Returns its size in bytes.

    A source is a pretrained recipe's name, a checkpoint file or a run's folder, which gives up to `MOMENTS` checkpoints. A
    weight takes `bits` bits, at most 16. Raises `UserError` for a source or a layer that the page can't take.
    """
    sources = sources or sorted(recipes.pretrained_names(), key=list(recipes.RECIPES).index, reverse=True)
    generators = {}
    for name, moments in map(read_source, sources):
        if name in generators:
            raise UserError(f"Two of the generators are called {name}: give one of them, or rename its folder.")
        generators[name] = generator(moments, bits)
    content = page(generators).encode()
    files.write_atomically(path, content)
    return len(content)


def read_source(source):
    """The name of a source, and its `Moment`s in the order of their steps."""
    paths = checkpoint.files_of(source)
    if not paths:
        return source, [Moment(None, recipes.pretrained(source), None)]
    moments = []
    for i in sorted({round(i * (len(paths) - 1) / (MOMENTS - 1)) for i in range(MOMENTS)}):
        saved = checkpoint.read(paths[i])
        game, dataset = saved.game(), saved.header["notes"].get("data", "mnist")
        moments.append(Moment(game.step, game.sampler(), game.discriminator.eval(), dataset))
    path = Path(source)
    return path.resolve().name if path.is_dir() else f"{saved.recipe.name} at step {game.step}", moments


def page(generators):
    """The page as text, from {name: what `generator` returns}."""
    digits = data.load(train=False)
    examples = torch.stack([digits.images[digits.labels == label][0] for label in range(10)])  # uint8 [10, 28, 28]
    return fill("page", {"generators": generators, "digits": encode(examples)})


def fill(name, facts):
    """The HTML file called `name` with its facts as JSON, its script, and what it shares with others."""
    read = lambda file: (FOLDER / file).read_text("utf-8")
    facts = json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c")  # so that no name can end the <script> element
    parts = {"facts": facts, "style": read("sliders.css"), "screen": read(f"{name}.js")}
    parts |= {"nets": read("nets.js"), "search": read("page_search.js"), "sliders": read("sliders.js")}
    return re.sub(r"{{(\w+)}}", lambda match: parts[match[1]], read(f"{name}.html"))


def generator(moments, bits=12, directions=None):
    """A generator as JSON: its moments, and the sliders' directions, by default found with the last of them."""
    last = moments[-1].sampler
    if directions is None:
        sliders = dict(list(SLIDERS.items())[: last.latent_dim])  # no more can be orthogonal
        directions = latent.orthogonal(latent.find_directions(last, sliders))
    about = {key: getattr(last, key) for key in ("latent_dim", "classes", "truncation")}
    about["directions"] = [{"name": each.name, "vector": to_list(each.vector)} for each in directions]
    return about | {"moments": [describe(moment, bits) for moment in moments]}


@torch.no_grad()
def describe(moment, bits=12, n=200):
    """A moment as JSON; with a discriminator also its logits for n real and n generated images, sorted.

    A conditional generator has the layers for label 0, and for each label the bias of the first layer in "biases".
    """
    sampler, discriminator = moment.sampler, moment.discriminator
    samplers = [sampler.of(label) for label in range(sampler.classes)] or [sampler]
    nets = [layers(each.generator, (sampler.latent_dim,)) for each in samplers]
    about = {"step": moment.step, "layers": serialise(nets[0], bits)}
    if sampler.classes:  # the nets of two labels differ only in the bias of the first layer
        about["biases"] = [encode(steps[0]["bias"]) for steps in nets]
    elif discriminator is not None:
        real = data.to_range(data.load(moment.dataset, train=False).images[:n])
        real, fake = (to_list(discriminator(images).sort().values) for images in (real, sampler.sample(n)))
        steps = serialise(layers(discriminator, (1, 28, 28)), bits)
        about["discriminator"] = {"layers": steps, "real": real, "fake": fake}
    return about


def to_list(values):
    """A float tensor as a list, rounded to four decimals."""
    return [round(value, 4) for value in values.tolist()]


def encode(tensor):
    """The bytes of a tensor as base64."""
    return base64.b64encode(tensor.contiguous().numpy().tobytes()).decode()


# Nets as lists of layers


@torch.no_grad()
def layers(net, shape):
    """A net in eval mode as a list of dicts, one for each layer; `shape` is that of one input. Kinds:

    "up" (`nn.ConvTranspose2d`, and `nn.Linear` between single pixels) and "down" (`nn.Conv2d`): sizes small and big [height,
    width, channels], kernel, stride, padding; weight float [channels of small, kernel, kernel, channels of big], and bias.
    "scale": scale and bias, for a BatchNorm with no linear layer before it. "leaky": slope · a where a < 0. "tanh":
    tanh(gain · a). "flatten" and "unflatten": shape [channels, height, width]. Raises `UserError` for any other layer.
    """
    steps, x = [], torch.zeros(2, *shape)
    for name, layer in net.named_modules(remove_duplicate=False):
        if isinstance(layer, nn.Sequential) or "parametrizations" in name:  # these make a weight, not an image
            continue
        y = layer(x)
        step = describe_layer(layer, x, y)
        if step and step["kind"] == "scale" and steps and "weight" in steps[-1]:
            last, s = steps[-1], step["scale"]  # fold it: s (W x + b) + t = (s W) x + (s b + t)
            last["weight"] = last["weight"] * (s if last["kind"] == "up" else s[:, None, None, None])
            last["bias"] = last["bias"] * s + step["bias"]
        elif step:
            steps.append(step)
        x = y
    return steps


def describe_layer(layer, x, y):
    """One layer, with input x and output y, as in `layers`; None for one that changes nothing."""
    match layer:
        case nn.Linear() | nn.Conv2d() | nn.ConvTranspose2d() if is_plain(layer):
            return linear(layer, x, y)
        case nn.BatchNorm1d() | nn.BatchNorm2d() if layer.track_running_stats and layer.affine:
            scale = layer.weight / (layer.running_var + layer.eps).sqrt()
            return {"kind": "scale", "scale": scale, "bias": layer.bias - scale * layer.running_mean}
        case nn.ReLU() | nn.LeakyReLU():
            return {"kind": "leaky", "slope": getattr(layer, "negative_slope", 0.0)}
        case nn.Tanh() | models.SigmoidPixels():
            return {"kind": "tanh", "gain": 1.0 if isinstance(layer, nn.Tanh) else 0.5}
        case nn.Flatten() | nn.Unflatten():
            _, channels, *size = (x if isinstance(layer, nn.Flatten) else y).shape
            moves = channels > 1 and math.prod(size) > 1  # the page has channels last, PyTorch first
            return {"kind": type(layer).__name__.lower(), "shape": [channels, *size]} if moves else None
    name = str(layer).splitlines()[0].rstrip("(")
    raise UserError(f"The page can't compute the layer {name}: gan_lib/playground/page.py lists those that it can.")


def is_plain(layer):
    """Whether a layer is linear, or a square convolution with one group, no dilation, and zero padding."""
    if isinstance(layer, nn.Linear):
        return True
    square = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
    return square and layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"


def linear(layer, x, y):
    """A linear layer with input x and output y, [N, C, H, W] or [N, C] each, as in `layers`."""
    kind, images = ("down", (y, x)) if isinstance(layer, nn.Conv2d) else ("up", (x, y))
    small, big = ([*(image.shape[2:] or (1, 1)), image.shape[1]] for image in images)
    weight = layer.weight.detach()
    weight = weight.T[:, None, None] if weight.ndim == 2 else weight.permute(0, 2, 3, 1)
    bias = torch.zeros(y.shape[1]) if layer.bias is None else layer.bias.detach()
    stride, padding = getattr(layer, "stride", [1])[0], getattr(layer, "padding", [0])[0]
    return {"kind": kind, "small": small, "big": big, "kernel": weight.shape[1], "stride": stride, "padding": padding,
            "weight": weight, "bias": bias}  # fmt: skip


def serialise(steps, bits=12):
    """What `layers` returns as JSON: base64 of its tensors. Raises `UserError` for NaN or infinity.

    Weights become integers of `bits` bits, highest bit first, where 2^(bits - 1) is 0; "unit" is that of each output channel.
    """
    result = []
    for step in steps:
        if not all(value.isfinite().all() for value in step.values() if isinstance(value, torch.Tensor)):
            raise UserError("The net has diverged: its weights hold NaN or infinity.")
        if "weight" in step:
            weight, zero = step["weight"], 2 ** (bits - 1)
            inner = (0, 1, 2) if step["kind"] == "up" else (1, 2, 3)  # all axes except the output channels
            unit = weight.abs().amax(inner, keepdim=True).clamp(min=1e-30) / (zero - 1)
            whole = ((weight / unit).round().int() + zero).flatten().numpy()
            digits = (whole[:, None] >> np.arange(bits - 1, -1, -1) & 1).astype(bool)  # [N, bits]
            step = step | {"bits": bits, "weight": torch.from_numpy(np.packbits(digits)), "unit": unit}
        result.append({k: encode(v) if isinstance(v, torch.Tensor) else v for k, v in step.items()})
    return result
