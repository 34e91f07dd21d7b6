"""Faults to try the diagnosis on.

Each takes a game, its images uint8 [M, 28, 28] and pytest's monkeypatch, and returns what the game learns.
"""

import copy

import torch

from gan_lib import training
from gan_lib.losses import Loss


class World:
    """Images [N, 1, 28, 28] as a function of uint8 images, drawn at random, or `still`: always the same."""

    def __init__(self, images, change, still=False):
        self.images, self.change, self.still = images, change, still

    def sample(self, n, rng):
        chosen = torch.randint(len(self.images), (n,), generator=rng)
        return self.change(self.images[:n] if self.still else self.images[chosen]).unsqueeze(1)


def world(change, **more):
    return lambda game, images, patch: World(images, change, **more)


def first_is_nan(images):
    pixels = images / 127.5 - 1
    pixels[0, 0, 0] = torch.nan
    return pixels


def rates(g=1e-3, d=1e-3):
    def fault(game, images, patch):
        game.rates = g, d
        return images

    return fault


def step(player, *, detach=False, freeze=True, clear="before", sign=1, every=1, swap=False, spoil=False):
    """A step of one's own: `clear` says when gradients are zeroed, `every` at which steps the optimiser steps (0: never)."""

    def own(game, real, fake, *labels):
        game.discriminator.requires_grad_(player == "D" or not freeze)
        fake = fake.detach() if player == "D" or detach else fake
        optimizer = game.d_optimizer if player == "D" else game.g_optimizer
        real_logits, fake_logits = game.judge_both(real, fake, *labels)
        logits = (fake_logits, real_logits) if swap else (real_logits, fake_logits)
        loss = (game.loss.discriminator if player == "D" else game.loss.generator)(*logits)
        for moment in ("before", "backward", "late", "step", "after"):
            if moment == clear:
                optimizer.zero_grad()
            if moment == "backward":
                (sign * loss).backward()
                if spoil:
                    next(game.generator.parameters()).grad.fill_(torch.nan)
            if moment == "step" and every and game.step % every == 0:
                optimizer.step()
        return loss.detach(), real_logits.detach(), fake_logits.detach()

    def fault(game, images, patch):
        patch.setattr(training, "discriminator_step" if player == "D" else "generator_step", own)
        return images

    return fault


def optimizers(g, d):
    """Adam over the nets that letters name: G, D, or O for a G from before."""

    def fault(game, images, patch):
        nets = {"G": game.generator, "D": game.discriminator, "O": copy.deepcopy(game.generator)}
        make = lambda names: torch.optim.Adam(
            [w for name in names for w in nets[name].parameters()], 1e-3, (0.5, 0.999)
        )
        game.g_optimizer, game.d_optimizer = make(g), make(d)
        return images

    return fault


def change(act):
    """A fault that `act(game, patch)` makes."""

    def fault(game, images, patch):
        act(game, patch)
        return images

    return fault


def own_generate(act):
    """A fault in which `game.generate(z)` is `act(G(z), z)`."""

    def fault(game, images, patch):
        sound = game.generate
        game.generate = lambda z, *labels: act(lambda z: sound(z, *labels), z)
        return images

    return fault


def own_loss(d=None, g=None):
    def fault(game, images, patch):
        sound = game.loss
        game.loss = Loss(d or sound.discriminator, g or sound.generator, sound.paired)
        return images

    return fault


def one_optimizer(game, patch):
    game.g_optimizer = game.d_optimizer = torch.optim.Adam(
        [*game.generator.parameters(), *game.discriminator.parameters()]
    )


def eval_mode(game, patch):
    game.generator.insert(1, torch.nn.BatchNorm1d(game.generator[0].out_features))
    game.average = copy.deepcopy(game.generator).requires_grad_(False)
    game.g_optimizer = torch.optim.Adam(game.generator.parameters(), 1e-3)
    game.generator.eval()


@torch.no_grad()
def no_tanh(game, patch):
    game.generator[4].weight *= 100  # as after some more iterations
    game.rates = 2e-5, 1e-3
    game.generator[5] = torch.nn.Identity()


def constant(z):
    return change(lambda game, patch: setattr(game, "noise", lambda n: z(n, game.latent_dim)))


def in_optimizer(player, **options):
    return change(lambda game, patch: getattr(game, f"{player}_optimizer").param_groups[0].update(options))


def append(layer):
    return change(lambda game, patch: game.discriminator.append(layer))


@torch.no_grad()
def apart(sound, z):
    return sound(z)


softplus = torch.nn.functional.softplus
sum_d, sum_g = lambda r, f: softplus(-r).sum() + softplus(f).sum(), lambda r, f: softplus(-f).sum()
FIXED = torch.randn(500, 64, generator=torch.Generator().manual_seed(0))

