"""Generators with sliders that need no kernel and no network: in one HTML file, or in a cell's output. Lessons 00 and 05."""

import base64
import copy
import html
import io
import json
import re
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn

from gan_lib import UserError, attributes, checkpoint, data, files, latent, models, pictures, recipes

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

    `sources` is {name: sampler}, or a list of pretrained recipes' names, checkpoint files and folders of runs. A run gives up
    to `MOMENTS` checkpoints. A weight takes `bits` bits, at most 16. Raises `UserError` for what the page can't take.
    """
    sources = sources or sorted(recipes.pretrained_names(), key=list(recipes.RECIPES).index, reverse=True)
    generators = {}
    for name, moments in map(read_source, sources.items() if isinstance(sources, dict) else sources):
        if name in generators:
            raise UserError(f"Two of the generators are called {name}: give one of them, or rename its folder.")
        generators[name] = generator(moments, bits)
    return files.write_atomically(path, page(generators).encode())


def inline(sampler, directions=None, height=250):
    """Sliders for a `Sampler` as HTML for a cell's output, `height` pixels high. Where no script may run it shows ten samples.

    There is one slider for each of `directions` (`latent.Direction`s; None: slant, thickness, width and height), one for |z|,
    and one for the class. A weight takes 8 bits. Raises `UserError` for a generator that the sliders can't compute.
    """
    from IPython.display import HTML  # here, because the command line starts without it

    about, png = generator([Moment(None, sampler, None)], 8, directions), io.BytesIO()
    Image.fromarray(pictures.tile(sampler.sample(10), columns=5)).save(png, "png")
    frame = html.escape(fill("frame.html", {"generators": {"": about}})).replace("\n", "&#10;")  # in one line
    return HTML(fill("output.html", height=str(height), samples=base64.b64encode(png.getvalue()).decode(), frame=frame))


def read_source(source):
    """The name of a source, and its `Moment`s in the order of their steps. A source may also be (name, sampler)."""
    if isinstance(source, tuple):
        return source[0], [Moment(None, source[1], None)]
    paths = checkpoint.files_of(source)
    if not paths:
        return source, [Moment(None, recipes.pretrained(source), None)]
    moments = []
    for i in sorted({round(i * (len(paths) - 1) / (MOMENTS - 1)) for i in range(MOMENTS)}):
        saved = checkpoint.read(paths[i])
        game, dataset = saved.game(), saved.notes["data"] or "mnist"
        moments.append(Moment(game.step, game.sampler(), game.discriminator.eval(), dataset))
    path = Path(source)
    return path.resolve().name if path.is_dir() else f"{saved.recipe.name} at step {game.step}", moments


def page(generators):
    """The page as text, from {name: what `generator` returns}."""
    digits = data.load(train=False)
    examples = torch.stack([digits.images[digits.labels == label][0] for label in range(10)])  # uint8 [10, 28, 28]
    return fill("page.html", {"generators": generators, "digits": encode(examples)})


def fill(name, facts=None, **parts):
    """The text of a file beside this one. {{facts}} becomes `facts` as JSON, and {{x}} parts["x"] or the text of the file x."""
    text = json.dumps(facts, separators=(",", ":"))
    parts["facts"] = text.replace("<", "\\u003c")  # so that no name ends the <script> element
    read = lambda name: (FOLDER / name).read_text("utf-8")
    return re.sub(r"{{([\w.]+)}}", lambda match: parts.get(match[1]) or read(match[1]), read(name))


def generator(moments, bits=12, directions=None):
    """A generator as JSON: its moments, and the sliders' directions (None: found with the last of the moments)."""
    last = moments[-1].sampler
    if not isinstance(last, models.Sampler) or last.sample(1).shape[1:] != (1, 28, 28):
        raise UserError("The sliders need a models.Sampler(generator, latent_dim) whose images are [N, 1, 28, 28].")
    if directions is None:
        directions = latent.orthogonal(latent.find_directions(last, SLIDERS)[: last.latent_dim])  # more can't be
    named = {each.name: len(each.vector) for each in directions if isinstance(each, latent.Direction)}
    if set(named.values()) - {last.latent_dim} or len(named.keys() - {"digit", "moment", "norm"}) < len(directions):
        raise UserError(f"Each direction must be a latent.Direction with {last.latent_dim} numbers and its own name.")
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
    elif discriminator is not None and moment.dataset in data.SETS:  # of other data, there is nothing to compare with
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


