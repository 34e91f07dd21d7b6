"""The interactive parts of the lessons. Only core widgets that ipywidgets 7.7.1 (Colab) and 8 both have."""

from gan_lib.widgets.dashboard import live as live
from gan_lib.widgets.explorer import explore as explore
from gan_lib.widgets.panels import invert as invert
from gan_lib.widgets.panels import rewind as rewind
