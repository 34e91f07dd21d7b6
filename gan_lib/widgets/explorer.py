"""The sliders of `widgets.explore`, and the shell that all widgets here share: a picture, controls, a status line. Lesson 05.

Only core widgets that ipywidgets 7.7.1 (Colab) and 8 both have. What is on the screen follows from the controls alone.
"""

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
LEG = 24  # pictures from one digit of a walk to the next


def wide(kind=widgets.FloatSlider, **settings):
    """A slider that draws while it is dragged."""
    return kind(**settings, layout=widgets.Layout(width="360px"), style=STYLE)


def button(text, act):
    """A button that calls `act()`."""
    made = widgets.Button(description=text, layout=widgets.Layout(width="auto"))
    made.on_click(lambda _: act())
    return made


def row(*controls):
    """Controls side by side, in as many lines as they need."""
    return widgets.HBox(controls, layout=widgets.Layout(flex_flow="row wrap", width="366px"))


def seed_field(seed):
    """A field that holds a seed, and a button that goes to the next."""
    field = widgets.BoundedIntText(
        seed, min=0, max=2**31 - 1, description="seed", style=STYLE, layout=widgets.Layout(width="190px")
    )
    return field, button("new z", lambda: field.set_trait("value", field.value + 1))


def save_digit(picture, film, folder=Path("runs")):
    """Write a uint8 picture [28, 28] as digit_N.png and a film [K, 28, 28] as digit_N.gif, ten times as large; N is the next
    that is free in `folder`. Returns both paths. Raises `OSError` in one sentence where nothing can be written.
    """
    n = next(n for n in itertools.count(1) if not [*folder.glob(f"digit_{n}.*")])
    png, gif = folder / f"digit_{n}.png", folder / f"digit_{n}.gif"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pictures.save_picture(picture.repeat(10, 0).repeat(10, 1), png)
        write_atomically(gif, pictures.gif(film.repeat(10, 1).repeat(10, 2), 100))
    except OSError as error:
        raise OSError(f"Nothing can be written into {folder.resolve()}: {error.strerror}.") from error
    return png, gif


class Shell(widgets.HBox):
    """A picture, and beside it controls and a status line. `show()` of a subclass draws the picture and returns the line."""

    def __init__(self, *controls, watch):
        self.image, self.status = widgets.HTML(), widgets.HTML()
        self.lock = threading.RLock()  # newer kernels run callbacks on another thread; and one may set off another
        beside = widgets.VBox([*controls, self.status])
        super().__init__([self.image, beside], layout=widgets.Layout(flex_flow="row wrap"))
        for control in watch:
            control.observe(lambda _: self.draw(), "value")

    def draw(self):
        """Show what the controls say."""
        self.tell(self.show)

    def tell(self, act):
        """Put the HTML that `act()` returns into the status line, or its error, for notebooks swallow those of callbacks."""
        with self.lock:
            try:
                self.status.value = act()
            except Exception as error:
                self.status.value = failure(error)


