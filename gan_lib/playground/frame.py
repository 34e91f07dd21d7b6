"""A generator with sliders as the output of a cell. It needs no kernel once it is shown. Lesson 00."""

import base64
import html
import io

from IPython.display import HTML
from PIL import Image

from gan_lib import pictures
from gan_lib.playground import page

STILL = "Sliders for a generator. They run in the browser: run this cell, or trust the notebook, to move them."
OUTPUT = """<div style="position: relative; min-height: {height}px">
<p>{still}</p>
<img alt="ten samples" src="data:image/png;base64,{samples}">
<iframe title="A generator with sliders" style="position: absolute; inset: 0; width: 100%; height: 100%; border: 0"
 srcdoc="{frame}"></iframe>
</div>"""


def inline(sampler, directions=None, height=250):
    """Sliders for a `Sampler` as HTML, `height` pixels high: they run in the browser, without a kernel.

    One slider for each of `directions` (`latent.Direction`s; None: slant, thickness, width and height, measured on 5,000
    samples), for |z|, and for the class. Weights take 8 bits. Raises `UserError` for a generator that the page can't compute.
    """
    about = page.generator([page.Moment(None, sampler, None)], 8, directions)
    frame = html.escape(page.fill("frame", {"generators": {"": about}}))
    png = io.BytesIO()
    Image.fromarray(pictures.tile(sampler.sample(10), 5, scale=2)).save(png, "png")
    samples = base64.b64encode(png.getvalue()).decode()
    return HTML(OUTPUT.format(height=height, still=STILL, samples=samples, frame=frame))
