"""The sliders `explore` (lesson 05) and `invert` (lesson 10), and `rewind`, training as a slider (lesson 04)."""

import html
import itertools
import math
import threading
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch

from gan_lib import UserError, data, latent, pictures
from gan_lib.files import write_atomically
from gan_lib.studies import films, inversion
from gan_lib.widgets.html import failure, figures, img

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


def seed_field(seed):
    """A field with a seed, and a button that adds 1 to it."""
    field = widgets.BoundedIntText(seed, max=2**31 - 1, description="seed", style=STYLE, layout={"width": "190px"})
    return field, button("new z", lambda: field.set_trait("value", field.value + 1))


class Shell(widgets.HBox):
    """A picture, and beside it controls and a status line. A subclass draws in `show()`, which returns the status as HTML.

    A list of controls is a row. A new value of a control in `watch` draws again.
    """

    def __init__(self, *controls, watch):
        self.image, self.status = widgets.HTML(), widgets.HTML()
        self.lock = threading.RLock()  # newer kernels run callbacks on another thread, and a callback may cause another
        row = lambda parts: widgets.HBox(parts, layout=WRAP | {"width": "366px"})
        controls = [row(each) if isinstance(each, list) else each for each in controls]
        super().__init__([self.image, widgets.VBox([*controls, self.status])], layout=WRAP)
        for control in watch:
            control.observe(lambda _: self.draw(), "value")

    def draw(self, act=None):
        """Put what `act`, by default `show`, returns into the status line, or its error: notebooks hide those of callbacks."""
        with self.lock:
            try:
                self.status.value = (act or self.show)()
            except Exception as error:
                self.status.value = failure(error)


class Explorer(Shell):
    """Sliders that steer a `models.Sampler`: a seed, a slider for each direction, one for |z|, and a walk.

    `directions` are `latent.Direction`s, by default the first eight coordinates of z. `size` is in CSS pixels. It starts at
    `z`, float [latent_dim], by default the first of `sampler.noise(1, seed)`. "save" writes into the folder runs/. `point()`
    is the z on the screen.
    """

    def __init__(self, sampler, directions=None, *, size=280, seed=0, z=None):
        directions = latent.coordinates(sampler) if directions is None else directions
        if any(direction.vector.shape != (sampler.latent_dim,) for direction in directions):
            raise UserError(f"Each direction must have {sampler.latent_dim} numbers, as this sampler's z has.")
        self.sampler, self.directions, self.size = sampler, directions, size
        self.radius = math.sqrt(sampler.latent_dim)
        self.seed, self.new_z = seed_field(seed)
        self.digit = widgets.ToggleButtons(options=range(sampler.classes), description="digit", style=STYLE)
        self.digit.style.button_width = "28px"
        self.sliders = [wide(value=0, min=-4, max=4, description=direction.name) for direction in directions]
        self.norm = wide(min=0, description="|z|")
        self.walk = wide(widgets.IntSlider, value=0, min=0, max=4 * LEG - 1, description="walk")
        self.play = widgets.Play(max=self.walk.max)
        widgets.jslink((self.play, "value"), (self.walk, "value"))
        self.reset = button("sliders to 0", self.centre)
        self.save = button("save", lambda: self.draw(self.save_files))
        self.text = button("z as text", lambda: self.draw(self.write_z))
        moving = [*[self.digit] * (sampler.classes > 0), *self.sliders, self.norm, self.walk]
        self.seed.observe(lambda _: self.walk.set_trait("value", 0), "value")  # before it is drawn
        rows = [self.seed, self.new_z, self.reset], *moving, [self.play, self.save, self.text]
        super().__init__(*rows, watch=[self.seed, *moving])
        self.start(z)

    def start(self, z=None, name="the given z"):
        """Go to z, float [latent_dim], which replaces the noise of the present seed; by default to that noise."""
        if z is not None and z.shape != (self.sampler.latent_dim,):
            raise UserError(f"z must have the shape [{self.sampler.latent_dim}], not {list(z.shape)}.")
        self.given = {}  # {seed: (the z in place of its noise, name)}
        if z is not None:
            self.given[self.seed.value] = z.detach().clone().to(self.sampler.device), name
        self.length = self.radius * self.sampler.truncation if z is None else z.norm().item()
        with self.norm.hold_sync():
            self.norm.max, self.norm.value = max(2 * self.radius, self.length), self.length
        self.centre()
        self.walk.value = 0
        self.draw()

    def centre(self):
        """Set the direction sliders to 0."""
        for each in self.sliders:
            each.value = 0

    def of(self, seed):
        """The point z [latent_dim] of a seed, and its name."""
        return self.given.get(seed) or (self.sampler.noise(1, seed)[0], f"seed {seed}")

    def point(self, position=None):
        """The z [latent_dim] on the screen, or at another position of the walk, which passes the next three seeds."""
        z, _ = self.of(self.seed.value)
        if position := self.walk.value if position is None else position:
            anchors = torch.stack([self.of(self.seed.value + i)[0] for i in range(4)])
            z = films.loop(anchors, 4 * LEG)[position] * z.norm() / self.radius
        rounded = abs(self.norm.value - self.length) < 0.06  # by the browser, to the slider's steps of 0.1
        length = self.length if rounded else self.norm.value
        return latent.steer(z, self.directions, [each.value for each in self.sliders], length)

    def picture(self, position=None):
        """The image of `point(position)`, uint8 [28, 28]."""
        sampler = self.sampler.of(self.digit.value) if self.digit.options else self.sampler
        return latent.render(sampler, self.point(position)).cpu().numpy()

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
        pictures.save_picture(self.picture().repeat(10, 0).repeat(10, 1), png)
        write_atomically(gif, films.gif(film.repeat(10, 1).repeat(10, 2), 100))
        return f"saved as {png} and {gif}"

    def write_z(self):
        """The z on the screen as code that gives it back exactly; a click selects all of it."""
        numbers = ", ".join(map(str, self.point().cpu().numpy()))
        return f'<code style="user-select: all">torch.tensor([{numbers}])</code>'


