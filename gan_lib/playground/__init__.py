"""Generators with sliders, and a GAN that trains, without a kernel: in a cell's output, and in one HTML file."""

from gan_lib.playground.page import inline, write
from gan_lib.playground.train import train_inline, write_trainer

__all__ = ["inline", "train_inline", "write", "write_trainer"]
