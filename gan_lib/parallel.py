"""One game played by several processes, on CPU cores or GPUs. Introduced in lesson 11.

    accelerate launch --multi_gpu --num_processes 2 -m gan_lib train dcgan

Every process holds both nets and draws the same batches and the same noise, but looks at its own share of them. Before an
optimiser steps, the gradients are averaged over the processes. So all weights stay equal, and equal to those of one process that
looks at whole batches. Nets with BatchNorm play a slightly different game: it sees a share at a time.
"""

import os
import signal
from collections.abc import Callable
from typing import NamedTuple

import torch

from gan_lib import data

GONE = "Another process of this run has ended, or can't be reached"


class Team(NamedTuple):
    """The processes that play one game. A process by itself is a team of one, and that is what the defaults say."""

    size: int = 1
    first: bool = True  # whether this is the process that writes files and speaks
    share: slice = slice(None)  # what it looks at of a batch
    # The mean of a tensor over the processes; raises ConnectionError where one is gone (on CPUs)
    mean: Callable = lambda values: values


def team(device="auto"):
    """The `Team` that `accelerate launch` started. It gives each process its own GPU: call it before one is used."""
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        return Team()
    from accelerate import Accelerator  # here, because a process by itself has no need of it

    accelerator = Accelerator(cpu=data.pick_device(device).type == "cpu")

    def mean(values):
        try:
            return accelerator.reduce(values, "mean")
        except RuntimeError as error:
            raise ConnectionError(f"{GONE} ({str(error).splitlines()[0]}).") from error

    def stop(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
        raise ConnectionError(f"{GONE}, or the run was told to end.")

    signal.signal(signal.SIGTERM, stop)  # which the launcher sends when one of its processes ends too soon
    return Team(size, accelerator.is_main_process, slice(accelerator.process_index, None, size), mean)


def join(game, team):
    """Let `game` take its share of each batch, and agree with the others before each step of an optimiser.

    Raises `ValueError` where a batch can't be shared out evenly.
    """
    if game.batch_size % team.size:
        raise ValueError(f"A batch of {game.batch_size} can't be shared out evenly to {team.size} processes.")
    game.team = team
    if team.size > 1:
        for optimizer in (game.g_optimizer, game.d_optimizer):
            optimizer.register_step_pre_hook(lambda optimizer, *_: average_gradients(optimizer, team))


@torch.no_grad()
def average_gradients(optimizer, team):
    """Replace each gradient by its mean over the processes, all in one message.

    Torch's DistributedDataParallel would do it while `backward` runs, but not for a penalty, which needs slopes of slopes.
    """
    gradients = [weights.grad for weights in optimizer.param_groups[0]["params"]]
    means = team.mean(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, part in zip(gradients, means.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
