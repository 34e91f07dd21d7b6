"""Films: of training, and of a closed walk through latent space. Lessons 04, 05 and 11."""

import math

import imageio.v3 as imageio
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from gan_lib import files
from gan_lib.latent import slerp
from gan_lib.pictures import tile


def save(frames, path, columns=10, labels=None, scale=2, seconds=6.0, hold=0.5):
    """Write batches of images (as `pictures.pixels` takes them) as an animation; `path` ends in .gif or .mp4.

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


def loop(anchors, n):
    """A closed `slerp` walk z [n, latent_dim] through `anchors` [K, latent_dim], which are scaled to sqrt(latent_dim) first."""
    anchors = torch.nn.functional.normalize(anchors, dim=1) * math.sqrt(anchors.shape[1])
    at = torch.arange(n, device=anchors.device) * len(anchors) / n  # 2.5: halfway from the third to the fourth
    legs = zip(anchors, anchors.roll(-1, 0), strict=True)
    return torch.cat([slerp(a, b, at[at.long() == i] - i) for i, (a, b) in enumerate(legs)])
