"""How many operations a machine does in a second, and how many an iteration needs. Lesson 15."""

import dataclasses
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from gan_lib import training


def measure_macs(dtype, device="cpu", n=1024, times=8):
    """The multiply-accumulates per second (MAC/s) of this machine in a matrix product of [n, n] by [n, n]."""
    a, b = torch.randn(2, n, n, device=device).to(dtype)

    def multiply(times):
        for _ in range(times):
            c = a @ b
        c[0, 0].item()  # waits for the device

    multiply(1)
    start = time.perf_counter()
    multiply(times)
    return times * n**3 / (time.perf_counter() - start)


def count_macs(recipe):
    """The multiply-accumulates (MACs) of the matrix products and convolutions in one iteration, without penalties."""
    game = dataclasses.replace(recipe, gamma=0.0).game()
    with FlopCounterMode(display=False) as counter:
        training.iteration(game, torch.zeros(recipe.batch_size, 1, 28, 28))
    return counter.get_total_flops() // 2  # a MAC is two operations
