"""`explore`, the sliders of lesson 05, and what the other widgets share with it: a picture, controls, a status line."""

import html
import itertools
import math
import threading
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch

from gan_lib import UserError, data, evaluation, latent, pictures
from gan_lib.files import write_atomically
from gan_lib.widgets.html import failure, img

STYLE = {"description_width": "90px"}
WRAP = {"flex_flow": "row wrap"}
LEG = 24  # pictures from one digit of a walk to the next


def wide(kind=widgets.FloatSlider, **settings):
    """A wide slider."""
    return kind(**settings, layout={"width": "360px"}, style=STYLE)


def button(text, act):
    """A button that calls `act()`."""
    made = widgets.Button(description=text, layout={"width": "auto"})
    made.on_click(lambda _: act())
    return made


def row(*controls):
    """Controls side by side, in as many lines as they need."""
    return widgets.HBox(controls, layout=WRAP | {"width": "366px"})


def seed_field(seed):
    """A field with a seed, and a button that adds 1 to it."""
    field = widgets.BoundedIntText(seed, max=2**31 - 1, description="seed", style=STYLE, layout={"width": "190px"})
    return field, button("new z", lambda: field.set_trait("value", field.value + 1))


class Shell(widgets.HBox):
    """A picture, and beside it controls and a status line. A subclass draws in `show()`, which returns the status as HTML."""

    def __init__(self, *controls, watch):
        self.image, self.status = widgets.HTML(), widgets.HTML()
        self.lock = threading.RLock()  # newer kernels run callbacks on another thread, and a callback may cause another
        super().__init__([self.image, widgets.VBox([*controls, self.status])], layout=WRAP)
        for control in watch:
            control.observe(lambda _: self.draw(), "value")

    def draw(self):
        """Show the picture of the controls' values."""
        self.report(self.show)

    def report(self, act):
        """Put the HTML that `act()` returns, or its error, into the status line: notebooks hide the errors of callbacks."""
        with self.lock:
            try:
                self.status.value = act()
            except Exception as error:
                self.status.value = failure(error)


