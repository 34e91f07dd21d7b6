"""The game: one discriminator step, one generator step, the moving average, and `train`, which repeats them.

Written out by hand in lesson 02; this is the same code, kept.
"""

import contextlib
import copy
import itertools
import math
import time
from collections import defaultdict
from typing import NamedTuple

import torch

from gan_lib import data, losses, models, parallel
from gan_lib.settings import check


class Game:
    """Two nets, an optimiser for each, the generator's moving average, and where the run stands.

    `average` is the generator one should sample from: the exponential moving average of the generator's weights
    (Yazıcı et al. 2018, arXiv 1806.04498), with decay `ema` reached gradually, so that a short run has one too.
    Raises `ValueError` where a setting is outside its `settings.RANGES`, or a penalty meets a discriminator with BatchNorm.
    """

    def __init__(self, generator, discriminator, *, latent_dim, loss=losses.LOSSES["non-saturating"],
                 penalty=losses.PENALTIES["R1 + R2"], gamma=0.0, penalty_every=1, batch_size=64, g_lr=2e-4,
                 d_lr=2e-4, horizon=None, betas=(0.5, 0.999), ema=0.999, truncation=1.0, seed=0):  # fmt: skip
        check(latent_dim=latent_dim, gamma=gamma, penalty_every=penalty_every, batch_size=batch_size, g_lr=g_lr,
              d_lr=d_lr, horizon=1 if horizon is None else horizon, betas=betas, ema=ema, truncation=truncation,
              seed=seed)  # fmt: skip
        self.generator, self.discriminator = generator, discriminator
        if gamma > 0 and self.batch_norm():
            raise ValueError(
                "A gradient penalty (gamma > 0) needs a discriminator without BatchNorm, which mixes the gradients of "
                'images: take nets "dcgan-plain", that is models.plain_discriminator(), or leave gamma at 0.'
            )
        self.average = copy.deepcopy(generator).eval().requires_grad_(False)
        self.device = next(generator.parameters()).device
        self.g_optimizer = torch.optim.Adam(generator.parameters(), g_lr, betas, fused=True)
        self.d_optimizer = torch.optim.Adam(discriminator.parameters(), d_lr, betas, fused=True)
        self.classes = models.classes_of(generator)
        self.latent_dim, self.loss, self.batch_size, self.ema, self.seed = latent_dim, loss, batch_size, ema, seed
        self.penalty, self.gamma, self.penalty_every, self.truncation = penalty, gamma, penalty_every, truncation
        self.rates, self.horizon = (g_lr, d_lr), horizon  # `anneal` hands the rates to the optimisers
        self.rng = torch.Generator(self.device).manual_seed(seed)
        self.dtype = fast_dtype(self.device)
        self.team = parallel.Team()
        self.step, self.seconds = 0, 0.0

    def noise(self, n):
        """The next n points z [n, latent_dim] from N(0, 1)."""
        return torch.randn(n, self.latent_dim, generator=self.rng, device=self.device)

    def generate(self, z, *labels):
        """Fakes G(z) [N, 1, 28, 28] of z [N, latent_dim], and of labels [N] in a game that has them."""
        with self.autocast():
            return self.generator(z, *labels).float()

    def judge(self, images, *labels):
        """D's logits [N] of images [N, 1, 28, 28], and of what they are said to show."""
        with self.autocast():
            return self.discriminator(images, *repeated(labels, images)).float()

    def batch_norm(self):
        """Whether D has BatchNorm of any kind."""
        kind = torch.nn.modules.batchnorm._BatchNorm  # of which torch makes them all
        return any(isinstance(layer, kind) for layer in self.discriminator.modules())

    def judge_both(self, real, fake, *labels):
        """D's logits of both: in one pass, which is faster, unless D has BatchNorm, which is to see each kind by itself."""
        if self.batch_norm():
            return self.judge(real, *labels), self.judge(fake, *labels)
        return self.judge(torch.cat([real, fake]), *labels).split([len(real), len(fake)])

    def autocast(self):
        """A context in which the products inside the nets are worked out in `dtype`; what goes in and comes out is float32."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def sampler(self):
        """The averaged generator, frozen as it is now (`models.Sampler`)."""
        return models.Sampler(self.average, self.latent_dim, self.truncation)


def repeated(labels, images):
    """Labels for a pile of images: real ones and fakes lie in it one after the other, and have the same labels."""
    return [each.repeat(len(images) // len(each)) for each in labels]


def fast_dtype(device):
    """bfloat16 on CPUs that multiply it faster than float32 (those with AVX-512 BF16 or AMX), else float32.

    GPUs have float32: they start these small operations more slowly than they do them, and bfloat16 adds some more. That is
    reasoned, not measured yet. Lesson 11 shows what bfloat16 brings, and what it costs.
    """
    known = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of PyTorch can't tell
    fast = device.type == "cpu" and (known.get("avx512_bf16") or known.get("amx_bf16"))
    return torch.bfloat16 if fast else torch.float32


class Record(NamedTuple):
    """How the game went since the last record: means over those steps. D(x) and D(G(z)) are probabilities."""

    step: int  # pairs of steps since the start of the run
    images: int  # real images shown since then
    seconds: float  # spent in training since then
    d_loss: float
    g_loss: float
    d_real: float  # mean D(x), in [0, 1]
    d_fake: float  # mean D(G(z)), in [0, 1], as the discriminator step sees it


class Diverged(ArithmeticError):
    """A loss is not a number any more. The message says at which step, and the usual causes."""


def discriminator_step(game, real, fake, *labels):
    """Move D one step towards telling `real` from `fake` [N, 1, 28, 28]. Returns d_loss, real_logits, fake_logits.

    `labels` [N], in a game that has them, are what the real images show, and what the fakes are to show.
    """
    game.discriminator.requires_grad_(True)
    real_logits, fake_logits = game.judge_both(real, fake.detach(), *labels)  # no gradient goes past the fakes, into G
    d_loss = game.loss.discriminator(real_logits, fake_logits)
    game.d_optimizer.zero_grad()
    (d_loss + penalty(game, real, fake.detach(), *labels)).backward()
    game.d_optimizer.step()
    return d_loss.detach(), real_logits.detach(), fake_logits.detach()


def penalty(game, real, fake, *labels):
    """gamma / 2 · `game.penalty` of D at these images; taken at every k-th step only, it counts k times. 0 where gamma is 0."""
    k = game.penalty_every
    if game.gamma == 0 or game.step % k:
        return 0.0
    judge = lambda images: game.discriminator(images, *repeated(labels, images))
    return k * game.gamma / 2 * game.penalty(judge, real, fake)


def generator_step(game, real, fake, *labels):
    """Move G, which made `fake`, one step towards fooling D. Returns g_loss, real_logits (None if unpaired), fake_logits."""
    game.discriminator.requires_grad_(False)  # gradients pass through D, and stay out of it
    real_logits, fake_logits = game.judge(real, *labels) if game.loss.paired else None, game.judge(fake, *labels)
    g_loss = game.loss.generator(real_logits, fake_logits)
    game.g_optimizer.zero_grad()
    g_loss.backward()
    game.g_optimizer.step()
    return g_loss.detach(), real_logits, fake_logits.detach()


@torch.no_grad()
def update_average(game):
    """average ← decay · average + (1 - decay) · generator: weights, and BatchNorm's running means and variances."""
    decay = min(game.ema, (1 + game.step) / (10 + game.step))
    torch._foreach_lerp_(weights_and_statistics(game.average), weights_and_statistics(game.generator), 1 - decay)


