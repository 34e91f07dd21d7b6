"""One training run: a discriminator step, a generator step, the exponential moving average, and `train`, which repeats them.

Lesson 02 writes these steps by hand. Here both share one batch of fakes.
"""

import copy
import itertools
import math
import time
from typing import NamedTuple

import torch

from gan_lib import UserError, capture, data, hardware, losses
from gan_lib.sampler import Sampler


class Game:
    """Two nets, an optimiser for each, the generator's exponential moving average (EMA), and how far the run has come.

    `average`, the EMA, is the generator to sample from (Yazıcı et al. 2018, arXiv 1806.04498). Raises `UserError` where a
    setting is outside its `RANGES`, or where a gradient penalty meets a discriminator with BatchNorm.
    """

    def __init__(self, generator, discriminator, *, latent_dim, loss=losses.LOSSES["non-saturating"],
                 penalty=losses.PENALTIES["R1 + R2"], gamma=0.0, penalty_every=1, batch_size=64, g_lr=2e-4,
                 d_lr=2e-4, horizon=None, betas=(0.5, 0.999), ema=0.999, truncation=1.0, seed=0):  # fmt: skip
        check_settings(**{name: value for name, value in locals().items() if name in RANGES})
        batch_norm = torch.nn.modules.batchnorm._BatchNorm  # the base class of every kind
        self.one_pass = not any(isinstance(layer, batch_norm) for layer in discriminator.modules())
        if gamma > 0 and not self.one_pass:
            words = "A gradient penalty (gamma > 0) needs a discriminator without BatchNorm, which mixes the gradients of images"
            raise UserError(f'{words}: take nets "dcgan-plain" (models.plain_discriminator()), or leave gamma at 0.')
        self.generator, self.discriminator = generator, discriminator
        self.average = copy.deepcopy(generator).eval().requires_grad_(False)
        self.device = next(generator.parameters()).device
        self.g_optimizer = torch.optim.Adam(generator.parameters(), g_lr, betas, fused=True)
        self.d_optimizer = torch.optim.Adam(discriminator.parameters(), d_lr, betas, fused=True)
        self.classes = getattr(generator, "classes", 0)  # 0: neither net is conditioned on labels
        self.latent_dim, self.loss, self.batch_size, self.ema, self.seed = latent_dim, loss, batch_size, ema, seed
        self.penalty, self.gamma, self.penalty_every, self.truncation = penalty, gamma, penalty_every, truncation
        self.rates, self.horizon = (g_lr, d_lr), horizon  # see `schedule`
        self.rng = torch.Generator(self.device).manual_seed(seed)
        self.dtype = hardware.fast_dtype(self.device)
        self.team, self.repeat = hardware.Team(), capture.Graphs()
        self.step, self.seconds = 0, 0.0

    def schedule(self):
        """The rates of G and D now, and the EMA's 1 - decay. After a quarter of `horizon` rates decay linearly to 1 %."""
        factor = 1.0 if self.horizon is None else min(1.0, max(0.01, (1 - self.step / self.horizon) / 0.75))
        decay = min(self.ema, (1 + self.step) / (10 + self.step))  # warm-up: the first, bad weights are soon forgotten
        return factor * self.rates[0], factor * self.rates[1], 1 - decay

    def noise(self, n):
        """The next n latent vectors z [n, latent_dim] from N(0, 1). With several processes, only the rows of this one."""
        return torch.randn(n, self.latent_dim, generator=self.rng, device=self.device)[self.team.share]

    def generate(self, z, y=None):
        """Fake images G(z) [N, 1, 28, 28] of z [N, latent_dim] and, in a conditional GAN, of labels y [N]."""
        with self.autocast():
            return (self.generator(z) if y is None else self.generator(z, y)).float()

    def judge(self, images, y=None):
        """D's logits [N] of images [N, 1, 28, 28], high for real; y [N] are the labels that belong to them."""
        with self.autocast():
            return self.logits(images, y).float()

    def judge_both(self, real, fake, y=None):
        """D's logits of both. In one pass, which is faster, unless BatchNorm would mix real and fake images."""
        if self.one_pass:
            return self.judge(torch.cat([real, fake]), y).split([len(real), len(fake)])
        return self.judge(real, y), self.judge(fake, y)

    def logits(self, images, y=None):
        """As `judge`, in the precision of the weights. Real images with fake ones after them share the same labels."""
        return self.discriminator(images) if y is None else self.discriminator(images, y.repeat(len(images) // len(y)))

    def autocast(self):
        """A context in which the nets compute in `dtype`; what enters and leaves them stays float32."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def sampler(self):
        """The averaged generator, frozen as it is now (`models.Sampler`)."""
        return Sampler(self.average, self.latent_dim, self.truncation)


class Record(NamedTuple):
    """Means over the iterations since the record before. D(x) and D(G(z)) are probabilities."""

    step: int  # iterations since the start of the run
    images: int  # real images shown since then
    seconds: float  # spent in training since then
    d_loss: float
    g_loss: float
    d_real: float  # mean D(x), in [0, 1]
    d_fake: float  # mean D(G(z)), in [0, 1], as the discriminator step sees it


class Diverged(ArithmeticError):
    """A loss is no longer a finite number. The message says at which step, and the usual causes."""


def discriminator_step(game, real, fake, y=None):
    """Update D: high logits for `real`, low ones for `fake`, both [N, 1, 28, 28]. Returns d_loss, real_logits, fake_logits."""
    game.discriminator.requires_grad_(True)
    fake = fake.detach()  # no gradient reaches G
    real_logits, fake_logits = game.judge_both(real, fake, y)
    d_loss = game.loss.discriminator(real_logits, fake_logits)
    game.d_optimizer.zero_grad()
    (d_loss + gradient_penalty(game, real, fake, y)).backward()
    game.d_optimizer.step()
    return d_loss.detach(), real_logits.detach(), fake_logits.detach()


def generator_step(game, real, fake, y=None):
    """Update G, which made `fake`: high logits for its fakes. Returns g_loss."""
    game.discriminator.requires_grad_(False)  # gradients pass through D and leave it as it is
    real_logits = game.judge(real, y) if game.loss.paired else None
    g_loss = game.loss.generator(real_logits, game.judge(fake, y))
    game.g_optimizer.zero_grad()
    g_loss.backward()
    game.g_optimizer.step()
    return g_loss.detach()


def iteration(game, real, y=None):
    """D's step, G's step, then the EMA. Returns [d_loss, g_loss, mean D(x), mean D(G(z))], on the device."""
    set_learning_rates(game)
    fake = game.generate(game.noise(game.batch_size), y)  # one batch of fakes for both steps
    d_loss, real_logits, fake_logits = discriminator_step(game, real, fake, y)
    g_loss = generator_step(game, real, fake, y)
    update_average(game)
    game.step += 1
    return torch.stack([d_loss, g_loss, real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()])


def train(game, images, steps, record_every=100):
    """Train for `steps` iterations on `images` (see `real_batches`); yield a `Record` every `record_every` and at the end.

    It prints, draws and saves nothing: the caller's loop does. After a `break` or an interrupt the game can be used, and a
    later call goes on from there. Nothing waits for the device between two records. Raises `Diverged`.
    """
    batches, end = real_batches(game, images), game.step + steps
    while game.step < end:
        start, n = time.perf_counter(), min(record_every - game.step % record_every, end - game.step)
        total = game.repeat(iteration, game, itertools.islice(batches, n))  # on a GPU as CUDA graphs: lesson 15
        means = game.team.mean(total / n).tolist()  # the only wait for the device
        game.seconds += time.perf_counter() - start
        if not all(map(math.isfinite, means)):
            what = f"A loss stopped being a number before step {game.step}: d_loss {means[0]}, g_loss {means[1]}."
            raise Diverged(f"{what} The usual causes: a learning rate too high, or images that are not in [-1, 1].")
        yield Record(game.step, game.step * game.batch_size, game.seconds, *means)


def gradient_penalty(game, real, fake, y=None):
    """gamma / 2 · `game.penalty` of D, computed only in every k-th iteration, and then multiplied by k."""
    k = game.penalty_every
    if game.gamma == 0 or game.step % k:
        return 0.0
    return k * game.gamma / 2 * game.penalty(lambda images: game.logits(images, y), real, fake)


@torch.no_grad()
def update_average(game):
    """average ← decay · average + (1 - decay) · generator: weights, and BatchNorm's running means and variances."""
    nets = game.average, game.generator  # BatchNorm's count of batches, an integer, is left out
    averages, weights = ([t for t in (*net.parameters(), *net.buffers()) if t.is_floating_point()] for net in nets)
    torch._foreach_lerp_(averages, weights, len(weights) * [game.schedule()[-1]])  # all tensors in one call


def set_learning_rates(game):
    """Give the optimisers of G and D their rates of `Game.schedule`."""
    for optimizer, rate in zip((game.g_optimizer, game.d_optimizer), game.schedule()[:2], strict=True):
        optimizer.param_groups[0]["lr"] = rate


def real_batches(game, images):
    """Yield (real, y) without end, from the game's step on; y is None in a game without labels.

    `images` are uint8 [M, 28, 28] or, with labels, `data.Digits`: real is in [-1, 1]. Or they are a world, anything with
    `sample(n, rng)`: real is the next n points for a `torch.Generator`. Raises `UserError` for missing or unknown labels.
    """
    if game.classes and (not isinstance(images, data.Digits) or images.labels.max() >= game.classes):
        raise UserError(f"This game needs labels from 0 to {game.classes - 1}: use the digits of data.load().")
    if hasattr(images, "sample"):
        batches = ((images.sample(game.batch_size, game.rng), None) for _ in itertools.count())
    else:
        images = images.images if isinstance(images, data.Digits) and not game.classes else images
        batches = data.labelled_batches(images, game.batch_size, seed=game.seed, start=game.step)
    for real, y in batches:
        yield real[game.team.share], (y[game.team.share] if game.classes else None)


SIZES = ("latent_dim", "width", "d_width", "channels", "batch_size", "epochs", "penalty_every")
RANGES = dict.fromkeys(SIZES, (1, 65_536)) | dict.fromkeys(("gamma", "g_lr", "d_lr"), (0.0, 1e300))
RANGES |= {"classes": (0, 65_536), "horizon": (1, 2**40), "seed": (-(2**32), 2**32), "step": (0, 2**40)}
RANGES |= {"betas": (0.0, 1 - 1e-9), "ema": (0.0, 1.0), "truncation": (1e-6, 1.0), "seconds": (0.0, 1e12)}


def check_settings(**settings):
    """Raise `UserError` with one sentence for the first setting outside its `RANGES`: integers where the limits are."""
    for name, value in settings.items():
        low, high = RANGES[name]
        if value is None and name in ("horizon", "d_width"):
            continue
        kind, words = (int, "a whole number") if isinstance(low, int) else ((int, float), "a number")
        values, words = (value, "two numbers, each") if name == "betas" else ((value,), words)
        sound = isinstance(values, (tuple, list)) and len(values) == (2 if name == "betas" else 1)
        if not sound or any(isinstance(v, bool) or not isinstance(v, kind) or not low <= v <= high for v in values):
            raise UserError(f"{name} must be {words} from {low:,} to {high:,}, not {value!r:.80}.")