class Explorer(Shell):
    """Sliders that steer a `models.Sampler`: a seed, a slider for each direction, one for |z|, and a walk.

    `directions` are `latent.Direction`s, by default the first eight coordinates of z. `size` is in CSS pixels. It starts at
    `z`, float [latent_dim], by default the first of `sampler.noise(1, seed)`. With `neighbours`, uint8 [M, 28, 28], a button
    shows the five nearest to the picture. "save" writes into the folder runs/. `current_z` is the point on the screen.
    """

    def __init__(self, sampler, directions=None, *, size=280, seed=0, z=None, neighbours=None):
        directions = latent.coordinates(sampler) if directions is None else directions
        if any(direction.vector.shape != (sampler.latent_dim,) for direction in directions):
            raise UserError(f"Each direction must have {sampler.latent_dim} numbers, as this sampler's z has.")
        self.sampler, self.directions, self.size, self.neighbours = sampler, directions, size, neighbours
        self.radius, self.given = math.sqrt(sampler.latent_dim), {}  # {seed: (the z in place of its noise, name)}
        self.seed, self.new_z = seed_field(seed)
        self.digit = widgets.ToggleButtons(options=range(sampler.classes), description="digit", style=STYLE)
        self.digit.style.button_width = "28px"
        self.sliders = [wide(value=0, min=-4, max=4, description=direction.name) for direction in directions]
        self.norm = wide(min=0, description="|z|")
        self.set_length(self.radius * sampler.truncation)
        self.walk = wide(widgets.IntSlider, value=0, min=0, max=4 * LEG - 1, description="walk")
        self.play = widgets.Play(max=self.walk.max)
        widgets.jslink((self.play, "value"), (self.walk, "value"))
        self.reset = button("sliders to 0", self.centre)
        self.save = button("save", lambda: self.report(self.save_files))
        self.text = button("z as text", lambda: self.report(self.write_z))
        self.nearest = button("nearest", lambda: self.report(self.find_nearest))
        buttons = [self.save, self.text] + [self.nearest] * (neighbours is not None)
        moving = [*[self.digit] * (sampler.classes > 0), *self.sliders, self.norm, self.walk]
        self.seed.observe(lambda _: self.walk.set_trait("value", 0), "value")  # before it is drawn
        rows = row(self.seed, self.new_z, self.reset), *moving, row(self.play, *buttons)
        super().__init__(*rows, watch=[self.seed, *moving])
        self.draw() if z is None else self.start(z)

    def start(self, z, name="the given z"):
        """Go to z, float [latent_dim], which replaces the noise of the present seed."""
        if z.shape != (self.sampler.latent_dim,):
            raise UserError(f"z must have the shape [{self.sampler.latent_dim}], not {list(z.shape)}.")
        z = z.detach().clone().to(self.sampler.device)
        self.given = {self.seed.value: (z, name)}
        self.set_length(z.norm().item())
        self.centre()
        self.walk.value = 0
        self.draw()

    def set_length(self, length):
        """Set the slider |z|, in steps that divide this length: a browser rounds values to whole steps."""
        self.length = length
        with self.norm.hold_sync():
            self.norm.max = max(2 * self.radius, length)
            self.norm.step = length / max(1, round(length / 0.1)) or 0.1
            self.norm.value = length

    def centre(self):
        """Set the direction sliders to 0."""
        for each in self.sliders:
            each.value = 0

    def of(self, seed):
        """The point z [latent_dim] of a seed, and its name."""
        return self.given.get(seed) or (self.sampler.noise(1, seed)[0], f"seed {seed}")

    def point(self, position):
        """The point z [latent_dim] at a position of the walk, which goes to the next three seeds and back."""
        z, _ = self.of(self.seed.value)
        if position:
            anchors = torch.stack([self.of(self.seed.value + i)[0] for i in range(4)])
            z = latent.loop(anchors, 4 * LEG)[position] * z.norm() / self.radius
        unmoved = abs(self.norm.value - self.length) < 0.06  # a busy browser may round to the steps of before
        strengths, length = [each.value for each in self.sliders], self.length if unmoved else self.norm.value
        return latent.steer(z, self.directions, strengths, length)

    @property
    def current_z(self):
        """The point z [latent_dim] on the screen: after the walk, the sliders and |z|."""
        return self.point(self.walk.value)

    def picture(self, position=None):
        """The image of `current_z`, or of another position of the walk, uint8 [28, 28]."""
        z = self.current_z if position is None else self.point(position)
        return latent.render(self.sampler.of(self.digit.value) if self.digit.options else self.sampler, z).cpu().numpy()

    def show(self):
        """Draw the picture; the status line says where z comes from."""
        _, name = self.of(self.seed.value)
        digit = f"the {self.digit.value}" if self.digit.options else "the digit"
        values = [f"{each.description} {each.value:.1f}" for each in (*self.sliders, self.norm)]
        self.image.value = img(self.picture(), self.size, ", ".join([f"{digit} of {name}", *values]))
        return html.escape(name)

    def save_files(self):
        """Write the picture and its walk, ten times as large, as runs/digit_N.png and .gif, with the next free number N."""
        folder, film = Path("runs"), np.stack([self.picture(i) for i in range(4 * LEG)])
        n = next(n for n in itertools.count(1) if not [*folder.glob(f"digit_{n}.*")])
        png, gif = folder / f"digit_{n}.png", folder / f"digit_{n}.gif"
        try:
            pictures.save_picture(self.picture().repeat(10, 0).repeat(10, 1), png)
            write_atomically(gif, pictures.gif(film.repeat(10, 1).repeat(10, 2), 100))
        except OSError as error:
            raise OSError(f"Nothing can be written into {folder.resolve()}: {error.strerror}.") from error
        return f"saved as {png} and {gif}"

    def write_z(self):
        """`current_z` as code that gives it back exactly; a click selects all of it."""
        numbers = ", ".join(str(number) for number in self.current_z.cpu().numpy())
        return f'<code style="user-select: all">torch.tensor([{numbers}])</code>'

    def find_nearest(self):
        """The five training digits nearest to the picture, and their distances."""
        neighbours = self.neighbours.to(self.sampler.device)
        picture = torch.from_numpy(self.picture()).unsqueeze(0).to(self.sampler.device)
        distances, indices = evaluation.nearest(data.to_range(picture), neighbours, k=5)
        strip = img(pictures.tile(neighbours[indices[0]]), 330, "the five nearest training digits")
        return f"nearest at distances {', '.join(f'{each:.1f}' for each in distances[0].tolist())}<br>{strip}"


explore = Explorer  # the lessons call it as a function
