"""Stacked MNIST (Metz et al. 2016, arXiv 1611.02163): a digit in each of three channels, so 1,000 modes. Lesson 09.

As in Lin et al. 2017 (PacGAN, arXiv 1712.04086), a classifier reads each channel.
"""

from dataclasses import replace

import torch

from gan_lib import data, evaluation
from gan_lib.recipes import Recipe

# Width, batch size and learning rates as in `dcgan-quick`
VANILLA = Recipe("vanilla", "dcgan-plain", channels=3, width=24, batch_size=32, g_lr=2e-3, d_lr=1e-3)
PENALISED = replace(VANILLA, gamma=1.0, penalty_every=4)  # R1 + R2, as in `best`
NO_MOMENTUM = (0.0, 0.99)  # Adam's betas, as in `best`
RECIPES = {  # they differ only in what their names say
    "vanilla": VANILLA,
    "relativistic": replace(VANILLA, loss="relativistic"),
    "vanilla-penalised": PENALISED,
    "relativistic-penalised": replace(PENALISED, loss="relativistic"),
    "vanilla-no-momentum": replace(VANILLA, betas=NO_MOMENTUM),
    "relativistic-penalised-no-momentum": replace(PENALISED, loss="relativistic", betas=NO_MOMENTUM),
}
RECIPES = {name: replace(recipe, name=name) for name, recipe in RECIPES.items()}


class StackedDigits:
    """Images of three digits, one a channel, each drawn at random from the first `classes`. `training.train` takes it."""

    def __init__(self, classes=10, train=True, device="cpu"):
        images, labels = data.load(train=train, device=device)
        self.images = images[labels < classes]  # uint8 [M, 28, 28]
        self.classes, self.modes = classes, classes**3

    def sample(self, n, rng):
        """The next n stacks, float [n, 3, 28, 28] in [-1, 1]; `rng` lives on the device of the images."""
        chosen = torch.randint(len(self.images), (3 * n,), generator=rng, device=self.images.device)
        return data.to_range(self.images.index_select(0, chosen)).view(n, 3, 28, 28)

    def codes(self, images):
        """The mode of each image [N, 3, 28, 28], int64 [N]: the digits 3, 0 and 7, as the digit net reads them, are 307."""
        logits = evaluation.features_and_logits(images.reshape(-1, 1, 28, 28))[1][:, : self.classes]
        hundreds, tens, units = logits.argmax(1).view(-1, 3).unbind(1)
        return 100 * hundreds + 10 * tens + units
