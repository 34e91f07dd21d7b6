"""Broken and unusual training runs to try the diagnosis on.

Each fault takes a game, its images uint8 [M, 28, 28] and pytest's monkeypatch, and returns what the game learns from.
"""

import copy
from functools import partial
from types import SimpleNamespace

import torch
from torch.nn.functional import softplus

from gan_lib import training
from gan_lib.losses import Loss


def act(function):
    """The fault that `function(game, patch)` makes."""

    def fault(game, images, patch):
        function(game, patch)
        return images

    return fault


def put(**fields):
    """New values of the game's fields."""
    return act(lambda game, _: vars(game).update(fields))


def world(pixels):
    """Real images as `pixels` makes them of random uint8 images."""

    def sample(images, n, rng):
        return pixels(images[torch.randint(len(images), (n,), generator=rng)]).unsqueeze(1)

    return lambda game, images, patch: SimpleNamespace(sample=partial(sample, images))


def step(player, *, detach=None, freeze=True, clear="before", sign=1, every=1, spoil=False):
    """A step written by the user: `clear` is when gradients are zeroed, `every` how often the optimiser steps (0: never)."""

    def own(game, real, fake, y=None):
        game.discriminator.requires_grad_(player == "D" or not freeze)
        fake = fake.detach() if (player == "D" if detach is None else detach) else fake
        optimizer = game.d_optimizer if player == "D" else game.g_optimizer
        real_logits, fake_logits = logits = game.judge_both(real, fake, y)
        loss = (game.loss.discriminator if player == "D" else game.loss.generator)(*logits)
        for moment in ("before", "backward", "late", "step", "after"):
            if moment == clear:
                optimizer.zero_grad()
            if moment == "backward":
                (sign * loss).backward(retain_graph=True)  # G's step needs the graph of fakes that are not detached
                if spoil:
                    next(game.generator.parameters()).grad.fill_(torch.nan)
            if moment == "step" and every and game.step % every == 0:
                optimizer.step()
        return (loss.detach(), real_logits.detach(), fake_logits.detach()) if player == "D" else loss.detach()

    name = "discriminator_step" if player == "D" else "generator_step"
    return act(lambda _, patch: patch.setattr(training, name, own))


def optimizers(g, d=None):
    """Adam for each player over the nets that letters name: G, D, or O for an older copy of G. Without `d`, one for both."""

    def fault(game, _):
        nets = {"G": game.generator, "D": game.discriminator, "O": copy.deepcopy(game.generator)}
        weights = lambda names: [w for name in names for w in nets[name].parameters()]
        game.g_optimizer = torch.optim.Adam(weights(g), 1e-3, (0.5, 0.999))
        game.d_optimizer = torch.optim.Adam(weights(d), 1e-3, (0.5, 0.999)) if d else game.g_optimizer

    return act(fault)


def own_generate(function):
    """`game.generate(z)` is `function(G, z)`."""

    def fault(game, _):
        sound = game.generate
        game.generate = lambda z, y=None: function(lambda z: sound(z, y), z)

    return act(fault)


def own_loss(d=None, g=None):
    new = lambda sound: Loss(d or sound.discriminator, g or sound.generator, sound.paired)
    return act(lambda game, _: setattr(game, "loss", new(game.loss)))


@act
def eval_mode(game, _):
    game.generator.insert(1, torch.nn.BatchNorm1d(game.generator[0].out_features))
    game.average = copy.deepcopy(game.generator).requires_grad_(False)
    game.g_optimizer = torch.optim.Adam(game.generator.parameters(), 1e-3)
    game.generator.eval()


@act
@torch.no_grad()
def no_tanh(game, _):
    game.generator[4].weight *= 100  # as after more iterations
    game.rates = 2e-5, 1e-3
    game.generator[5] = torch.nn.Identity()


# The losses of an inverted D, whose logits are high for fakes, and losses that are sums.
INVERTED = lambda r, f: softplus(r).mean() + softplus(-f).mean(), lambda r, f: softplus(f).mean()
SUMS = lambda r, f: softplus(-r).sum() + softplus(f).sum(), lambda r, f: softplus(-f).sum()
FIXED = torch.randn(500, 64, generator=torch.Generator().manual_seed(0))

