"""Iterations on a GPU as CUDA graphs: recorded once, and from then on launched as one. Lesson 15.

A graph holds the places of tensors, and each number that Python gave. So batch, rates and EMA weight are copied to fixed places.
"""

import copy
import gc
import warnings

import torch

DEVICE, WARM_UP = "cuda", 3  # iterations of a kind before it is recorded: libraries choose their algorithms
FREE = {"step", "seconds", "rates", "horizon", "ema", "seed", "repeat"}  # fields of a game that no graph holds


class Graphs:
    """Repeats the iterations of one game. It doesn't refer to the game, so the memory of graphs is freed with the game."""

    held = stream = None
    __deepcopy__ = lambda self, memo: Graphs()  # the tensors of a copy have other places

    def __call__(self, iteration, game, batches):
        """The sum of `iteration(game, real, y)` over batches. No graphs on a CPU, in a team, and with hooks, which are Python."""
        parts = (*game.generator.modules(), *game.discriminator.modules(), game.g_optimizer, game.d_optimizer)
        hooks = any(value for part in parts for name, value in vars(part).items() if name.endswith("_hooks"))
        if game.device.type != DEVICE or game.team.size > 1 or hooks:
            return sum(iteration(game, *batch) for batch in batches)
        usual, self.stream = torch.cuda.current_stream(game.device), self.stream or torch.cuda.Stream(game.device)
        self.stream.wait_stream(usual)  # the usual stream can't be recorded
        try:
            with torch.cuda.stream(self.stream):
                if self.held != hold(game):  # a setting was changed, or a checkpoint was loaded
                    self.kinds = {True: [], False: []}  # of iterations: with the penalty, and without
                return sum(self.launch(iteration, game, batch) for batch in batches)
        finally:
            usual.wait_stream(self.stream)
            self.held = hold(game)

    def launch(self, iteration, game, batch):
        """What `iteration` returns. The first ones of a kind are launched operation by operation."""
        batch = [each for each in batch if each is not None]  # y is None without labels
        kind = self.kinds[game.step % game.penalty_every == 0]  # warm-ups, then what `record` returns
        if len(kind) <= WARM_UP:
            kind.append(record(iteration, game, batch, self.stream) if len(kind) == WARM_UP else None)
        if kind[-1] is None:
            return iteration(game, *batch)
        graph, result, places = kind[-1]
        for place, value in zip(places, (*batch, *game.schedule()), strict=True):
            place[...] = value
        graph.replay()
        game.step += 1
        return result


def record(iteration, game, batch, stream):
    """A graph of the next iteration, its result, and the places of batch and schedule; None if it can't be recorded."""
    places = [each.clone() for each in (*batch, *torch.zeros(3, device=game.device))]
    twin, graph = copy.copy(game), torch.cuda.CUDAGraph()  # the twin has the same nets, and the game stays as it is
    twin.schedule = lambda: places[-3:]  # tensors, in place of numbers
    twin.g_optimizer, twin.d_optimizer = copy.copy(game.g_optimizer), copy.copy(game.d_optimizer)
    for each in (twin.g_optimizer, twin.d_optimizer):
        each.param_groups = [group | {"capturable": True} for group in each.param_groups]
    graph.register_generator_state(game.rng)
    gc.collect()  # nothing may be destroyed during the recording
    try:
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            return graph, iteration(twin, *places[:-3]), places
    except RuntimeError as error:  # a mistake in the iteration is raised again when it is launched as usual
        warnings.warn(f"No CUDA graph could be recorded, so iterations take longer: {error}", stacklevel=2)


def hold(game):
    """What the graphs of a game hold: settings, and the places of tensors."""
    nets, optimizers = (game.generator, game.discriminator, game.average), (game.g_optimizer, game.d_optimizer)
    tensors = [slot for each in optimizers for slots in each.state.values() for slot in slots.values()]
    tensors += [tensor for net in nets for tensor in (*net.parameters(), *net.buffers())]
    settings = [{key: value for key, value in vars(game).items() if key not in FREE}]
    settings += [group | {"params": None, "lr": None} for each in optimizers for group in each.param_groups]
    settings += [layer.training for net in nets for layer in net.modules()]
    return settings, [(tensor.data_ptr(), tensor.shape, tensor.requires_grad) for tensor in tensors]
