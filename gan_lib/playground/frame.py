"""Sliders for a generator in a cell's output, which live on without a kernel. Lesson 00."""

import base64
import html
import io

from IPython.display import HTML
from PIL import Image

from gan_lib import pictures
from gan_lib.playground import page


def inline(sampler, directions=None, height=250):
    """Sliders for a `Sampler` as HTML, `height` pixels high. Where no script may run it shows ten samples instead.

    There is one slider for each of `directions` (`latent.Direction`s; None: slant, thickness, width and height), one for |z|,
    and one for the class. A weight takes 8 bits. Raises `UserError` for a generator that the sliders can't compute.
    """
    generator = page.generator([page.Moment(None, sampler, None)], 8, directions)
    frame, png = page.fill("frame.html", {"generators": {"": generator}}), io.BytesIO()
    Image.fromarray(pictures.tile(sampler.sample(10), columns=5)).save(png, "png")
    samples = base64.b64encode(png.getvalue()).decode()
    frame = html.escape(frame).replace("\n", "&#10;")  # one line of the notebook's file, not hundreds
    return HTML(page.fill("output.html", height=str(height), samples=samples, frame=frame))
