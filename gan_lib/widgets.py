"""Sliders: thin shells over pure functions (`latent.render`). Lesson 05. The dashboard, `live`, is in dashboard.py. Lesson 02.

Only core widgets that ipywidgets 7.7.1 (Colab) and 8 both have.
"""

import html
import math
import threading

import ipywidgets as widgets

from gan_lib import latent
from gan_lib.dashboard import live as live
from gan_lib.pictures import img


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
