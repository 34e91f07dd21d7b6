"""Which device and which number format; what a process knows of the others that share its run (see `processes`)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional as F

from gan_lib import UserError


def pick_device(name="auto"):
    """The torch device `name`; "auto" is "cuda" if PyTorch can use it here, else "cpu". Apple's GPU is used as "mps" only.

    Raises `UserError` for a device that is missing, or that computes something else than the CPU.
    """
    if name == "auto":
        name = "cuda" if works("cuda") else "cpu"
    elif not works(name):
        version = torch.__version__
        raise UserError(f"This machine has no device {name!r} that PyTorch {version} can use; try --device auto.")
    if name != "cpu" and not agrees(name):
        raise UserError(f"The device {name!r} computes other numbers than the CPU: don't use it, take --device cpu.")
    return torch.device(name)


def works(device):
    """Whether one small computation succeeds: a GPU too old for this PyTorch is reported as available, and fails here."""
    try:
        return torch.ones(1, device=device).add(1).item() == 2
    except (RuntimeError, AssertionError):
        return False


def agrees(device):
    """Whether a small DCGAN has the logits and gradients there that it has on the CPU. Apple's GPU was wrong in silence."""
    rng, found = torch.Generator().manual_seed(0), []
    shapes = [(16, 4, 1, 1), (4, 8, 4, 4), (8, 1, 4, 4), (8, 1, 4, 4), (1, 8, 4, 4)]
    drawn = [torch.randn(shape, generator=rng) for shape in shapes]
    for place in ("cpu", device):
        z, *weights = (each.to(place, copy=True).requires_grad_() for each in drawn)
        x = F.batch_norm(F.conv_transpose2d(z, weights[0]), None, None, training=True).relu()
        x = F.conv_transpose2d(x, weights[1], stride=2, padding=1).tanh()
        logits = F.conv2d(F.leaky_relu(F.conv2d(x, weights[2], stride=2, padding=1), 0.2), weights[3])
        found.append([each.cpu() for each in (logits, *torch.autograd.grad(F.softplus(-logits).mean(), [z, *weights]))])
    return all(torch.dist(a, b) < 0.1 * a.norm() for a, b in zip(*found, strict=True))  # NaN is no agreement, TF32 is


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
    mean: Callable = lambda values: values  # of a tensor over the processes; ConnectionError if one is gone (on CPUs)
