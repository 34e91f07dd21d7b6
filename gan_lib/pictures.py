"""Pictures as `uint8` arrays: tiled digits, animations and files. Introduced in lesson 01."""

import math

import imageio.v3 as imageio
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

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


def save_animation(frames, path, columns=10, labels=None, scale=2, seconds=6.0, hold=0.5):
    """Write batches of images (as `pixels` takes them) as an animation; `path` ends in .gif or .mp4.

    It lasts `seconds` in all; the last frame stays for `hold` times the duration of all frames. Each frame has a progress bar
    at the bottom and, if there are `labels`, its label below. A GIF has 16 grey levels, as noise compresses badly.
    """
    pictures = [tile(frame, columns, scale) for frame in frames]
    for i, picture in enumerate(pictures):
        picture[-2 * scale :, : max(1, round(picture.shape[1] * (i + 1) / len(pictures)))] = 200
    if labels is not None:
        pictures = [caption(picture, label) for picture, label in zip(pictures, labels, strict=True)]
    pictures += [pictures[-1]] * max(hold > 0, int(hold * len(pictures)))
    fps = max(1.0, len(pictures) / seconds)
    with files.replacing(path) as temporary:
        if str(path).endswith(".gif"):
            coarse = ((np.arange(256) + 8.5) // 17 * 17).astype(np.uint8)  # 0, 17, ... 255
            temporary.write_bytes(gif(coarse[np.stack(pictures)], 1000 / fps))
        else:
            colour = np.stack(pictures)[..., None].repeat(3, -1)
            imageio.imwrite(temporary, colour, fps=fps, plugin="FFMPEG", codec="libx264", macro_block_size=2, quality=8)


def gif(pictures, milliseconds):
    """The bytes of an endless GIF of uint8 pictures [N, height, width], `milliseconds` each."""
    return imageio.imwrite("<bytes>", pictures, extension=".gif", duration=milliseconds, loop=0)


def caption(picture, text):
    """The uint8 picture [height, width] with a line of text below it: [height + 20, width]."""
    line = Image.new("L", (picture.shape[1], 20))
    ImageDraw.Draw(line).text((6, 3), text, fill=255, font=ImageFont.load_default(12))
    return np.concatenate([picture, np.asarray(line)])
