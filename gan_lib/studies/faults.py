"""Six faults to learn the diagnosis by, and three runs that have some of them. Lesson 07."""

import contextlib
import copy
import functools
import random
from typing import NamedTuple

import torch

from gan_lib import UserError, data, losses, recipes, training
from gan_lib.studies.diagnosis import diagnose as diagnose

HEALTHY = "healthy"

# Six ways to break a game. Each takes it and the images that it was to learn, and returns those that it will learn.


class ZeroMean(NamedTuple):
    """A world of images [N, 1, 28, 28] with mean 0 and variance 1, as for a classifier: from -0.42 to 2.82."""

    images: torch.Tensor  # uint8 [M, 28, 28]

    def sample(self, n, rng):
        """The next n images, drawn with a `torch.Generator`."""
        chosen = torch.randint(len(self.images), (n,), generator=rng, device=self.images.device)
        return (self.images[chosen].unsqueeze(1) / 255 - 0.1307) / 0.3081


def wrong_range(game, images):
    """Real images go up to 2.82, and G's tanh ends at 1."""
    return ZeroMean(images)


def no_detach(game, images):
    """D's slopes go on into G, and D's optimiser holds G's weights as well: G helps D to tell its fakes."""
    both = [*game.discriminator.parameters(), *game.generator.parameters()]
    game.d_optimizer = torch.optim.Adam(both, game.rates[1], game.d_optimizer.defaults["betas"], fused=True)
    sound = copy.copy(game)  # the same nets, judged as they should be
    game.judge_both = lambda real, _, y=None: sound.judge_both(
        real, sound.generate(sound.noise(len(real)))
    )  # no detach
    # D's step moved G, so the fakes from before it are stale
    game.judge = lambda fake, y=None: sound.judge(sound.generate(sound.noise(len(fake))))
    return images


def high_rate(game, images):
    """Both players learn at 20 times their rate."""
    game.rates = tuple(20 * rate for rate in game.rates)
    return images


def swapped_labels(game, images):
    """D's loss takes real images for fakes, and fakes for real images."""
    sound = game.loss
    game.loss = losses.Loss(lambda real, fake: sound.discriminator(fake, real), sound.generator, sound.paired)
    return images


def two_sigmoids(game, images):
    """D ends in a sigmoid; its loss takes that for a logit, and puts another on top."""
    game.discriminator.append(torch.nn.Sigmoid())
    return images


def strong_discriminator(game, images):
    """D learns at 100 times the rate of G."""
    game.rates = game.rates[1] / 100, game.rates[1]
    return images


FAULTS = {
    "range": wrong_range,
    "no detach": no_detach,
    "learning rate": high_rate,
    "swapped labels": swapped_labels,
    "sigmoid twice": two_sigmoids,
    "discriminator too strong": strong_discriminator,
}


def broken(fault, seed=0, device="cpu"):
    """A game of `mlp-quick`'s nets and rates with the fault (a name in `FAULTS`, or "healthy"), and its images."""
    if fault not in (HEALTHY, *FAULTS):
        raise UserError(f"There is no fault called {fault!r}; choose one of: {', '.join(FAULTS)}.")
    game, images = recipes.get("mlp-quick").game(seed, device), data.load(device=device).images
    return game, images if fault == HEALTHY else FAULTS[fault](game, images)


class Patient(NamedTuple):
    """A game that may be broken, the records of its first steps, as far as its losses are numbers, and what it learns."""

    game: training.Game
    records: list
    images: object  # as training.real_batches takes them


def admit(fault, seed=0, steps=300):
    """The `Patient` with this fault, or "healthy"."""
    game, images = broken(fault, seed)
    patient = Patient(game, [], images)
    with contextlib.suppress(training.Diverged):
        for record in training.train(game, images, steps, record_every=20):
            patient.records.append(record)
    return patient


@functools.cache
def patients(seed=0):
    """Three `Patient`s, drawn with `seed`. One may be healthy: `answers` knows."""
    return [admit(fault, 1000 + 10 * seed + i, steps=200) for i, fault in enumerate(answers(seed))]


def answers(seed=0):
    """What the three `patients` have: who looks here spoils the game."""
    return random.Random(f"patients {seed}").sample([HEALTHY, *FAULTS], 3)
