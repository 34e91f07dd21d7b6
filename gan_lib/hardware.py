"""Which device, which number format, and several processes that share one run. Introduced in lesson 15.

    accelerate launch --multi_gpu --num_processes 2 -m gan_lib train dcgan

Every process holds both nets, draws the same batches and noise, and trains on its share of them. The gradients are averaged
(all-reduce), so the weights equal those of a single process. Only BatchNorm differs a little: it sees one share at a time.
"""

import os
import signal
from collections.abc import Callable
from typing import NamedTuple

import torch

from gan_lib import UserError

GONE = "Another process of this run has ended, or can't be reached"


def pick_device(name="auto"):
    """The torch device `name`; "auto" is "cuda" if PyTorch can use it here, else "cpu". `UserError` for a missing device."""
    if name == "auto":
        name = "cuda" if works("cuda") else "cpu"
    elif not works(name):
        version = torch.__version__
        raise UserError(f"This machine has no device {name!r} that PyTorch {version} can use; try --device auto.")
    return torch.device(name)


def works(device):
    """Whether one small computation succeeds: a GPU too old for this PyTorch is reported as available, and fails here."""
    try:
        return torch.ones(1, device=device).add(1).item() == 2
    except (RuntimeError, AssertionError):
        return False


def fast_dtype(device):
    """bfloat16 on CPUs that multiply it faster than float32 (those with AVX-512 BF16 or AMX), else float32.

    GPUs get float32: launching these small operations takes longer than computing them, and autocast launches more.
    """
    known = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of PyTorch can't tell
    fast = device.type == "cpu" and (known.get("avx512_bf16") or known.get("amx_bf16"))
    return torch.bfloat16 if fast else torch.float32


class Team(NamedTuple):
    """The processes that share one training run. The defaults are those of a single process."""

    size: int = 1
    first: bool = True  # whether this is the process that writes files and prints
    share: slice = slice(None)  # its part of a batch
    # mean of a tensor over the processes; raises ConnectionError if one is gone (on CPUs)
    mean: Callable = lambda values: values


def team(device="auto"):
    """The `Team` that `accelerate launch` started. It gives each process its own GPU: call it before one is used."""
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        return Team()
    from accelerate import Accelerator  # here, because a single process does not need it

    accelerator = Accelerator(cpu=pick_device(device).type == "cpu")

    def mean(values):
        try:
            return accelerator.reduce(values, "mean")
        except RuntimeError as error:
            raise ConnectionError(f"{GONE} ({str(error).splitlines()[0]}).") from error

    def stop(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
        raise ConnectionError(f"{GONE}, or the run was told to end.")

    signal.signal(signal.SIGTERM, stop)  # the launcher sends it when one of its processes ends too early
    return Team(size, accelerator.is_main_process, slice(accelerator.process_index, None, size), mean)


def join(game, team):
    """Let `game` take its share of each batch and average its gradients. `UserError` for a batch that can't be divided evenly."""
    if game.batch_size % team.size:
        raise UserError(f"A batch of {game.batch_size} can't be shared out evenly to {team.size} processes.")
    game.team = team
    if team.size > 1:
        for optimizer in (game.g_optimizer, game.d_optimizer):
            optimizer.register_step_pre_hook(lambda optimizer, *_: average_gradients(optimizer, team))


@torch.no_grad()
def average_gradients(optimizer, team):
    """Replace each gradient by its mean over the processes. torch's DDP can't: a penalty has gradients of gradients."""
    gradients = [weights.grad for weights in optimizer.param_groups[0]["params"]]
    means = team.mean(torch.cat([gradient.flatten() for gradient in gradients]))  # all in one message
    for gradient, mean in zip(gradients, means.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
