"""A frozen generator: a pure function of z, from which everything else samples. Introduced in lesson 05."""

import copy
import math

import torch
from torch import nn

from gan_lib import UserError


class Sampler:
    """A frozen copy of a generator in eval mode, whose images do not depend on their batch.

    `sampler(z)` maps z [N, latent_dim] to images [N, 1, 28, 28] in [-1, 1]; gradients reach z. If `classes` is not 0, the
    generator is conditional: `sampler(z, y)` with labels y, int64 [N], or `sampler.of(7)(z)` for the digit 7. `truncation` is
    the default ψ of `noise` and `sample`. Raises `UserError`, which says how to adapt a generator that does not fit.
    """

    def __init__(self, generator, latent_dim, truncation=1.0):
        if not isinstance(generator, nn.Module) or not any(True for _ in generator.parameters()):
            raise UserError(f"A generator is an nn.Module with weights, not {type(generator).__name__}.")
        self.generator = copy.deepcopy(generator).eval().requires_grad_(False)
        self.latent_dim, self.truncation = latent_dim, truncation
        self.device = next(generator.parameters()).device
        self.classes = getattr(generator, "classes", 0)
        y = [torch.arange(4, device=self.device) % self.classes] if self.classes else []
        with torch.no_grad(), torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            check_generator(self.generator, self.noise(4), y)  # a generator may draw noise of its own

    def __call__(self, z, y=None):
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise UserError(f"z must have the shape [N, {self.latent_dim}], not {list(z.shape)}.")
        if y is None:
            if self.classes:
                raise UserError("This generator is conditional: call sampler(z, y) with labels y, or sampler.of(7)(z).")
            return self.generator(z.to(self.device))
        self.check_labels(y)
        if y.shape != z.shape[:1]:
            raise UserError(f"The labels of {len(z)} z must have the shape [{len(z)}], not {list(y.shape)}.")
        return self.generator(z.to(self.device), y.to(self.device))

    def check_labels(self, y):
        """Raise `UserError` unless y, a tensor or a number, holds classes of this generator."""
        if not self.classes:
            raise UserError("This generator is not conditional: it was trained without labels.")
        y = torch.as_tensor(y)
        if y.is_floating_point() or not ((y >= 0) & (y < self.classes)).all():
            raise UserError(f"Labels are whole numbers from 0 to {self.classes - 1}, not {y.tolist()}.")

    def of(self, label):
        """The sampler of one class, a function of z alone."""
        self.check_labels(label)
        one = copy.copy(self)  # __init__ would check it again at each move of a slider
        one.generator, one.classes = self.generator.of(label).eval(), 0
        return one

    def noise(self, n, seed=0, truncation=None):
        """n latent vectors z [n, latent_dim] from N(0, ψ²), the same for the same seed on every device.

        ψ is `truncation` (None: the sampler's own), above 0 and at most 1. Below 1, precision rises and recall falls: Brock et
        al. 2018 (arXiv 1809.11096, section 3.1), who redraw large components of z instead of scaling all.
        """
        truncation = self.truncation if truncation is None else truncation
        if isinstance(truncation, bool) or not isinstance(truncation, int | float) or not 0 < truncation <= 1:
            raise UserError(f"truncation must be above 0 and at most 1, not {truncation!r}.")
        rng = torch.Generator().manual_seed(seed)
        return truncation * torch.randn(n, self.latent_dim, generator=rng).to(self.device)

    @torch.no_grad()
    def sample(self, n, seed=0, chunk=250, truncation=None):
        """Images [n, 1, 28, 28] in [-1, 1] of `noise(n, seed, truncation)`, classes as in `turns`, `chunk` at a time."""
        z = self.noise(n, seed, truncation)
        return torch.cat([self.turns(z[i : i + chunk], i) for i in range(0, n, chunk)])

    def turns(self, z, start=0):
        """G(z), or with classes G(z, y): the i-th label is (start + i) modulo `classes`, so that all are equally frequent."""
        return self(z, (start + torch.arange(len(z))) % self.classes) if self.classes else self(z)


def check_generator(net, z, y):
    """Raise `UserError`, which says how to adapt it, unless `net` maps z [N, d] to images [N, 1, 28, 28] in [-1, 1]."""
    images = first_images(net, z, y)
    if not isinstance(images, torch.Tensor):
        raise UserError(f"A generator returns one tensor with an image for each z, not {type(images).__name__}.")
    shape, pixels, layers, crop = list(images.shape[1:]), images[0].numel(), None, ""
    if (pixels == 784 and shape != [1, 28, 28]) or (len(shape) == 1 and pixels % 784 == 0):
        layers = f"nn.Flatten(), nn.Unflatten(1, ({pixels // 784}, 28, 28))"
    elif len(shape) == 3 and shape[1:] != [28, 28]:
        layers = "nn.Upsample((28, 28), mode='bilinear')"
        crop = f", or nn.Sequential(generator, nn.ConstantPad2d({14 - shape[2] // 2}, -1.0))" * (shape[2] % 2 == 0)
    if layers:
        words = f"This generator makes images [N, {', '.join(map(str, shape))}], not [N, 1, 28, 28]"
        raise UserError(f"{words}: put nn.Sequential(generator, {layers}){crop} in its place.")
    if len(shape) != 3:  # points, as in lesson 06, may lie anywhere
        return
    low, high = (end.item() for end in images.aminmax())  # NaN, if the net has diverged, is accepted
    advice = "let it end in nn.Tanh(), as in training, or in nn.Hardtanh(), which clips"
    if low >= 0 and 100 < high < 256:
        advice = "let forward return x / 127.5 - 1"
    elif low >= 0 and high <= 1 and 0 <= net(1e6 * z, *y).amin() < 0.5:  # for very large z too
        advice = "let forward return 2 * x - 1, or put models.SigmoidPixels() in place of nn.Sigmoid()"
    elif not 1.001 < max(-low, high) < math.inf:
        return
    raise UserError(f"The pixels of this generator lie from {low:.2f} to {high:.2f}, and must be in [-1, 1]: {advice}.")


def first_images(net, z, y):
    """The output of `net` for z [N, d]. Raises `UserError` if it needs z in another shape."""
    n, d = z.shape
    images, problem = attempt(net, z, y)
    if problem is None:
        return images
    first = next((layer for layer in net.modules() if isinstance(layer, nn.Linear | nn.ConvTranspose2d)), None)
    k = getattr(first, "in_features", getattr(first, "in_channels", d))
    for shape in ((d, 1, 1), (k,), (k, 1, 1)):
        if attempt(net, z.new_zeros(n, *shape), y)[1] is None:
            advice = [f"put nn.Sequential(nn.Unflatten(1, {shape}), generator) in its place"] * (len(shape) > 1)
            advice += [f"let latent_dim be {k}"] * (shape[0] != d)
            raise UserError(f"This generator takes z as [N, {', '.join(map(str, shape))}]: {', and '.join(advice)}.")
    raise UserError(f"This generator can't take z of the shape [N, {d}]: {problem}")


def attempt(net, z, y):
    """(what `net` returns for z, None), or (None, what is wrong with it)."""
    try:
        images = net(z, *y)
    except Exception as error:  # a net from elsewhere may fail in any way
        return None, str(error).strip().split("\n")[0]
    if isinstance(images, torch.Tensor) and images.shape[:1] != z.shape[:1]:
        return None, f"for {len(z)} z it returns {list(images.shape)}"
    return images, None
