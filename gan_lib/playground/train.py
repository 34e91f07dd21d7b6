"""A page that trains a GAN in the browser, without a kernel: the program is in `train*.js`. Lessons 02, 06 and 08."""

import base64
import gzip
import html
from dataclasses import asdict

from gan_lib import data, files, recipes
from gan_lib.playground import page

DIGITS = 5000  # more make the page larger, and its generator hardly better
FRAME = '<div><iframe title="Train a GAN" style="width: 100%; height: {}px; border: 0" srcdoc="{}"></iframe></div>'


def write_trainer(path):
    """Write the page that trains. Returns its size in bytes."""
    content = trainer().encode()
    files.write_atomically(path, content)
    return len(content)


def train_inline(height=900):
    """The page that trains as HTML for a cell's output, `height` pixels high."""
    from IPython.display import HTML  # here, because the command line starts without it

    return HTML(FRAME.format(height, html.escape(trainer()).replace("\n", "&#10;")))


def trainer():
    """The page as text."""
    return page.fill("train.html", facts())


def facts():
    """What the page holds beside its program: the packed digits, the kernel, and the recipe that a checkpoint names."""
    digits = base64.b64encode(gzip.compress(pack(data.load().images[:DIGITS]), 9, mtime=0)).decode()
    kernel = (page.FOLDER / "train_kernel.txt").read_text("ascii").replace("\n", "")
    return {"digits": digits, "kernel": kernel, "recipe": asdict(recipes.get("mlp-quick"))}


def pack(images):
    """The bytes of uint8 images with 16 greys, two pixels in a byte."""
    greys = (images.flatten().short().numpy() + 8) // 17
    return (greys[::2] << 4 | greys[1::2]).astype("uint8").tobytes()
