"""The training dashboard. Lesson 02."""

import ipywidgets as widgets
from IPython import get_ipython

from gan_lib.pictures import curves_svg, img
from gan_lib.plotting import tile


class Live:
    """What `live` returns. `update(record)` shows the newest record and the samples of the same z as always."""

    def __init__(self, game, n, every):
        self.game, self.every, self.records = game, every, []
        self.z = game.sampler().noise(n)
        self.line, self.samples, self.curves = (
            widgets.HTML("waiting for the first record"),
            widgets.HTML(),
            widgets.HTML(),
        )
        self.widget = widgets.VBox([self.line, widgets.HBox([self.samples, self.curves])])
        self.on_screen = getattr(get_ipython(), "kernel", None) is not None

    def _ipython_display_(self):
        from IPython.display import display

        display(self.widget) if self.on_screen else print("step by step, as text:")

    def update(self, record):
        """Take one `training.Record`; redraw, or print a line where there is no notebook around."""
        self.records.append(record)
        if (len(self.records) - 1) % self.every:
            return
        line = (
            f"step {record.step:,} · {record.seconds:.0f} s · d_loss {record.d_loss:.3f} · g_loss {record.g_loss:.3f} · "
            f"D(x) {record.d_real:.2f} · D(G(z)) {record.d_fake:.2f}"
        )
        if not self.on_screen:
            print(line)
            return
        self.line.value = line
        self.curves.value = curves_svg(self.records)
        self.samples.value = img(tile(self.game.sampler()(self.z), 8), 240, f"samples at step {record.step}")


def live(game, n=32, every=1):
    """A dashboard that follows training: samples of one fixed z, both losses, D(x) and D(G(z)).

    `show = widgets.live(game)`, display it, then call `show.update(record)` in the loop over `training.train`. It is
    drawn anew at every `every`-th record. Outside a notebook it prints a line instead.
    """
    return Live(game, n, every)
