"""Generators and discriminators, as plain stacks of layers. The comment beside a layer is the shape that leaves it.

A generator maps z [N, latent_dim], drawn from a normal distribution, to images [N, 1, 28, 28] in [-1, 1].
A discriminator maps such images to logits [N], high for real. MLPs: lesson 02. Convolutions: lesson 03.
"""

import contextlib
import copy

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_lib import residual


def mlp_generator(latent_dim=64, width=256):
    """Three linear layers and a tanh. Lesson 02."""
    return nn.Sequential(  #                                  z [N, latent_dim]
        nn.Linear(latent_dim, width), nn.ReLU(),  #             [N, width]
        nn.Linear(width, width), nn.ReLU(),  #                  [N, width]
        nn.Linear(width, 28 * 28), nn.Tanh(),  #                [N, 784] in [-1, 1]
        nn.Unflatten(1, (1, 28, 28)),  #                        [N, 1, 28, 28]
    )  # fmt: skip


def mlp_discriminator(width=256):
    """Three linear layers; LeakyReLU lets a gradient through where a unit is off. Lesson 02."""
    return nn.Sequential(  #                                  x [N, 1, 28, 28]
        nn.Flatten(),  #                                        [N, 784]
        nn.Linear(28 * 28, width), nn.LeakyReLU(0.2),  #        [N, width]
        nn.Linear(width, width), nn.LeakyReLU(0.2),  #          [N, width]
        nn.Linear(width, 1), nn.Flatten(0),  #                  [N]
    )  # fmt: skip


class SigmoidPixels(nn.Module):
    """2 sigmoid(a) - 1: pixels as probabilities in [0, 1], brought to [-1, 1]. It equals tanh(a / 2)."""

    def forward(self, a):
        return a.sigmoid() * 2 - 1


def mlp_sigmoid_generator(latent_dim=128, width=256):
    """A widening stack that ends in sigmoid pixels, as many first GANs are written."""
    return nn.Sequential(  #                                  z [N, latent_dim]
        nn.Linear(latent_dim, width), nn.ReLU(),  #             [N, width]
        nn.Linear(width, 2 * width), nn.ReLU(),  #              [N, 2 width]
        nn.Linear(2 * width, 28 * 28), SigmoidPixels(),  #      [N, 784] in [-1, 1]
        nn.Unflatten(1, (1, 28, 28)),  #                        [N, 1, 28, 28]
    )  # fmt: skip


def mlp_relu_discriminator(width=256):
    """A narrowing stack with ReLU."""
    return nn.Sequential(  #                                  x [N, 1, 28, 28]
        nn.Flatten(),  #                                        [N, 784]
        nn.Linear(28 * 28, 2 * width), nn.ReLU(),  #            [N, 2 width]
        nn.Linear(2 * width, width), nn.ReLU(),  #              [N, width]
        nn.Linear(width, 1), nn.Flatten(0),  #                  [N]
    )  # fmt: skip


def dcgan_generator(latent_dim=64, width=32, channels=1):
    """From one pixel with `latent_dim` channels to 28 × 28 with one (or more), by transposed convolutions.

    Radford et al. 2015 (arXiv 1511.06434), figure 1, at MNIST's size. Lesson 03.
    """
    return nn.Sequential(  #                                                              z [N, latent_dim]
        nn.Unflatten(1, (latent_dim, 1, 1)),  #                                             [N, latent_dim, 1, 1]
        nn.ConvTranspose2d(latent_dim, 4 * width, 4, bias=False),  #                        [N, 4 width, 4, 4]
        nn.BatchNorm2d(4 * width), nn.ReLU(),  #                                            [N, 4 width, 4, 4]
        nn.ConvTranspose2d(4 * width, 2 * width, 3, stride=2, padding=1, bias=False),  #    [N, 2 width, 7, 7]
        nn.BatchNorm2d(2 * width), nn.ReLU(),  #                                            [N, 2 width, 7, 7]
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),  #        [N, width, 14, 14]
        nn.BatchNorm2d(width), nn.ReLU(),  #                                                [N, width, 14, 14]
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.Tanh(),  #          [N, channels, 28, 28] in [-1, 1]
    ).apply(normal_init)  # fmt: skip


