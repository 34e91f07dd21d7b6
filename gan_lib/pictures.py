"""Pictures as `uint8` arrays: tiled digits, and files. Introduced in lesson 01."""

import math

import numpy as np
import torch
from PIL import Image

from gan_lib import UserError, data, files

REAL, FAKE, D, THEORY = "#009E73", "#CC79A7", "#0072B2", "#999999"  # safe for colour-blind readers (Okabe and Ito)
GAP = 2  # pixels between two digits
CELL = 28 + GAP


def pixels(images):
    """float [N, 1, 28, 28] in [-1, 1], or uint8 [N, 28, 28] → uint8 [N, 28, 28] on the CPU. Raises `UserError` for others."""
    grey = images if images.dtype == torch.uint8 else data.to_uint8(images)
    if grey.ndim != 3 or grey.shape[1:] != (28, 28):
        raise UserError(f"The images must be float [N, 1, 28, 28] or uint8 [N, 28, 28], not {list(images.shape)}.")
    return grey.cpu()


def tile(images, columns=10, scale=1):
    """Images (as `pixels` takes them) in rows: numpy uint8 [height, width], enlarged `scale` times by nearest neighbours."""
    images = pixels(images).numpy()
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    picture = np.full((rows * CELL + GAP, columns * CELL + GAP), 40, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * CELL + GAP, i % columns * CELL + GAP
        picture[top : top + 28, left : left + 28] = image
    return picture.repeat(scale, 0).repeat(scale, 1)


def save_picture(picture, path, dpi=72):
    """Write a uint8 picture [height, width] as PNG or PDF, at `dpi` pixels per inch, and make its folder."""
    with files.replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, dpi=(dpi, dpi), quality=90)  # quality: a PDF holds a JPEG


def rgb(images, columns=10):
    """Images [N, 3, 28, 28], in [-1, 1] or uint8, as a colour picture: numpy uint8 [height, width, 3]. Lesson 09."""
    channels = images.unbind(1) if images.dtype == torch.uint8 else images.split(1, 1)
    return np.stack([tile(channel, columns) for channel in channels], -1)
