"""What the lessons show with ipywidgets: thin shells over pure functions. Only core widgets that ipywidgets 7.7.1 (Colab) has."""

from gan_lib.widgets.dashboard import live as live
from gan_lib.widgets.panels import explore as explore
from gan_lib.widgets.panels import invert as invert
from gan_lib.widgets.panels import rewind as rewind
