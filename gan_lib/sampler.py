"""The frozen generator that everything samples from. Introduced in lesson 05."""

import contextlib
import copy

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
        if wrong := self.mismatch():
            raise ValueError(wrong)

    @torch.no_grad()
    def mismatch(self, n=4):
        """What keeps the generator from mapping z [n, latent_dim] to images as one sentence, or None where nothing does."""
        z = self.noise(n, truncation=1.0)
        try:
            images, pushed = self.turns(z), self.turns(1000 * z)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            d = self.latent_dim
            with contextlib.suppress(Exception):
                self.generator(z.view(n, d, 1, 1))
                return (f"This generator takes z as [N, {d}, 1, 1]: "
                        f"put nn.Sequential(nn.Unflatten(1, ({d}, 1, 1)), generator) in its place.")  # fmt: skip
            return f"This generator can't take z of the shape [N, {d}]: {str(error).splitlines()[0]}"
        if not isinstance(images, torch.Tensor) or len(images) != n:
            return f"A generator returns one tensor with an image for each z, not {type(images).__name__}."
        shape = ", ".join(map(str, images.shape[1:]))
        if images.ndim != 4 and images[0].numel() == 784:
            return (f"This generator makes images [N, {shape}], not [N, 1, 28, 28]: "
                    "put nn.Sequential(generator, nn.Flatten(), nn.Unflatten(1, (1, 28, 28))) in its place.")  # fmt: skip
        if images.ndim == 4 and images.shape[2:] != (28, 28):
            return (f"This generator makes images [N, {shape}], and they must have 28 × 28 pixels: "
                    "put nn.Sequential(generator, nn.Upsample((28, 28), mode='bilinear')) in its place.")  # fmt: skip
        low, high = (end.item() for end in torch.cat([images, pushed]).aminmax())
        if images.ndim == 4 and 0 <= low < 0.5 and high <= 1:  # wherever z is, and however large
            return (f"The pixels of this generator lie from {low:.2f} to {high:.2f}, and must be in [-1, 1]: "
                    "let forward return 2 * x - 1, or put models.SigmoidPixels() in place of nn.Sigmoid().")  # fmt: skip
        return None

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
        return Sampler(self.generator.of(label), self.latent_dim, self.truncation)

    def noise(self, n, seed=0, truncation=None):
        """n points z [n, latent_dim] from N(0, ψ²); the same for the same seed on every device.

        ψ is `truncation`, by default the sampler's own. Below 1 the samples are better and vary less. A relative of the
        truncation trick (Brock et al. 2018, arXiv 1809.11096, section 3.1), which draws components beyond a limit anew.
        Raises `ValueError` unless 0 < ψ ≤ 1.
        """
        truncation = self.truncation if truncation is None else truncation
        if not 0 < truncation <= 1:
            raise ValueError(f"truncation must be above 0 and at most 1, not {truncation}.")
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