def dcgan_discriminator(width=32):
    """From 28 × 28 down to one number, by strided convolutions; no BatchNorm on the first layer.

    Radford et al. 2015 (arXiv 1511.06434), section 3, at MNIST's size. Lesson 03.
    """
    return nn.Sequential(  #                                                              x [N, 1, 28, 28]
        nn.Conv2d(1, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),  #                  [N, width, 14, 14]
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),  #                 [N, 2 width, 7, 7]
        nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2),  #                                    [N, 2 width, 7, 7]
        nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1, bias=False),  #             [N, 4 width, 4, 4]
        nn.BatchNorm2d(4 * width), nn.LeakyReLU(0.2),  #                                    [N, 4 width, 4, 4]
        nn.Conv2d(4 * width, 1, 4), nn.Flatten(0),  #                                       [N]
    ).apply(normal_init)  # fmt: skip


def mapped_generator(latent_dim=64, width=32):
    """A DCGAN's generator behind one more layer, which may bend z before it is drawn: from one digit to the next is a
    short way then, and fewer z land between. A mapping network (Karras et al. 2018, arXiv 1812.04948) at its shortest.
    """
    return nn.Sequential(  #                                  z [N, latent_dim]
        nn.Linear(latent_dim, 128), nn.BatchNorm1d(128), nn.LeakyReLU(0.2),  # [N, 128]
        *dcgan_generator(128, width),  #                        [N, 1, 28, 28] in [-1, 1]
    )  # fmt: skip


def plain_discriminator(width=32, channels=1):
    """No BatchNorm, so that each image has its own logit and slope: what the penalties of losses.py want. And a hidden layer
    after the convolutions, without which the logit is a sum over patches.
    """
    return nn.Sequential(  #                                                              x [N, channels, 28, 28]
        nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),  #           [N, width, 14, 14]
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),  #          [N, 2 width, 7, 7]
        nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), nn.LeakyReLU(0.2),  #      [N, 4 width, 4, 4]
        nn.Flatten(), nn.Linear(16 * 4 * width, 128), nn.LeakyReLU(0.2),  #                 [N, 128]
        nn.Linear(128, 1), nn.Flatten(0),  #                                                [N]
    )  # fmt: skip


def spectral_discriminator(width=32):
    """The layers of `plain_discriminator`, each divided by its largest singular value: none can stretch a difference any more.

    Miyato et al. 2018 (arXiv 1802.05957), section 2.1; torch follows that value by one power iteration a pass. Lesson 07.
    """
    return plain_discriminator(width).apply(lambda layer: spectral_norm(layer) if hasattr(layer, "weight") else layer)


def normal_init(layer):
    """Convolutions from N(0, 0.02), BatchNorm's scale from N(1, 0.02). Radford et al. 2015, section 4."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


def encoder(latent_dim):
    """The way back from an image to z, for `latent.learn_encoder`. Lesson 05."""
    return nn.Sequential(  #                                                          x [N, 1, 28, 28] in [-1, 1]
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(),  #                                [N, 256]
        nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, latent_dim),  #                  [N, latent_dim]
    )  # fmt: skip


def digit_classifier():
    """A classifier: images [N, 1, 28, 28] in [-1, 1] → 10 logits; evaluation.py takes what enters its last layer."""
    return nn.Sequential(  #                                                          x [N, 1, 28, 28]
        nn.Conv2d(1, 32, 5, stride=2, padding=2), nn.BatchNorm2d(32), nn.ReLU(),  #     [N, 32, 14, 14]
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),  #              [N, 64, 14, 14]
        nn.MaxPool2d(2),  #                                                             [N, 64, 7, 7]
        nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),  #              [N, 64, 7, 7]
        nn.Flatten(), nn.Linear(64 * 49, 128), nn.BatchNorm1d(128), nn.ReLU(),  #       [N, 128] the features
        nn.Linear(128, 10),  #                                                          [N, 10] the logits
    )  # fmt: skip


PAIRS = {
    "mlp": (mlp_generator, mlp_discriminator),
    "mlp-sigmoid": (mlp_sigmoid_generator, mlp_relu_discriminator),
    "dcgan": (dcgan_generator, dcgan_discriminator),
    "mapped": (mapped_generator, plain_discriminator),
    "dcgan-plain": (dcgan_generator, plain_discriminator),
    "dcgan-spectral": (dcgan_generator, spectral_discriminator),
    "residual": (residual.generator, residual.discriminator),
}


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
