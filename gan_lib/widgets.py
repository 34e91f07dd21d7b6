"""Sliders and the training dashboard: thin shells over pure functions (`latent.render`, `curves_svg`). Lessons 02 and 05.

Only core widgets that ipywidgets 7.7.1 (Colab) and 8 both have. A picture is one `widgets.HTML` whose `<img>` is
replaced: the fastest way to show one, and safe from any thread, for no pyplot is involved.
"""

import base64
import html
import io
import math
import threading

import ipywidgets as widgets
from IPython import get_ipython
from PIL import Image

from gan_lib import latent
from gan_lib.plotting import FAKE, REAL, THEORY, D, tile


def img(picture, width, alt):
    """An HTML image of a uint8 picture [height, width], shown `width` CSS pixels wide with sharp pixels."""
    png = io.BytesIO()
    Image.fromarray(picture).save(png, "png", compress_level=1)
    height = round(width * picture.shape[0] / picture.shape[1])
    source = base64.b64encode(png.getvalue()).decode()
    return (
        f'<img alt="{alt}" width="{width}" height="{height}" style="image-rendering: pixelated" '
        f'src="data:image/png;base64,{source}">'
    )


class Explorer(widgets.HBox):
    """What `explore` returns. `picture()` is what the sliders stand for now; the image on the screen equals it."""

    def __init__(self, sampler, directions, size, seed, z):
        self.sampler, self.directions, self.seed, self.lock = sampler, directions, seed, threading.Lock()
        radius = math.sqrt(sampler.latent_dim)
        wide, style = widgets.Layout(width="360px"), {"description_width": "90px"}
        self.sliders = [
            widgets.FloatSlider(
                0, min=-4, max=4, step=0.1, description=d.name, layout=wide, style=style, continuous_update=True
            )
            for d in directions
        ]
        self.norm = widgets.FloatSlider(
            radius, min=0, max=2 * radius, step=0.1, description="|z|", layout=wide, style=style
        )
        self.new_z, self.reset = widgets.Button(description="new z"), widgets.Button(description="sliders to 0")
        self.image, self.status = widgets.HTML(layout=widgets.Layout(min_width=f"{size + 8}px")), widgets.HTML()
        self.size = size
        super().__init__([
            self.image,
            widgets.VBox([*self.sliders, self.norm, widgets.HBox([self.new_z, self.reset]), self.status]),
        ])  # fmt: skip
        for slider in (*self.sliders, self.norm):
            slider.observe(lambda _: self.draw(), "value")
        self.new_z.on_click(lambda _: self.go_to(self.seed + 1))
        self.reset.on_click(lambda _: self.centre())
        self.go_to(seed)
        if z is not None:
            self.name, self.z, self.norm.value = "the given z", z, z.norm().item()
            self.draw()

    def go_to(self, seed):
        """Start from another point: the first of `sampler.noise(1, seed)`."""
        self.seed, self.name, self.z = seed, f"seed {seed}", self.sampler.noise(1, seed)[0]
        self.draw()

    def centre(self):
        """Put the direction sliders back to 0."""
        for slider in self.sliders:
            slider.value = 0

    def picture(self):
        """The uint8 picture [28, 28] for the sliders' values."""
        strengths = [slider.value for slider in self.sliders]
        return latent.render(self.sampler, self.z, self.directions, strengths, self.norm.value).cpu().numpy()

    def draw(self):
        """Show `picture()`; an error appears in the status line, for notebooks swallow those of callbacks."""
        with self.lock:
            try:
                self.image.value = img(self.picture(), self.size, f"the digit of {self.name} at these sliders")
                self.status.value = self.name
            except Exception as error:
                self.status.value = f"<b>{type(error).__name__}</b>: {html.escape(str(error))}"


def explore(sampler, directions=None, *, size=280, seed=0, z=None):
    """Sliders that steer a `models.Sampler`: one for each direction, one for |z|, and a button for a new z.

    `directions` are `latent.Direction`s; without them, the first eight coordinates of z. `size` is in CSS pixels. The start is
    `z` (float [latent_dim], a digit that `latent.invert` found, say), else the first of `sampler.noise(1, seed)`.
    """
    return Explorer(sampler, latent.coordinates(sampler) if directions is None else directions, size, seed, z)


def curves_svg(records, width=440, height=130):
    """Losses (left) and D(x), D(G(z)) (right) over the steps of `records`, as one SVG; theory's levels dashed."""
    losses = [loss for r in records for loss in (r.d_loss, r.g_loss)]
    panels = [
        (0, min([0, *losses]), max([1.5, *losses]), [("d_loss", D), ("g_loss", FAKE)], math.log(2), "d_loss, g_loss"),
        (width / 2, 0, 1, [("d_real", REAL), ("d_fake", FAKE)], 0.5, "D(x), D(G(z))"),
    ]
    last = max(1, records[-1].step) if records else 1
    parts = []
    w, h = width / 2 - 12, height - 18
    for left, low, high, lines, level, title in panels:
        down = lambda value, low=low, high=high: f"{16 + h * (high - value) / (high - low):.1f}"
        parts.append(f'<text x="{left + 2:.0f}" y="11" font-size="11" fill="currentColor">{title}</text>')
        parts.append(f'<rect x="{left:.0f}" y="16" width="{w:.0f}" height="{h:.0f}" fill="none" stroke="{THEORY}"/>')
        ends = f'x1="{left:.0f}" x2="{left + w:.0f}" y1="{down(level)}" y2="{down(level)}"'
        parts.append(f'<line {ends} stroke="{THEORY}" stroke-dasharray="4"/>')
        for field, colour in lines:
            points = " ".join(f"{left + w * r.step / last:.1f},{down(getattr(r, field))}" for r in records)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return f'<svg width="{width}" height="{height}" role="img" aria-label="training curves">{"".join(parts)}</svg>'


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