# name: (the fault, the remark's name, what its sign or its causes must hold)
FAULTS = {
    "G detached in its step": (step("G", detach=True, freeze=False), "no gradient", "fakes are not detached"),
    "G made without a graph": (own_generate(apart), "no gradient", "without detach or no_grad"),
    "G in [0, 1]": (own_generate(lambda G, z: (G(z) + 1) / 2), "range", "from -1.00 to 1.00, and G's can from 0.00 to 1.00"),
    "data in [0, 1]": (world(lambda x: x / 255), "range", "from 0.00 to 1.00, and G's can from -1.00 to 1.00"),
    "data in [0, 255]": (world(lambda x: x.float()), "range", "from 0.00 to 255.00"),
    "G without tanh": (change(no_tanh), "unbounded pixels", "let G end in tanh"),
    "NaN in the data": (world(first_is_nan), "data", "not finite"),
    "one image": (world(lambda x: (0 * x + x[:1]) / 127.5 - 1, still=True), "data", "images of a batch are equal"),
    "black images": (world(lambda x: 0 * x - 1.0), "data", "images of a batch are equal"),
    "one batch": (world(lambda x: x / 127.5 - 1, still=True), "data", "two batches are equal"),
    "both rates tiny": (rates(1e-6, 1e-6), "learning rate", "1e-06"),
    "both rates nothing": (rates(1e-30, 1e-30), "learning rate", "raise it"),
    "G's rate tiny": (rates(g=1e-6), "learning rate", "moves G"),
    "D's rate tiny": (rates(d=1e-6), "learning rate", "moves D"),
    "D's rate huge": (rates(d=0.1), "learning rate", "D learns at 0.1; lower it"),
    "G's rate huge": (rates(g=0.1), "collapse", "the learning rates"),
    "D never clears": (step("D", clear=None), "stale gradients", "D's"),
    "G never clears": (step("G", clear=None), "stale gradients", "G's"),
    "G clears before its optimiser steps": (step("G", clear="late"), "no gradient", "zero_grad comes before backward"),
    "D clears before its optimiser steps": (step("D", clear="late"), "no gradient", "zero_grad comes before backward"),
    "one z for ever": (constant(lambda n, d: FIXED[:n, :d]), "noise", "two batches"),
    "all z zero": (constant(torch.zeros), "noise", "a batch"),
    "G ignores z": (own_generate(lambda G, z: G(0 * z)), "collapse", "whether G gets z"),
    "optimisers swapped": (optimizers("D", "G"), "optimiser", "D's holds 0 of the 6 tensors of D, and 6"),
    "G's optimiser holds D": (optimizers("D", "D"), "optimiser", "G's holds 0 of the 6 tensors of G, and 6"),
    "G's optimiser holds an older G": (optimizers("O", "D"), "optimiser", "G's holds 0 of the 6 tensors of G, and 0"),
    "D's optimiser holds G too": (optimizers("G", "GD"), "optimiser", "and 6 of its opponent's"),
    "D's optimiser holds nothing": (in_optimizer("d", params=[]), "optimiser", "D's holds 0 of the 6"),
    "one optimiser": (change(one_optimizer), "optimiser", "and 6 of its opponent's"),
    "D never stepped": (step("D", every=0), "optimiser", "D's is never told to step"),
    "G never stepped": (step("G", every=0), "optimiser", "G's is never told to step"),
    "labels swapped in the step": (step("D", swap=True), "swapped labels", "takes real images for fakes"),
    "labels swapped in the loss": (own_loss(d=lambda r, f: softplus(r).mean() + softplus(-f).mean()), "swapped labels", ""),
    "D climbs": (step("D", sign=-1), "swapped labels", "let D's optimiser descend"),
    "D's optimiser climbs": (in_optimizer("d", maximize=True), "swapped labels", "let D's optimiser descend"),
    "G's sign": (step("G", sign=-1), "wrong sign", "lowers D(G(z))"),
    "G helps D": (own_loss(g=lambda r, f: softplus(f).mean()), "wrong sign", "lowers D(G(z))"),
    "G's optimiser climbs": (in_optimizer("g", maximize=True), "wrong sign", "lowers D(G(z))"),
    "D in a sigmoid": (append(torch.nn.Sigmoid()), "sigmoid twice", "end at 0.00 and 1.00"),
    "D in a tanh": (append(torch.nn.Tanh()), "bounded logits", "end at -1.00 and 1.00"),
    "G frozen": (change(lambda game, _: game.generator.requires_grad_(False)), "no gradient", "G has requires_grad"),
    "part of G frozen": (change(lambda game, _: game.generator[0].requires_grad_(False)), "no gradient", "2 of the 6"),
    "NaN in G's gradient": (step("G", spoil=True), "not a number", "gradients"),
    "G in eval mode": (change(eval_mode), "eval mode", "G trains in it"),
    "average forgotten": (change(lambda _, patch: patch.setattr(training, "update_average", lambda game: None)), "average", ""),
    "losses that are sums": (own_loss(sum_d, sum_g), "high d_loss", "means over the batch"),
    "a division by zero": (own_loss(d=lambda r, f: (f - r).mean() / 0), "not a number", ""),
}  # fmt: skip
SOUND = {
    "D not frozen in G's step": step("G", freeze=False),
    "G clears after its step": step("G", clear="after"),
    "D clears after its step": step("D", clear="after"),
    "G steps at every seventh step": step("G", every=7),
    "logits high for fakes": own_loss(
        lambda r, f: softplus(r).mean() + softplus(-f).mean(), lambda r, f: softplus(f).mean()
    ),
}
