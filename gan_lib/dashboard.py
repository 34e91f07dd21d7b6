"""The dashboard that follows a training run. Lesson 02; with buttons and sliders, controls.py.

Only core widgets that ipywidgets 7.7.1 (Colab) and 8 both have.
"""

import ipywidgets as widgets
from IPython import get_ipython

from gan_lib.diagnosis import SPAN, diagnose
from gan_lib.pictures import curves_svg, img
from gan_lib.plotting import tile


class Live:
    """What `live` returns. `update(record)` shows the newest record and the samples of the same z as always."""

    def __init__(self, game, n, every, picture=None, size=240):
        self.game, self.images, self.every, self.records, self.size = game, None, every, [], size
        self.remark, self.diagnosed = None, 0  # what the last diagnosis found, and how many records it knew
        self.picture = picture or (lambda game: tile(game.sampler().sample(n), 8))
        self.line = widgets.HTML("waiting for the first record")
        self.samples, self.curves = widgets.HTML(), widgets.HTML()
        self.widget = widgets.VBox([self.line, widgets.HBox([self.samples, self.curves])])
        self.on_screen = getattr(get_ipython(), "kernel", None) is not None

    def _ipython_display_(self):
        from IPython.display import display

        display(self.widget) if self.on_screen else print("step by step, as text:")

    def update(self, record):
        """Take one `training.Record`; redraw, or print a line where there is no notebook around."""
        while self.records and self.records[-1].step >= record.step:  # the game has gone back
            self.records.pop()
        if self.diagnosed > len(self.records):
            self.remark, self.diagnosed = None, 0
        self.records.append(record)
        new = self.records[max(self.diagnosed - 1, 0) :]
        if record.step - (new[0].step if self.diagnosed else 0) >= SPAN:
            self.remark, self.diagnosed = diagnose(new, self.game, self.images), len(self.records)
        if (len(self.records) - 1) % self.every:
            return
        line = (
            f"step {record.step:,} · {record.seconds:.0f} s · d_loss {record.d_loss:.3f} · g_loss {record.g_loss:.3f} · "
            f"D(x) {record.d_real:.2f} · D(G(z)) {record.d_fake:.2f}"
        )
        if self.remark:
            line += f" · {self.remark}"
        if not self.on_screen:
            print(line)
            return
        self.line.value = line
        self.draw()

    def draw(self):
        """Show the samples of now, and the curves of all records."""
        self.curves.value = curves_svg(self.records)
        self.samples.value = img(self.picture(self.game), self.size, f"samples at step {self.game.step}")