def weights_and_statistics(net):
    """The parameters and buffers of a net, but for BatchNorm's count of batches."""
    return [tensor for tensor in (*net.parameters(), *net.buffers()) if tensor.is_floating_point()]


def anneal(game):
    """Let the optimisers learn at `game.rates`; with a `game.horizon` for a quarter of it, then linearly less, to a hundredth."""
    factor = 1.0 if game.horizon is None else min(1.0, max(0.01, (1 - game.step / game.horizon) / 0.75))
    for optimizer, rate in zip((game.g_optimizer, game.d_optimizer), game.rates, strict=True):
        optimizer.param_groups[0]["lr"] = factor * rate


def real_batches(game, images):
    """The batches from where the game stands on, as (real, labels), or (real,) in a game that has no labels.

    They are cut from `images`, uint8 [M, 28, 28], and are in [-1, 1]; from `data.Digits`, for the labels; or drawn from a world,
    which is anything with `sample(n, rng)`, for the next n points of a `torch.Generator`. Raises `ValueError` where the game
    needs labels and there are none, or more classes of them than it knows.
    """
    if hasattr(images, "sample"):
        return ((images.sample(game.batch_size, game.rng),) for _ in itertools.count())
    digits = images if isinstance(images, data.Digits) else (images,)
    if game.classes and (len(digits) < 2 or digits.labels.max() >= game.classes):
        raise ValueError(
            f"This game needs labels from 0 to {game.classes - 1}: give it digits as data.load() returns them."
        )
    digits = digits if game.classes else digits[:1]
    return data.labelled_batches(digits, game.batch_size, seed=game.seed, start=game.step)