# name: (the fault, the fault of the remark, text that its sign or its causes must hold)
FAULTS = {
    "G detached in its step": (step("G", detach=True, freeze=False), "no gradient", "fakes are not detached"),
    "G made without a graph": (own_generate(torch.no_grad()(lambda G, z: G(z))), "no gradient", "without detach or no_grad"),
    "G in [0, 1]": (own_generate(lambda G, z: (G(z) + 1) / 2), "range", "in [-1.00, 1.00], and G's can lie in [0.00, 1.00]"),
    "data in [0, 1]": (world(lambda x: x / 255), "range", "in [0.00, 1.00], and G's can lie in [-1.00, 1.00]"),
    "data in [-1, 3]": (world(lambda x: x / 63.75 - 1), "range", "in [-1.00, 3.00], and G's can lie in [-1.00, 1.00]"),
    "G without tanh": (no_tanh, "unbounded pixels", "end G with tanh"),
    "NaN in the data": (world(lambda x: (x / 127.5 - 1).where(x < 255, torch.nan)), "data", "not finite"),
    "one image": (world(lambda x: (0 * x + x[:1]) / 127.5 - 1), "data", "values of a batch are equal"),
    "both rates nothing": (put(rates=(1e-30, 1e-30)), "learning rate", "raise it"),
    "G's rate tiny": (put(rates=(1e-6, 1e-3)), "learning rate", "the weights of G"),
    "D's rate tiny": (put(rates=(1e-3, 1e-6)), "learning rate", "the weights of D"),
    "D's rate huge": (put(rates=(1e-3, 0.1)), "learning rate", "D's learning rate is 0.1; lower it"),
    "both rates huge": (put(rates=(0.1, 0.1)), "learning rate", "is 0.1 and D's learning rate is 0.1; lower both"),
    "G's rate huge": (put(rates=(0.1, 1e-3)), "collapse", "the learning rates"),
    "G never clears": (step("G", clear=None), "stale gradients", "G's"),
    "D clears before its optimiser steps": (step("D", clear="late"), "no gradient", "zero_grad comes before backward"),
    "one z for ever": (put(noise=lambda n: FIXED[:n]), "noise", "two batches"),
    "G ignores z": (own_generate(lambda G, z: G(0 * z)), "collapse", "whether G gets z"),
    "optimisers swapped": (optimizers("D", "G"), "optimiser", "D's optimiser holds 0 of the 6 tensors of D, and 6"),
    "G's optimiser holds an older G": (optimizers("O", "D"), "optimiser", "G's optimiser holds 0 of the 6 tensors of G, and 0"),
    "one optimiser": (optimizers("GD"), "one optimiser", "and 6 of its opponent's"),
    "D never steps": (step("D", every=0), "optimiser", "D's never steps"),
    "D climbs": (step("D", sign=-1), "swapped labels", "lowers D(x) and raises D(G(z))"),
    "D's optimiser climbs": (act(lambda g, _: g.d_optimizer.param_groups[0].update(maximize=True)), "swapped labels", "let D's"),
    "G's sign": (step("G", sign=-1), "wrong sign", "lowers D(G(z))"),
    "G helps D": (own_loss(g=INVERTED[1]), "wrong sign", "lowers D(G(z))"),
    "D in a tanh": (act(lambda g, _: g.discriminator.append(torch.nn.Tanh())), "bounded logits", "between -1.00 and 1.00"),
    "G frozen": (act(lambda g, _: g.generator.requires_grad_(False)), "no gradient", "G has requires_grad"),
    "part of G frozen": (act(lambda g, _: g.generator[0].requires_grad_(False)), "no gradient", "2 of the 6"),
    "NaN in G's gradient": (step("G", spoil=True), "not a number", "gradients"),
    "G in eval mode": (eval_mode, "eval mode", "G is trained in it"),
    "average forgotten": (act(lambda _, patch: patch.setattr(training, "update_average", lambda game: None)), "average", ""),
    "losses that are sums": (own_loss(*SUMS), "high d_loss", "means over the batch"),
}  # fmt: skip
SOUND = {
    "D not frozen in G's step": step("G", freeze=False),
    "D's fakes not detached": step("D", detach=False),
    "G clears after its step": step("G", clear="after"),
    "G steps at every seventh step": step("G", every=7),
    "logits high for fakes": own_loss(*INVERTED),
}