@torch.no_grad()
def layers(net, shape):
    """A net in eval mode as a list of dicts, one for each layer; `shape` is that of one input. Kinds:

    "up" (`nn.ConvTranspose2d`, and `nn.Linear` between single pixels) and "down" (`nn.Conv2d`): sizes small and big [height,
    width, channels], kernel, stride, padding; weight float [channels of small, kernel, kernel, channels of big], and bias.
    "scale": scale · a + bias, for each channel or for all. "leaky": slope · a where a < 0. "tanh": tanh(gain · a). "flatten"
    and "unflatten": shape [channels, height, width]. Raises `UserError` for another layer, and for what isn't a chain of them.
    """
    steps, last = [], torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    same = lambda x: x.numel() == last.numel() and x.flatten().allclose(last.flatten(), 0, 0, equal_nan=True)
    for layer, x, y in calls(net, last):
        whole = list(layer.children()) and not hasattr(layer, "parametrizations")  # as nn.Sequential is
        if not whole and not same(x):
            raise UserError(f"The sliders know only layers one after another: something else comes before {layer}.")
        steps += reshape(last, y if whole else x)
        steps += [] if whole and same(y) else describe_layer(layer, x, y)
        last = y
    return steps


def calls(net, x):
    """[(layer, its input, its output)] of all that `net` calls for x, in the order in which they end."""
    net, found = copy.deepcopy(net).float().cpu(), []
    for name, layer in net.named_modules():
        if "parametrizations" not in name:  # these make a weight, not an image
            layer.register_forward_hook(lambda layer, inputs, y: found.append((layer, inputs[0], y)))
    net(x)
    return found


def reshape(x, y):
    """The steps from x to y, the same numbers in another shape: the page has channels last, PyTorch first."""
    steps = [{"kind": kind, "shape": [*a.shape[1:], 1, 1][:3]} for kind, a in (("flatten", x), ("unflatten", y))]
    return [step for step in steps if x.shape != y.shape and step["shape"][0] > 1 and step["shape"][1:] != [1, 1]]


def describe_layer(layer, x, y):
    """One layer, with input x and output y, as in `layers`: a list of no, one or two steps."""
    match layer:
        case nn.Linear() | nn.Conv2d() | nn.ConvTranspose2d() if x.ndim == 2 or is_plain(layer):
            return [linear(layer, x, y)]
        case nn.BatchNorm1d() | nn.BatchNorm2d() if layer.track_running_stats and layer.affine:
            scale = layer.weight / (layer.running_var + layer.eps).sqrt()
            return [{"kind": "scale", "scale": scale, "bias": layer.bias - scale * layer.running_mean}]
        case nn.ReLU() | nn.LeakyReLU():
            return [{"kind": "leaky", "slope": getattr(layer, "negative_slope", 0.0)}]
        case nn.Tanh() | models.SigmoidPixels():
            return [{"kind": "tanh", "gain": 1.0 if isinstance(layer, nn.Tanh) else 0.5}]
        case nn.Sigmoid():  # (1 + tanh(a / 2)) / 2
            half = torch.tensor([0.5])
            return [{"kind": "tanh", "gain": 0.5}, {"kind": "scale", "scale": half, "bias": half}]
        case nn.Flatten() | nn.Unflatten():
            return reshape(x, y)
    name = str(layer).splitlines()[0].rstrip("(")
    raise UserError(f"The sliders can't compute the layer {name}: gan_lib/playground/page.py lists what they can.")


def is_plain(layer):
    """Whether a layer is a square convolution with one group, no dilation, and zero padding."""
    plain = getattr(layer, "padding_mode", "") == "zeros" and layer.groups == 1 and layer.dilation == (1, 1)
    return plain and all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))


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