class Explorer(Shell):
    """What `explore` returns. `current_z` [latent_dim] is the point that the controls stand for; on the screen is its image."""

    def __init__(self, sampler, directions, size, seed, neighbours):
        if any(direction.vector.shape != (sampler.latent_dim,) for direction in directions):
            raise UserError(f"These directions are not this sampler's, whose z has {sampler.latent_dim} numbers.")
        self.sampler, self.directions, self.size, self.neighbours = sampler, directions, size, neighbours
        self.digit = widgets.ToggleButtons(options=range(sampler.classes), description="digit", style=STYLE)
        self.digit.style.button_width = "28px"
        self.radius, self.given = math.sqrt(sampler.latent_dim), {}  # {seed: (the z that stands in for its own, name)}
        self.seed, self.new_z = seed_field(seed)
        self.sliders = [wide(value=0, min=-4, max=4, description=direction.name) for direction in directions]
        self.norm = wide(min=0, description="|z|")
        self.reach(self.radius * sampler.truncation)
        self.walk = wide(widgets.IntSlider, value=0, min=0, max=4 * LEG - 1, description="walk")
        self.play = widgets.Play(max=self.walk.max)
        widgets.jslink((self.play, "value"), (self.walk, "value"))
        self.reset = button("sliders to 0", self.centre)
        self.save = button("save", lambda: self.tell(self.saved))
        self.text = button("z as text", lambda: self.tell(self.written))
        self.nearest = button("nearest", lambda: self.tell(self.compared))
        buttons = [self.save, self.text] + [self.nearest] * (neighbours is not None)
        moving = [*[self.digit] * (sampler.classes > 0), *self.sliders, self.norm, self.walk]
        super().__init__(row(self.seed, self.new_z, self.reset), *moving, row(self.play, *buttons), watch=moving)
        self.seed.observe(lambda _: self.begin(), "value")
        self.draw()

    def start(self, z, name="the given z"):
        """Go to z, float [latent_dim]: it takes the place of the noise of the seed that stands in the field."""
        if z.shape != (self.sampler.latent_dim,):
            raise UserError(f"z must have the shape [{self.sampler.latent_dim}], not {list(z.shape)}.")
        z = z.detach().clone().to(self.sampler.device)
        self.given = {self.seed.value: (z, name)}
        self.reach(z.norm().item())
        self.centre()
        self.begin()

    def reach(self, length):
        """Set the slider |z| to a length, and make that a whole number of its steps: a browser rounds to them."""
        self.length = length
        with self.norm.hold_sync():
            self.norm.max = max(2 * self.radius, length)
            self.norm.step = length / max(1, round(length / 0.1)) or 0.1
            self.norm.value = length

    def begin(self):
        """Go to where the walk begins."""
        self.walk.value = 0
        self.draw()

    def centre(self):
        """Put the direction sliders back to 0."""
        for each in self.sliders:
            each.value = 0

    def of(self, seed):
        """The point z [latent_dim] of a seed, and its name."""
        return self.given.get(seed) or (self.sampler.noise(1, seed)[0], f"seed {seed}")

    def point(self, position):
        """The point z [latent_dim] at a position of the walk, which goes to the next three seeds and back."""
        z, _ = self.of(self.seed.value)
        if position:
            anchors = torch.stack([z, *(self.of(self.seed.value + i)[0] for i in (1, 2, 3))])
            z = latent.loop(anchors, 4 * LEG)[position] * z.norm() / self.radius
        there = abs(self.norm.value - self.length) < 0.06  # a busy browser may round to the steps of before
        norm = self.length if there else self.norm.value
        return latent.steer(z, self.directions, [each.value for each in self.sliders], norm)

    @property
    def current_z(self):
        """The point z [latent_dim] that is on the screen: after the walk, the sliders and |z|."""
        return self.point(self.walk.value)

    def picture(self, position=None):
        """The image of `current_z`, or of another position of the walk, uint8 [28, 28]."""
        z = self.point(self.walk.value if position is None else position)
        sampler = self.sampler.of(self.digit.value) if self.digit.options else self.sampler
        return latent.render(sampler, z).cpu().numpy()

    def show(self):
        """Draw. What a button said about another picture goes."""
        _, name = self.of(self.seed.value)
        values = [f"{each.description} {each.value:.1f}" for each in (*self.sliders, self.norm)]
        what = f"the {self.digit.value} of {name}" if self.digit.options else f"the digit of {name}"
        self.image.value = img(self.picture(), self.size, html.escape(", ".join([what, *values])))
        return html.escape(name)

    def saved(self):
        """Save the picture and its walk."""
        film = np.stack([self.picture(i) for i in range(4 * LEG)])
        return "saved as " + " and ".join(str(path) for path in save_digit(self.picture(), film))

    def written(self):
        """`current_z` as code that gives it back to the last bit; a click selects it all."""
        numbers = ", ".join(str(number) for number in self.current_z.cpu().numpy())
        return f'<code style="user-select: all">torch.tensor([{numbers}])</code>'

    def compared(self):
        """The training digits nearest to the picture."""
        neighbours = self.neighbours.to(self.sampler.device)
        picture = torch.from_numpy(self.picture()).unsqueeze(0).to(self.sampler.device)
        distances, indices = evaluation.nearest(data.to_range(picture), neighbours, k=5)
        strip = img(pictures.tile(neighbours[indices[0]]), 330, "the five nearest training digits")
        return f"nearest at distances {', '.join(f'{each:.1f}' for each in distances[0].tolist())}<br>{strip}"
