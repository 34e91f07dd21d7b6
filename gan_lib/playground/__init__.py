"""Generators with sliders that need no kernel: in a cell's output (`inline`), and in one HTML file (`write`)."""

from gan_lib.playground.page import inline, write

__all__ = ["inline", "write"]
