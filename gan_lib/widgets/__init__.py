"""The interactive parts of the lessons. Only core widgets that ipywidgets 7.7.1 (Colab) and 8 both have."""

from gan_lib.widgets.dashboard import Live as live  # the lessons call the classes as functions
from gan_lib.widgets.explorer import Explorer as explore
from gan_lib.widgets.explorer import Inverter as invert
from gan_lib.widgets.explorer import Rewinder as rewind

__all__ = ["explore", "invert", "live", "rewind"]
