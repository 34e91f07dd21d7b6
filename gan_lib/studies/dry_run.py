"""Try an iteration and undo it: what the diagnosis and the dashboard measure with."""

import contextlib
import copy
from collections import defaultdict

import torch


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
