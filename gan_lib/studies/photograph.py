"""A digit from a photograph or a drawing, as MNIST has them. Lesson 10."""

import io

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import nn

from gan_lib import UserError

FORMATS = "PNG, JPEG, WebP, BMP, GIF, TIFF"  # the other formats of Pillow may start outside programs


def read(file):
    """A digit from a picture file (its path, or its bytes) in MNIST's format: float [1, 28, 28] in [-1, 1].

    White on black, within 20 × 20 pixels, its centre of mass at (14, 14). `UserError` for an unreadable or empty picture.
    """
    name = "This picture" if isinstance(file, bytes) else f"The picture {file}"
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS.split(", ")) as picture:
            picture = ImageOps.exif_transpose(picture)  # the orientation in which the photo was taken
            if picture.mode[0] in "IF":  # 16 or 32 bits per pixel
                values = np.nan_to_num(np.array(picture, np.float64))
                top = 65535 if picture.mode[1:] else max(values.max(), 1e-9)  # 16 bits: I;16, I;16B …
                picture = Image.fromarray((values / top * 255).round().clip(0, 255).astype(np.uint8))
            picture = picture.convert("RGBA")
    except UnidentifiedImageError as error:
        raise UserError(f"{name} can't be read: it is none of {FORMATS}.") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise UserError(f"{name} can't be read: {getattr(error, 'strerror', None) or error}.") from error
    picture.thumbnail((400, 400))
    grey, opacity = torch.from_numpy(np.array(picture.convert("LA"))).float().div(255).unbind(2)  # [height, width]
    if opacity.min() < 1:  # the background becomes black behind a bright drawing, white behind a dark one
        grey = grey * opacity + (1 - opacity) * ((grey * opacity).sum() < 0.5 * opacity.sum())
    background = torch.cat([grey[0], grey[-1], grey[:, 0], grey[:, -1]]).median()
    low, high = grey.aminmax()
    if high - low < 0.1:
        raise UserError(f"{name} shows nothing: it has one shade all over.")
    ink = (grey - background) / ((low if background - low > high - background else high) - background)
    ink = torch.where(ink > 0.15, ink, 0)  # removes the grain of the paper
    rows, columns = ink.sum(1).nonzero(), ink.sum(0).nonzero()
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = [max(1, round(20 * side / max(ink.shape))) for side in ink.shape]
    ink = nn.functional.interpolate(ink[None, None], size, mode="area")[0, 0]
    ink = ink / ink.max()
    centre = [(ink.sum(1 - i) * torch.arange(side)).sum() / ink.sum() for i, side in enumerate(size)]
    top, left = [min(max(round(14 - c.item()), 0), 28 - side) for c, side in zip(centre, size, strict=True)]
    return nn.functional.pad(ink, (left, 28 - left - size[1], top, 28 - top - size[0])).unsqueeze(0) * 2 - 1
