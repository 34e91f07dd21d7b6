"""How many operations a machine does in a second, how many an iteration needs, and a race to a distance. Lesson 15."""

import dataclasses
import timeit

import torch
from torch.utils.flop_counter import FlopCounterMode

from gan_lib import plotting, training


def measure_macs(dtype, device="cpu", n=1024, times=8):
    """The multiply-accumulates per second (MAC/s) of this machine in a matrix product of [n, n] by [n, n]."""
    a, b = torch.randn(2, n, n, device=device).to(dtype)

    def multiply(times):
        for _ in range(times):
            c = a @ b
        c[0, 0].item()  # waits for the device

    multiply(1)
    return times * n**3 / timeit.timeit(lambda: multiply(times), number=1)


def count_macs(recipe):
    """The multiply-accumulates (MACs) of the matrix products and convolutions in one iteration, without penalties."""
    game = dataclasses.replace(recipe, gamma=0.0).game()
    with FlopCounterMode(display=False) as counter:
        training.iteration(game, torch.zeros(recipe.batch_size, 1, 28, 28))
    return counter.get_total_flops() // 2  # a MAC is two operations


def draw_race(courses):
    """Draw Fréchet distances over seconds, log-log; `courses` is {name: ([[(seconds, distance) …] for each run], colour)}."""
    ax = plotting.subplots(7, 3.6)
    for name, (runs, color) in courses.items():
        for i, run in enumerate(runs):
            ax.plot(*zip(*run, strict=True), "o-", color=color, markersize=3, linewidth=1, label=None if i else name)
    plotting.finish(ax, xscale="log", yscale="log", xlabel="seconds of training", ylabel="Fréchet distance")
    plotting.plain_numbers(ax.xaxis, ax.yaxis)
    return ax
