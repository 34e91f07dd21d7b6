"""What lessons show: thin shells over pure functions. Lessons 02 (`live`) and 05.

Only core widgets that ipywidgets 7.7.1 (Colab) and 8 both have.
"""

import math

import ipywidgets as widgets

from gan_lib import UserError, data, latent, pictures
from gan_lib.widgets.explorer import STYLE, Explorer, Shell, button, row, seed_field, wide
from gan_lib.widgets.html import figures, img


class Rewinder(Shell):
    """What `rewind` returns."""

    def __init__(self, samplers, n, size, seed):
        self.samplers, self.n, self.size = samplers, n, size
        self.seed, self.new_z = seed_field(seed)
        steps = [(f"{step:,}", step) for step in samplers]
        self.step = wide(widgets.SelectionSlider, options=steps, value=steps[-1][1], description="step")
        super().__init__(row(self.seed, self.new_z), self.step, watch=[self.seed, self.step])
        self.draw()

    def show(self):
        """Draw what the sampler of that step makes."""
        samples = self.samplers[self.step.value].sample(self.n, self.seed.value)
        words = f"{self.n} samples of seed {self.seed.value} at step {self.step.value:,}"
        self.image.value = img(pictures.tile(samples, math.ceil(math.sqrt(self.n))), self.size, words)
        return words


class Inverter(Shell):
    """What `invert` returns: what was chosen last, image or file, and where it was found. Below stands `explorer`, an `Explorer`
    that starts there.
    """

    def __init__(self, sampler, images, directions, encoder, size):
        if len(images) == 0:
            raise UserError("There is no image to choose from: give at least one.")
        self.sampler, self.images, self.encoder, self.size = sampler, images, encoder, size
        self.number = widgets.BoundedIntText(0, min=0, max=len(images) - 1, description="image", style=STYLE)
        self.file = widgets.FileUpload(accept="image/*")
        self.explorer = explore(sampler, directions)
        self.this_image = button("this image", self.draw)
        self.this_file = button("this file", lambda: self.tell(self.loaded))
        super().__init__(row(self.number, self.this_image), row(self.file, self.this_file), watch=[self.number])
        self.children += (self.explorer,)
        self.file.observe(lambda _: self.tell(self.loaded), "value")
        self.draw()

    def show(self):
        """Find the image with the number in the field."""
        return self.find(data.to_range(self.images[self.number.value]), f"image {self.number.value}")

    def loaded(self):
        """Find the picture in the file."""
        return self.find(pictures.read_picture(uploaded(self.file.value)), "the picture in the file")

    def find(self, target, name):
        """Look for the z of target [1, 28, 28]; show both images and where they differ. Returns the error in words."""
        image = data.to_uint8(target).cpu().numpy()
        self.image.value, self.status.value = figures({name: image}, self.size), "looking for its z …"
        z, error = latent.invert(self.sampler, target, encoder=self.encoder)
        found = latent.render(self.sampler, z).cpu().numpy()
        apart = abs(image.astype(int) - found).astype("uint8")
        self.image.value = figures({name: image, "G(z)": found, "difference": apart}, self.size)
        self.explorer.start(z, f"the z found for {name}")
        return f"mean squared error {error:.4f}"


def uploaded(value):
    """The bytes of the newest file in a `FileUpload`'s value: a dict in ipywidgets 7, a tuple in 8."""
    if not value:
        raise UserError("Choose a picture file first.")
    return bytes([*(value.values() if isinstance(value, dict) else value)][-1]["content"])


def explore(sampler, directions=None, *, size=280, seed=0, z=None, neighbours=None):
    """Sliders that steer a `models.Sampler`: a seed, one for each direction, one for |z|, and a walk.

    `directions` are `latent.Direction`s; without them, the first eight coordinates of z. `size` is in CSS pixels. The start is
    `z` (float [latent_dim], a digit that `latent.invert` found, say), else the first of `sampler.noise(1, seed)`. With
    `neighbours`, uint8 [M, 28, 28], a button shows the five nearest to the picture. "save" writes into the folder runs/.
    """
    directions = latent.coordinates(sampler) if directions is None else directions
    explorer = Explorer(sampler, directions, size, seed, neighbours)
    if z is not None:
        explorer.start(z)
    return explorer


def rewind(samplers, *, n=16, size=280, seed=0):
    """Training as a slider over the moments of one run, {step: `models.Sampler`}: n images of the same z at each."""
    if not samplers:
        raise UserError("There is no sampler to show: give at least one, as {step: sampler}.")
    return Rewinder(samplers, n, size, seed)


def invert(sampler, images, directions=None, *, encoder=None, size=140):
    """Choose one of `images`, uint8 [M, 28, 28], or a picture file: the z that `latent.invert` finds, in an explorer."""
    return Inverter(sampler, images, directions, encoder, size)
