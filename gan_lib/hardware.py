"""Which device and which number format; what a process knows of the others that share its run (see `processes`)."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from gan_lib import UserError


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
