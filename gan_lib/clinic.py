"""The clinic: what a run's records say about its health, and six faults to learn the signs by. Lesson 07."""

import contextlib
import copy
import functools
import itertools
import random
from collections.abc import Callable
from statistics import fmean
from typing import NamedTuple

import torch

from gan_lib import data, losses, recipes, training

SPAN = 100  # steps that a sign is taken over: within a few, a sound game may look like any fault
HEALTHY = "healthy"


class Remark(NamedTuple):
    """What `diagnose` found."""

    fault: str  # a name in FAULTS
    sign: str  # what shows it, with the numbers
    cure: str

    def __str__(self):
        return f"{self.fault}: {self.sign}; {self.cure}"


def diagnose(records):
    """The `Remark` on the first of `FAULTS` that `training.Record`s show; None where none does, or they span under 100 steps."""
    means = spans(records)
    for name, fault in FAULTS.items():
        if means and fault.shows(means):
            return Remark(name, fault.sign(means), fault.cure)
    return None


def spans(records):
    """The records, brought together to means over 100 steps, or more where they lie further apart; a last part is left out.

    Those of a run that went on from a later step begin with their first, for nobody knows how far that one reaches back.
    """
    found, some, start = [], [], 0
    if records and records[0].step > SPAN:
        start = records[0].step
    for record in records:
        some.append(record)
        if record.step - start >= SPAN:
            found.append(together(some, start))
            some, start = [], record.step
    return found


def together(records, start):
    """One record in place of several that follow each other, the first of them from step `start` on."""
    steps = [b - a for a, b in itertools.pairwise([start, *(record.step for record in records)])]
    columns = zip(*(record[3:] for record in records), strict=True)  # behind step, images and seconds
    return training.Record(*records[-1][:3], *(fmean(column, steps) for column in columns))


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
    game.judge_both = lambda real, _: sound.judge_both(real, sound.generate(sound.noise(len(real))))  # no detach
    # D's step moved G, so the fakes from before it are stale
    game.judge = lambda fake: sound.judge(sound.generate(sound.noise(len(fake))))
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


class Fault(NamedTuple):
    """How to break a game, and how its records show it: `shows` and `sign` look at what `spans` makes of them."""

    breaks: Callable
    shows: Callable
    sign: Callable  # says what there is to see, in a sound run too
    cure: str


def highest(means, field):
    """The largest value of a field in these records."""
    return max(getattr(mean, field) for mean in means)


def lowest(means, field):
    """The smallest value of a field in these records."""
    return min(getattr(mean, field) for mean in means)


FAULTS = {  # in the order in which to look: the first two may look like any of the others, but not the other way round
    "range": Fault(
        wrong_range,
        lambda means: means[-1].real_max > 1.01,
        lambda means: f"pixels of real images go up to {means[-1].real_max:.2f}, and G's tanh to 1",
        "bring the images to [-1, 1] (data.to_range)",
    ),
    "no detach": Fault(
        no_detach,
        lambda means: means[-1].shared > 0,
        lambda means: f"D's optimiser holds {means[-1].shared:.0f} tensors of G's weights",
        "detach the fakes in D's step, and give each player its own optimiser",
    ),
    "learning rate": Fault(
        high_rate,
        lambda means: highest(means, "d_loss") > 3,
        lambda means: f"d_loss goes up to {highest(means, 'd_loss'):.3g}, and a D that never decides pays 2 at most",
        "let both players, or D at least, learn at a lower rate",
    ),
    "swapped labels": Fault(
        swapped_labels,
        lambda means: means[-1].d_fake - means[-1].d_real > 0.5,
        lambda means: f"D(x) ends at {means[-1].d_real:.2f}, and D(G(z)) at {means[-1].d_fake:.2f}",
        "in D's loss, label real images 1 and fakes 0",
    ),
    "sigmoid twice": Fault(
        two_sigmoids,  # other losses: d_loss or g_loss leaves these bounds once D tells the kinds
        lambda means: (
            (min(lowest(means, "d_fake"), lowest(means, "d_real")) > 0.499 and 0.55 < highest(means, "d_real") < 0.732)
            and (lowest(means, "d_loss") > 1 and 0.31 < lowest(means, "g_loss") <= highest(means, "g_loss") < 0.694)
        ),
        lambda means: (
            f"D(x) reaches {highest(means, 'd_real'):.2f} and D(G(z)) falls to {lowest(means, 'd_fake'):.2f}, "
            "and the sigmoid of a sigmoid lies between 0.50 and 0.73"
        ),
        "let D end in a linear layer, for the loss has the sigmoid in it",
    ),
    "discriminator too strong": Fault(
        strong_discriminator,
        lambda means: any(0 <= mean.d_loss < 0.01 and mean.d_real > 0.99 and mean.d_fake < 0.01 for mean in means),
        lambda means: f"d_loss falls to {lowest(means, 'd_loss'):.4f}, and G has little to go by",
        "let D learn more slowly or G faster, or hold D's slopes in check with a penalty",
    ),
}


def broken(fault, seed=0, device="cpu"):
    """A game of `mlp-quick`'s nets and rates with the fault (a name in `FAULTS`, or "healthy"), and its images."""
    if fault not in (HEALTHY, *FAULTS):
        raise ValueError(f"There is no fault called {fault!r}; choose one of: {', '.join(FAULTS)}.")
    game, images = recipes.get("mlp-quick").game(seed, device), data.load(device=device).images
    return game, images if fault == HEALTHY else FAULTS[fault].breaks(game, images)


class Patient(NamedTuple):
    """A game that may be broken, and the records of its first steps, as far as its losses are numbers."""

    game: training.Game
    records: list


def admit(fault, seed=0, steps=300):
    """The `Patient` with this fault, or "healthy"."""
    game, images = broken(fault, seed)
    patient = Patient(game, [])
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
