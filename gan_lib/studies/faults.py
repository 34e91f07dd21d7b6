"""Six faults to practise the diagnosis on, and three blind runs that have some of them. Introduced in lesson 08."""

import contextlib
import copy
import functools
import random
from collections import namedtuple
from types import SimpleNamespace

import torch

from gan_lib import UserError, data, losses, recipes, training

HEALTHY = "healthy"

# Each fault takes a game and its training images. It breaks the game, or returns other training data.


def wrong_range(game, images):
    """Real images have mean 0 and variance 1, as for a classifier: they go up to 2.82, and G's tanh ends at 1."""

    def sample(n, rng):
        chosen = torch.randint(len(images), (n,), generator=rng)
        return (images[chosen].unsqueeze(1) / 255 - 0.1307) / 0.3081

    return SimpleNamespace(sample=sample)


def one_optimizer(game, images):
    """D's optimiser also holds G's weights, and the fakes aren't detached: D's step makes G's fakes easier to recognise."""
    both = [*game.discriminator.parameters(), *game.generator.parameters()]
    game.d_optimizer = torch.optim.Adam(both, game.rates[1], game.d_optimizer.defaults["betas"], fused=True)
    sound = copy.copy(game)  # the same nets
    fakes = lambda images: sound.generate(sound.noise(len(images)))  # not detached, and by G as D's step has left it
    game.judge_both = lambda real, _, y=None: sound.judge_both(real, fakes(real))
    game.judge = lambda fake, y=None: sound.judge(fakes(fake))


def high_rate(game, images):
    """Both players learn at 20 times their rate."""
    game.rates = tuple(20 * rate for rate in game.rates)


def swapped_labels(game, images):
    """D's loss takes real images for fakes, and fakes for real images."""
    sound = game.loss
    game.loss = losses.Loss(lambda real, fake: sound.discriminator(fake, real), sound.generator, sound.paired)


def two_sigmoids(game, images):
    """D ends in a sigmoid, and its loss applies another to the result."""
    game.discriminator.append(torch.nn.Sigmoid())


def strong_discriminator(game, images):
    """D learns at 100 times the rate of G."""
    game.rates = game.rates[1] / 100, game.rates[1]


FAULTS = {
    "range": wrong_range,
    "one optimiser": one_optimizer,
    "learning rate": high_rate,
    "swapped labels": swapped_labels,
    "sigmoid twice": two_sigmoids,
    "discriminator too strong": strong_discriminator,
}


def break_game(fault, seed=0):
    """A game of `mlp-quick` with a fault (a name in `FAULTS`, or "healthy"), and what it trains on. Raises `UserError`."""
    if fault not in (HEALTHY, *FAULTS):
        raise UserError(f"There is no fault called {fault!r}; choose one of: {', '.join(FAULTS)}.")
    game, images = recipes.get("mlp-quick").game(seed), data.load().images
    other = FAULTS[fault](game, images) if fault != HEALTHY else None
    return game, other or images


# A training run that may have a fault: its records until a loss is no longer finite, and what it trains on.
PracticeRun = namedtuple("PracticeRun", ["game", "records", "images"])


def train_broken(fault, seed=0, steps=300):
    """Train the game of `break_game`. Returns a `PracticeRun`."""
    game, images = break_game(fault, seed)
    run = PracticeRun(game, [], images)
    with contextlib.suppress(training.Diverged):
        for record in training.train(game, images, steps, record_every=20):
            run.records.append(record)
    return run


@functools.cache
def make_blind_runs():
    """Three `PracticeRun`s with the faults `blind_faults`. One may be healthy."""
    return [train_broken(fault, 1000 + i, steps=200) for i, fault in enumerate(blind_faults())]


def blind_faults():
    """The three names that the blind runs hide, drawn at random so that reading this doesn't give them away."""
    return random.Random("patients 0").sample([HEALTHY, *FAULTS], 3)
