"""A trial iteration that is undone afterwards. The diagnosis and the dashboard measure with it."""

import contextlib
import copy
import itertools
from collections import defaultdict

import torch

from gan_lib import training


@contextlib.contextmanager
def untouched(game):
    """A context in which the game may be trained: it works on copies of its tensors, and everything is restored at the end."""
    nets, optimizers = (game.generator, game.discriminator, game.average), (game.g_optimizer, game.d_optimizer)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    tensors = {t for net in nets for t in (*net.parameters(), *net.buffers())}.union(*(g["params"] for g in groups))
    saved = [(tensor, tensor.data, tensor.grad, tensor.requires_grad) for tensor in tensors]
    owners = game, *optimizers, *(layer for net in nets for layer in net.modules())
    fields, rng = [(each, dict(each)) for each in (*map(vars, owners), *groups)], game.rng.get_state()
    try:
        for tensor, data, grad, _ in saved:
            tensor.data, tensor.grad = data.clone(), None if grad is None else grad.clone()
        for optimizer in optimizers:
            slots = {weights: copy.deepcopy(slots) for weights, slots in optimizer.state.items()}
            optimizer.state = defaultdict(dict, slots)
        with torch.random.fork_rng([game.device] if game.device.type == "cuda" else []):
            yield
    finally:
        for tensor, data, grad, requires_grad in saved:
            tensor.requires_grad_(requires_grad).data, tensor.grad = data, grad
        for now, before in fields:
            now.update(before)
        game.rng.set_state(rng)


class Trial:
    """The batches of one iteration of a game, and the steps of its players "D" and "G"."""

    def __init__(self, game, images=None):
        self.game, self.z, later_z = game, game.noise(game.batch_size), game.noise(game.batch_size)
        self.inputs = [("noise", self.z, later_z)]
        if images is None:  # fakes stand in for real images
            self.y = torch.arange(game.batch_size, device=game.device) % game.classes if game.classes else None
            self.real = game.generate(later_z, self.y).detach()
        else:
            (self.real, self.y), (later, _) = itertools.islice(training.real_batches(game, images), 2)
            self.inputs.append(("data", self.real, later))
        training.set_learning_rates(game)
        self.fake, self.average = game.generate(self.z, self.y), flatten(game.average.parameters())
        self.players = {"D": (game.discriminator, game.d_optimizer), "G": (game.generator, game.g_optimizer)}
        self.uphill = {}  # is a player worse off after its step?
        self.change = {}  # change of its weights, relative to their norm

    def expected_gradient(self, player, weights):
        """The gradient of a player's loss as one tensor [n]; None where the loss doesn't depend on its weights."""
        game, real, fake, y = self.game, self.real, self.fake, self.y
        game.discriminator.requires_grad_(True)
        if player == "D":
            loss = game.loss.discriminator(*game.judge_both(real, fake.detach(), y))
            loss = loss + training.gradient_penalty(game, real, fake.detach(), y)
        else:
            loss = game.loss.generator(game.judge(real, y) if game.loss.paired else None, game.judge(fake, y))
        free = [tensor for tensor in weights if tensor.requires_grad and loss.requires_grad]
        found = torch.autograd.grad(loss, free, retain_graph=True, allow_unused=True) if free else []
        known = {tensor: part for tensor, part in zip(free, found, strict=True) if part is not None}
        return flatten(known.get(tensor, torch.zeros_like(tensor)) for tensor in weights) if known else None

    def step(self, player, optimizer, weights):
        """Take a player's step until `optimizer` steps, eleven times at most.

        Returns (the gradient [n] then, how many tensors had one, how often the step was taken); None if it never steps.
        """
        step = training.discriminator_step if player == "D" else training.generator_step
        seen, fake = [], self.fake
        look = lambda *_: seen.append((flatten_gradient(weights), sum(tensor.grad is not None for tensor in weights)))
        with optimizer.register_step_pre_hook(look):
            for times in range(1, 12):
                step(self.game, self.real, fake, self.y)
                if seen:
                    return *seen[-1], times
                self.game.step += 1
                fake = self.game.generate(self.z, self.y)


def flatten(tensors):
    """Tensors as one, [n]."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def flatten_gradient(weights):
    """The stored gradient of weights as one tensor [n], 0 where there is none."""
    return flatten(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad for tensor in weights)