class Rewinder(Shell):
    """A slider over the steps of one training run, {step: `models.Sampler`}: n images of the same z at each."""

    def __init__(self, samplers, *, n=16, size=280, seed=0):
        if not samplers:
            raise UserError("There is no sampler to show: give at least one, as {step: sampler}.")
        self.samplers, self.n, self.size = samplers, n, size
        self.seed, self.new_z = seed_field(seed)
        steps = [(f"{step:,}", step) for step in samplers]
        self.step = wide(widgets.SelectionSlider, options=steps, value=steps[-1][1], description="step")
        super().__init__([self.seed, self.new_z], self.step, watch=[self.seed, self.step])
        self.draw()

    def show(self):
        """Draw the samples of that step."""
        samples = self.samplers[self.step.value].sample(self.n, self.seed.value)
        words = f"{self.n} samples of seed {self.seed.value} at step {self.step.value:,}"
        self.image.value = img(pictures.tile(samples, math.ceil(math.sqrt(self.n))), self.size, words)
        return words


class Inverter(Shell):
    """From one of `images`, uint8 [M, 28, 28], or a picture file to its z, by `inversion.invert`; `explorer` begins there."""

    def __init__(self, sampler, images, directions=None, *, encoder=None, size=140):
        if len(images) == 0:
            raise UserError("There is no image to choose from: give at least one.")
        self.sampler, self.images, self.encoder, self.size = sampler, images, encoder, size
        self.number = widgets.BoundedIntText(0, max=len(images) - 1, description="image", style=STYLE)
        self.file = widgets.FileUpload(accept="image/*")
        self.explorer = Explorer(sampler, directions)
        self.this_image = button("this image", self.draw)
        self.this_file = button("this file", lambda: self.draw(self.show_file))
        super().__init__([self.number, self.this_image], [self.file, self.this_file], watch=[self.number])
        self.children += (self.explorer,)
        self.file.observe(lambda _: self.draw(self.show_file), "value")
        self.draw()

    def show(self):
        """Find the z of the image with the number in the field."""
        return self.find(data.to_range(self.images[self.number.value]), f"image {self.number.value}")

    def show_file(self):
        """Find the z of the picture in the newest file."""
        files = self.file.value  # a dict in ipywidgets 7, a tuple in 8
        if not files:
            raise UserError("Choose a picture file first.")
        content = [*(files.values() if isinstance(files, dict) else files)][-1]["content"]
        return self.find(inversion.read_photograph(bytes(content)), "the picture in the file")

    def find(self, target, name):
        """Search for the z of target [1, 28, 28]; show both images and their difference. Returns the error in words."""
        image = data.to_uint8(target).cpu().numpy()
        self.image.value, self.status.value = figures({name: image}, self.size), "looking for its z …"
        z, error = inversion.invert(self.sampler, target, encoder=self.encoder)
        found = latent.render(self.sampler, z).cpu().numpy()
        difference = abs(image.astype(int) - found).astype("uint8")
        self.image.value = figures({name: image, "G(z)": found, "difference": difference}, self.size)
        self.explorer.start(z, f"the z found for {name}")
        return f"mean squared error {error:.4f}"
