"""Iterations on a GPU as CUDA graphs: recorded once, and from then on launched as one. Lesson 15.

A graph holds the places of tensors, and each number that Python gave. So batch, rates and EMA weight are copied to fixed places.
"""

import gc
import warnings

import torch

from gan_lib import training

DEVICE, WARM_UP = "cuda", 3  # iterations of a kind before it is recorded: libraries choose their algorithms
FREE = {"step", "seconds", "rates", "horizon", "ema", "seed", "repeat"}  # fields of a game that no graph holds


class Graphs:
    """The CUDA graphs of one game: `game.repeat = Graphs()`. They don't refer to it, so their memory is freed with it."""

    held = stream = None
    __deepcopy__ = lambda self, memo: Graphs()  # the tensors of a copy have other places

    def __call__(self, game, batches):
        """As `training.repeat`. On a CPU, in a team, and with hooks, which are Python code, nothing is recorded."""
        hooks = any(layer._forward_hooks for net in (game.generator, game.discriminator) for layer in net.modules())
        if game.device.type != DEVICE or game.team.size > 1 or hooks:
            return training.repeat(game, batches)
        usual, self.stream = torch.cuda.current_stream(game.device), self.stream or torch.cuda.Stream(game.device)
        self.stream.wait_stream(usual)  # the usual stream can't be recorded
        try:
            with torch.cuda.stream(self.stream):
                if self.held != hold(game):  # a setting was changed, or a checkpoint was loaded
                    self.graphs, self.count = {}, {}
                return sum(self.launch(game, batch) for batch in batches)
        finally:
            self.held = hold(game)
            usual.wait_stream(self.stream)

    def launch(self, game, batch):
        """What `training.iteration` returns. The first ones of a kind are launched operation by operation."""
        kind = game.step % game.penalty_every == 0  # with the penalty, or without
        self.count[kind] = self.count.get(kind, 0) + 1
        if self.count[kind] > WARM_UP and kind not in self.graphs:
            self.graphs[kind] = self.record(game, batch)
        if not self.graphs.get(kind):
            return training.iteration(game, *batch)
        graph, result, places = self.graphs[kind]
        for place, value in zip(places, (*batch, *game.schedule()), strict=True):
            if value is not None:
                place[...] = value
        graph.replay()
        game.step += 1
        return result

    def record(self, game, batch):
        """A graph of the next iteration, its result, and the places for batch and schedule, or None. The game stays as it is."""
        places = [None if each is None else each.clone() for each in (*batch, *torch.zeros(3, device=game.device))]
        step, groups = game.step, [each.param_groups[0] for each in (game.g_optimizer, game.d_optimizer)]
        game.schedule = lambda: places[2:]  # tensors, in place of numbers
        for group in groups:
            group["capturable"] = True  # never else: Adam would warn
        gc.collect()  # nothing may be destroyed during the recording
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(game.rng)
        try:
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                return graph, training.iteration(game, *places[:2]), places
        except RuntimeError as error:  # a mistake in the iteration is raised again when it is launched as usual
            warnings.warn(f"No CUDA graph could be recorded, so iterations take longer: {error}", stacklevel=2)
        finally:
            del game.schedule
            game.step = step
            for group in groups:
                group["capturable"] = False
            training.set_learning_rates(game)  # numbers again


def hold(game):
    """What the graphs of a game hold: settings, and the places of tensors."""
    nets, optimizers = (game.generator, game.discriminator, game.average), (game.g_optimizer, game.d_optimizer)
    tensors = [slot for each in optimizers for slots in each.state.values() for slot in slots.values()]
    tensors += [tensor for net in nets for tensor in (*net.parameters(), *net.buffers())]
    settings = [{key: value for key, value in vars(game).items() if key not in FREE}]
    settings += [group | {"params": None, "lr": None} for each in optimizers for group in each.param_groups]
    settings += [layer.training for net in nets for layer in net.modules()]
    return settings, [(tensor.data_ptr(), tensor.shape, tensor.requires_grad) for tensor in tensors]
