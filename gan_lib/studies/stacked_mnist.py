"""A thousand modes: three digits in the three channels of an image, so that what a generator forgets can be counted.

Stacked digits are of Metz et al. 2016 (arXiv 1611.02163), and counted here as by Lin et al. 2017 (PacGAN, arXiv 1712.04086):
26,000 samples, a classifier reads each channel, and a mode is a number from 0 to 999. Introduced in lesson 07.
"""

from dataclasses import replace
from typing import NamedTuple

import torch

from gan_lib import data, evaluation
from gan_lib.recipes import Recipe

SAMPLES = 26_000
# Width, batch and rates are those of `dcgan-quick`
VANILLA = Recipe("vanilla", "dcgan-plain", channels=3, width=24, batch_size=32, g_lr=2e-3, d_lr=1e-3)
PENALISED = {"gamma": 1.0, "penalty_every": 4}  # R1 + R2, as in `best`
NO_MOMENTUM = {"betas": (0.0, 0.99)}  # as in `best`
RECIPES = {  # one pair of nets at one pair of rates: nothing differs but what the name says
    recipe.name: recipe
    for recipe in (
        VANILLA,
        replace(VANILLA, name="relativistic", loss="relativistic"),
        replace(VANILLA, name="vanilla-penalised", **PENALISED),
        replace(VANILLA, name="relativistic-penalised", loss="relativistic", **PENALISED),
        replace(VANILLA, name="vanilla-no-momentum", **NO_MOMENTUM),
        replace(VANILLA, name="relativistic-penalised-no-momentum", loss="relativistic", **PENALISED, **NO_MOMENTUM),
    )
}


class StackedDigits:
    """A world (see `training.real_batches`) of `channels` digits in one image, each drawn at random from the first `classes`.

    `modes` is how many combinations there are: classes ** channels.
    """

    def __init__(self, classes=10, channels=3, train=True, device="cpu"):
        images, labels = data.load(train=train, device=device)
        self.images = images[labels < classes]  # uint8 [M, 28, 28]
        self.classes, self.channels, self.modes = classes, channels, classes**channels

    def sample(self, n, rng):
        """The next n stacks, float [n, channels, 28, 28] in [-1, 1]; `rng` lives on the device of the images."""
        chosen = torch.randint(len(self.images), (n * self.channels,), generator=rng, device=self.images.device)
        return data.to_range(self.images.index_select(0, chosen)).view(n, self.channels, 28, 28)

    def codes(self, images):
        """What the digit net reads in images [N, channels, 28, 28], int64 [N]: 3, 0 and 7 in the channels are the number 307."""
        logits = evaluation.features_and_logits(images.reshape(-1, 1, 28, 28))[1][:, : self.classes]
        digits = logits.argmax(1).view(len(images), self.channels)
        return sum(digits[:, c] * 10 ** (self.channels - 1 - c) for c in range(self.channels))


class Modes(NamedTuple):
    """How much of a world was met."""

    found: int  # modes met at least once
    kl: float  # KL divergence of the samples' shares from even ones, in nats; 0 is best, log(modes) is a single mode


def count(codes, modes):
    """The `Modes` of codes [N] in a world of so many `modes`: sum of p log(p · modes) over the codes, p being a code's share."""
    shares = codes.bincount() / len(codes)
    return Modes((shares > 0).sum().item(), torch.xlogy(shares, shares * modes).sum().item())


def atlas(codes, classes=10):
    """A cell for each mode of three channels: a block for the first digit, in it a row for the second, a column for the third.

    Black was never met; the lighter, the more often, up to twice the even share. uint8 [height, width], for `plotting.show`.
    """
    counts = codes.bincount(minlength=1000).cpu().view(10, 10, 10)[:classes, :classes, :classes]
    share = counts * classes**3 / len(codes)  # 1 is even
    light = torch.where(share > 0, 70 + 92 * share.clamp(max=2), 0).byte()
    cells = light.repeat_interleave(8, 1).repeat_interleave(8, 2)
    return torch.nn.functional.pad(cells, (4, 4, 4, 4), value=40).permute(1, 0, 2).flatten(1).numpy()