def train(game, images, steps, record_every=100):
    """Play `steps` pairs of steps on `images` (see `real_batches`); yield a `Record` every `record_every` and at the end.

    It prints, draws and saves nothing: the caller's loop does. The caller may `break`, or interrupt; the game stays
    usable, and a later call goes on where it stopped. Nothing waits for the device between two records.
    Raises `Diverged` when a loss is not finite.
    """
    end = game.step + steps
    sums, since, clock = torch.zeros(4, device=game.device), game.step, time.perf_counter()
    for batch in itertools.islice(real_batches(game, images), steps):
        anneal(game)
        z, real, *labels = (part[game.team.share] for part in (game.noise(game.batch_size), *batch))
        fake = game.generate(z, *labels)
        d_loss, real_logits, fake_logits = discriminator_step(game, real, fake, *labels)
        g_loss, _, _ = generator_step(game, real, fake, *labels)
        update_average(game)

        game.step += 1
        sums += torch.stack([d_loss, g_loss, real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()])

        if game.step % record_every == 0 or game.step == end:
            means = game.team.mean(sums / (game.step - since)).tolist()  # the only place that waits for the device
            game.seconds += time.perf_counter() - clock
            if not all(map(math.isfinite, means)):
                raise Diverged(
                    f"A loss stopped being a number before step {game.step}: d_loss {means[0]}, g_loss {means[1]}. "
                    "The usual causes: a learning rate too high, or images that are not in [-1, 1]."
                )
            yield Record(game.step, game.step * game.batch_size, game.seconds, *means)
            sums, since, clock = torch.zeros_like(sums), game.step, time.perf_counter()


@contextlib.contextmanager
def untouched(game):
    """A context in which the game may be played: it works on copies of its tensors, and all is put back at the end."""
    nets, optimizers = (game.generator, game.discriminator, game.average), (game.g_optimizer, game.d_optimizer)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    tensors = {t for net in nets for t in (*net.parameters(), *net.buffers())}.union(*(g["params"] for g in groups))
    held = [(tensor, tensor.data, tensor.grad, tensor.requires_grad) for tensor in tensors]
    # what else belongs to the run, each with a copy of its fields
    fields = [(thing, dict(vars(thing))) for thing in (game, *(part for net in nets for part in net.modules()))]
    states, options, rng = [each.state for each in optimizers], [dict(group) for group in groups], game.rng.get_state()
    try:
        for tensor, values, gradient, _ in held:
            tensor.data, tensor.grad = values.clone(), None if gradient is None else gradient.clone()
        for optimizer, state in zip(optimizers, states, strict=True):
            optimizer.state = defaultdict(dict, {weights: copy.deepcopy(slots) for weights, slots in state.items()})
        with torch.random.fork_rng([game.device] if game.device.type == "cuda" else []):
            yield
    finally:
        for tensor, values, gradient, needs in held:
            tensor.requires_grad_(needs).data, tensor.grad = values, gradient
        for thing, values in (*fields, *zip(groups, options, strict=True)):
            (thing if isinstance(thing, dict) else vars(thing)).update(values)
        for optimizer, state in zip(optimizers, states, strict=True):
            optimizer.state = state
        game.rng.set_state(rng)
