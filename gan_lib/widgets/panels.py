"""`rewind`, training as a slider (lesson 04), and `invert`, from an image to its z (lesson 05)."""

import math

import ipywidgets as widgets

from gan_lib import UserError, data, latent, pictures
from gan_lib.studies import inversion, photograph
from gan_lib.widgets.explorer import STYLE, Explorer, Shell, button, row, seed_field, wide
from gan_lib.widgets.html import figures, img


class Rewinder(Shell):
    """A slider over the steps of one training run, {step: `models.Sampler`}: n images of the same z at each."""

    def __init__(self, samplers, *, n=16, size=280, seed=0):
        if not samplers:
            raise UserError("There is no sampler to show: give at least one, as {step: sampler}.")
        self.samplers, self.n, self.size = samplers, n, size
        self.seed, self.new_z = seed_field(seed)
        steps = [(f"{step:,}", step) for step in samplers]
        self.step = wide(widgets.SelectionSlider, options=steps, value=steps[-1][1], description="step")
        super().__init__(row(self.seed, self.new_z), self.step, watch=[self.seed, self.step])
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
        self.this_file = button("this file", lambda: self.report(self.show_file))
        super().__init__(row(self.number, self.this_image), row(self.file, self.this_file), watch=[self.number])
        self.children += (self.explorer,)
        self.file.observe(lambda _: self.report(self.show_file), "value")
        self.draw()

    def show(self):
        """Find the z of the image with the number in the field."""
        return self.find(data.to_range(self.images[self.number.value]), f"image {self.number.value}")

    def show_file(self):
        """Find the z of the picture in the file."""
        return self.find(photograph.read(newest_file(self.file.value)), "the picture in the file")

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


def newest_file(value):
    """The bytes of the newest file in a `FileUpload`'s value: a dict in ipywidgets 7, a tuple in 8."""
    if not value:
        raise UserError("Choose a picture file first.")
    return bytes([*(value.values() if isinstance(value, dict) else value)][-1]["content"])


rewind, invert = Rewinder, Inverter  # the lessons call them as functions
