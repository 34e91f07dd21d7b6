"""The frozen generator that everything samples from. Introduced in lesson 05."""

import copy
import math

import torch
from torch import nn


class Sampler:
    """A frozen copy of a generator in eval mode: a pure function of z. G(z) alone equals G(batch)[i]. Lesson 05.

    `sampler(z)` maps z [N, latent_dim] to images [N, 1, 28, 28] in [-1, 1] and lets gradients through to z. Where `classes` is
    not 0 the generator is conditioned on labels: `sampler(z, labels)`, int64 [N], or `sampler.of(7)(z)` for sevens only.
    `truncation` is the ψ of `noise` and `sample`. Raises `ValueError` where the generator takes z in another shape, or gives
    anything but images of 28 × 28 pixels in [-1, 1], and says how to adapt it.
    """

    def __init__(self, generator, latent_dim, truncation=1.0):
        if not isinstance(generator, nn.Module) or not any(True for _ in generator.parameters()):
            raise ValueError(f"A generator is an nn.Module with weights, not {type(generator).__name__}.")
        self.generator = copy.deepcopy(generator).eval().requires_grad_(False)
        self.latent_dim, self.truncation = latent_dim, truncation
        self.device = next(generator.parameters()).device
        self.classes = classes_of(generator)
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):  # G may draw noise of its own
            if wrong := self.mismatch():
                raise ValueError(wrong)

    @torch.no_grad()
    def mismatch(self, n=4):
        """What keeps the generator from mapping z [n, latent_dim] to images as one sentence, or None where nothing does."""
        net, z, d, problems = self.generator, self.noise(n), self.latent_dim, []
        labels = [torch.arange(n, device=self.device) % self.classes] if self.classes else []
        first = next((x for x in net.modules() if isinstance(x, nn.Linear | nn.ConvTranspose2d)), None)
        k = getattr(first, "in_features", getattr(first, "in_channels", d))
        for shape in ((d,), (d, 1, 1), (k,), (k, 1, 1)):
            try:
                images = net(z if shape == (d,) else z.new_zeros(n, *shape), *labels)
                if isinstance(images, torch.Tensor) and images.shape[:1] != (n,):
                    raise ValueError(f"for {n} of them it makes {list(images.shape)}")
                break
            except Exception as error:  # a net from elsewhere may fail in any way
                problems.append(str(error).strip().split("\n")[0])
        else:
            return f"This generator can't take z of the shape [N, {d}]: {problems[0]}"
        if shape != (d,):
            how = [f"put nn.Sequential(nn.Unflatten(1, {shape}), generator) in its place"] * (len(shape) > 1)
            how += [f"let latent_dim be {k}"] * (shape[0] != d)
            return f"This generator takes z as [N, {', '.join(map(str, shape))}]: {', and '.join(how)}."
        if not isinstance(images, torch.Tensor):
            return f"A generator returns one tensor with an image for each z, not {type(images).__name__}."
        shape, pixels, margin, layers = list(images.shape[1:]), images[0].numel(), 28 - images.shape[-1], ""
        if (pixels == 784 and shape != [1, 28, 28]) or (len(shape) == 1 and pixels % 784 == 0):
            layers = f"nn.Flatten(), nn.Unflatten(1, ({pixels // 784}, 28, 28))"
        elif len(shape) == 3 and shape[1:] != [28, 28]:
            layers = "nn.Upsample((28, 28), mode='bilinear')" + f" or nn.ConstantPad2d({margin // 2}, -1.0)" * (
                margin % 2 == 0
            )
        if layers or len(shape) != 3:  # points, as in lesson 00, may lie anywhere
            words = f"This generator makes images [N, {', '.join(map(str, shape))}], not [N, 1, 28, 28]: put "
            return f"{words}nn.Sequential(generator, {layers}) in its place." if layers else None
        low, high = (end.item() for end in images.aminmax())  # nan of a net that has diverged: it passes
        how = "let it end in nn.Tanh(), as in training, or in nn.Hardtanh(), which clips"
        if low >= 0 and 100 < high < 256:
            how = "let forward return x / 127.5 - 1"
        elif low >= 0 and high <= 1 and 0 <= net(1e6 * z, *labels).amin() < 0.5:  # however large z is
            how = "let forward return 2 * x - 1, or put models.SigmoidPixels() in place of nn.Sigmoid()"
        elif not 1.001 < max(-low, high) < math.inf:
            return None
        return f"The pixels of this generator lie from {low:.2f} to {high:.2f}, and must be in [-1, 1]: {how}."

    def __call__(self, z, labels=None):
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(f"z must have the shape [N, {self.latent_dim}], not {list(z.shape)}.")
        if labels is None and self.classes:
            raise ValueError("This generator is told labels: sampler(z, labels), or sampler.of(7)(z) for sevens.")
        if labels is None:
            return self.generator(z.to(self.device))
        self.check(labels)
        if labels.shape != z.shape[:1]:
            raise ValueError(f"The {len(z)} z need as many labels, in the shape [{len(z)}], not {list(labels.shape)}.")
        return self.generator(z.to(self.device), labels.to(self.device))

    def check(self, labels):
        """Raise `ValueError` unless the labels, a tensor or a number, are of the classes that the generator knows."""
        if not self.classes:
            raise ValueError("This generator was never told a label, and can't be asked for one.")
        labels = torch.as_tensor(labels)
        if labels.is_floating_point() or not ((labels >= 0) & (labels < self.classes)).all():
            raise ValueError(f"Labels are whole numbers from 0 to {self.classes - 1}, not {labels.tolist()}.")

    def of(self, label):
        """The sampler of one class: a pure function of z alone, which goes wherever a sampler without labels does."""
        self.check(label)
        one = copy.copy(self)  # which needs no check again: a slider asks for it at each move
        one.generator, one.classes = self.generator.of(label).eval(), 0
        return one

    def noise(self, n, seed=0, truncation=None):
        """n points z [n, latent_dim] from N(0, ψ²); the same for the same seed on every device.

        ψ is `truncation`, by default the sampler's own. Below 1 precision rises and recall falls. A relative of the
        truncation trick (Brock et al. 2018, arXiv 1809.11096, section 3.1), which draws components beyond a limit anew.
        Raises `ValueError` unless 0 < ψ ≤ 1.
        """
        truncation = self.truncation if truncation is None else truncation
        if isinstance(truncation, bool) or not isinstance(truncation, int | float) or not 0 < truncation <= 1:
            raise ValueError(f"truncation must be above 0 and at most 1, not {truncation!r}.")
        z = torch.randn(n, self.latent_dim, generator=torch.Generator().manual_seed(seed)).to(self.device)
        return truncation * z

    @torch.no_grad()
    def sample(self, n, seed=0, chunk=250, truncation=None):
        """n images [n, 1, 28, 28] in [-1, 1] of `noise(n, seed, truncation)`, made `chunk` at a time to keep memory small.

        The classes, where there are some, take turns as in `turns`.
        """
        z = self.noise(n, seed, truncation)
        return torch.cat([self.turns(z[i : i + chunk], i) for i in range(0, n, chunk)])

    def turns(self, z, start=0):
        """G(z), where the i-th image is of class (start + i) modulo `classes`: all classes, with the same share."""
        return self(z, (start + torch.arange(len(z))) % self.classes) if self.classes else self(z)


def classes_of(generator):
    """How many classes a generator can be asked for; 0 if it is told no labels."""
    return getattr(generator, "classes", 0)
