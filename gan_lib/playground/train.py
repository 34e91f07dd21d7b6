"""A page that trains a GAN in the browser, without a kernel: the program is in `train*.js`. Lessons 02, 06 and 08."""

import base64
import gzip
import html
from dataclasses import asdict

from gan_lib import data, files, recipes
from gan_lib.playground import page

DIGITS = 5000  # more make the page larger, and its generator hardly better


def write_trainer(path):
    """Write the page that trains. Returns its size in bytes."""
    return files.write_atomically(path, trainer().encode())


def train_inline(height=900):
    """The page that trains as HTML for a cell's output, `height` pixels high."""
    from IPython.display import HTML  # here, because the command line starts without it

    frame = html.escape(trainer()).replace("\n", "&#10;")  # in one line
    return HTML(page.fill("train_output.html", height=str(height), frame=frame))


def trainer():
    """The page as text. It holds 16 greys of each digit, two pixels in a byte, and the recipe that a checkpoint names."""
    greys = (data.load().images[:DIGITS].flatten().short().numpy() + 8) // 17
    digits = gzip.compress((greys[::2] << 4 | greys[1::2]).astype("uint8").tobytes(), 9, mtime=0)
    facts = {"digits": base64.b64encode(digits).decode(), "recipe": asdict(recipes.get("mlp-quick"))}
    return page.fill("train.html", facts)
