"""Iterations on a GPU as CUDA graphs: recorded once, and from then on launched as one. Lesson 15.

A graph holds the places of tensors, and each number that Python gave. So batch, rates and EMA weight are copied to fixed places.
"""

import gc
import warnings

import torch

DEVICE, WARM_UP = "cuda", 3  # iterations of a kind before it is recorded: libraries choose their algorithms
FREE = {"step", "seconds", "rates", "horizon", "ema", "seed", "graphs"}  # fields of a game that no graph holds


class Graphs:
    """The CUDA graphs of one game. They hold no reference to it: their memory is freed with it."""

    held = stream = None
    __deepcopy__ = lambda self, memo: Graphs()  # the tensors of a copy have other places

    def run(self, iteration, game, batches):
        """The sum of what `iteration(game, real, y)` returns for each (real, y) of `batches`; on a GPU as CUDA graphs."""
        hooks = any(layer._forward_hooks for net in (game.generator, game.discriminator) for layer in net.modules())
        if game.device.type != DEVICE or game.team.size > 1 or hooks:  # a hook is Python code, which no graph would run
            return sum(iteration(game, *batch) for batch in batches)
        usual, self.stream = torch.cuda.current_stream(game.device), self.stream or torch.cuda.Stream(game.device)
        self.stream.wait_stream(usual)  # which can't be recorded
        try:
            with torch.cuda.stream(self.stream):
                if self.held != hold(game):  # a setting was changed, or a checkpoint was loaded
                    self.graphs, self.count = {}, {}
                return sum(self.launch(iteration, game, *batch) for batch in batches)
        finally:
            self.held = hold(game)
            usual.wait_stream(self.stream)

    def launch(self, iteration, game, *batch):
        """What `iteration` returns. The first ones of a kind are launched operation by operation."""
        kind = game.step % game.penalty_every == 0  # with the penalty, or without
        self.count[kind] = self.count.get(kind, 0) + 1
        if self.count[kind] > WARM_UP and kind not in self.graphs:
            self.graphs[kind] = self.record(iteration, game, *batch)
        if not self.graphs.get(kind):
            return iteration(game, *batch)
        graph, result, places, schedule = self.graphs[kind]
        [place.copy_(tensor) for place, tensor in zip(places, batch, strict=True) if tensor is not None]
        [place.fill_(number) for place, number in zip(schedule, game.schedule(), strict=True)]
        graph.replay()
        game.step += 1
        return result

    def record(self, iteration, game, *batch):
        """A graph of the next iteration, its result, and the places for batch and schedule, or None. The game stays as it is."""
        places, schedule = [x if x is None else x.clone() for x in batch], torch.zeros(3, device=game.device).unbind()
        step, groups = game.step, [each.param_groups[0] for each in (game.g_optimizer, game.d_optimizer)]
        game.schedule = lambda: schedule  # tensors, in place of numbers
        [group.update(capturable=True) for group in groups]
        gc.collect()  # nothing may be destroyed during the recording
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(game.rng)
        try:
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                return graph, iteration(game, *places), places, schedule
        except RuntimeError as error:  # a mistake in the iteration is raised again when it is launched as usual
            warnings.warn(f"No CUDA graph could be recorded, so iterations take longer: {error}", stacklevel=2)
        finally:
            del game.schedule
            [group.update(capturable=False, lr=rate) for group, rate in zip(groups, game.schedule(), strict=False)]
            game.step = step


def hold(game):
    """What the graphs of a game hold: settings, and the places of tensors."""
    nets, optimizers = (game.generator, game.discriminator, game.average), (game.g_optimizer, game.d_optimizer)
    tensors = [slot for each in optimizers for slots in each.state.values() for slot in slots.values()]
    tensors += [tensor for net in nets for tensor in (*net.parameters(), *net.buffers())]
    settings = [{key: value for key, value in vars(game).items() if key not in FREE}]
    settings += [group | {"params": None, "lr": None} for each in optimizers for group in each.param_groups]
    settings += [layer.training for net in nets for layer in net.modules()]
    return settings, [(tensor.data_ptr(), tensor.shape, tensor.requires_grad) for tensor in tensors]
