"""The tests, as a package: IPython 7 puts one of the same name on the path."""

from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent  # of the repository


def load_picture(path):
    """A picture as grey: numpy uint8 [height, width]."""
    return np.array(Image.open(path).convert("L"))
