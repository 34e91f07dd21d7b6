"""Atomic file writes, the files that come with the package, the format of the MNIST files, and picture files."""

import contextlib
import functools
import gzip
import hashlib
import io
import json
import os
import time
import warnings
import zlib
from importlib import resources
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from gan_lib import UserError

TEMPORARY = ".gan_lib-"  # how the names of unfinished files begin
FORMATS = "PNG, JPEG, WebP, BMP, GIF, TIFF"  # the other formats of Pillow may start outside programs


@functools.cache  # a folder of 10,000 samples is not listed 10,000 times
def sweep(folder):
    """Delete, once in each process, what processes that were killed left unfinished in a folder an hour ago or earlier."""
    for old in folder.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > 3600:
                old.unlink()


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside `path`, which replaces it at the end of the block. After an error or a kill `path` is as it was."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent.absolute())
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")  # not elsewhere: a rename can't cross disks
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path, content):
    """Write bytes to `path`, and make its folder. Returns their number. After an `OSError` `path` is as it was."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        return file.write(content)


def manifest():
    """The description of each of the bundled weights: {name: {command, seed, seconds, sha256, …}}."""
    return json.loads((resources.files("gan_lib") / "weights" / "manifest.json").read_text())


def bundled_weights(name):
    """The tensors of bundled weights, and their entry in `manifest`. Raises `UserError` for a damaged file."""
    about = manifest()[name]
    content = read_bundled("weights", f"{name}.safetensors", about["sha256"])
    return safetensors.torch.load(content), about


def bundled_mnist(stem):
    """The bytes of one of the four MNIST files, compressed with gzip. Raises `UserError` for a damaged file."""
    sums = (resources.files("gan_lib") / "mnist" / "SHA256SUMS").read_text().split()
    return read_bundled("mnist", f"{stem}.gz", sums[sums.index(f"{stem}.gz") - 1])


def read_bundled(folder, name, sha256):
    """The bytes of a file that comes with the package. Raises `UserError` if its SHA-256 differs."""
    content = (resources.files("gan_lib") / folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"The bundled file {name} is damaged: install gan_lib once more.")
    return content


def read_idx(path, content):
    """The values of an IDX file, uint8, from its bytes, compressed if `path` ends in .gz. `UserError` for a damaged file."""
    try:
        content = gzip.decompress(content) if str(path).endswith(".gz") else content
        sizes = np.frombuffer(content, ">u4", content[3], 4).tolist()
        return torch.tensor(np.frombuffer(content, np.uint8, offset=4 + 4 * len(sizes)).reshape(sizes))
    except (EOFError, IndexError, OSError, ValueError, zlib.error) as error:
        raise UserError(f"The file {path} is damaged ({error}): delete it and try again.") from error


def read_picture(file):
    """The picture in a file (a path, or bytes), as Pillow's "L": grey, upright, at most 400 × 400. Raises `UserError`."""
    file, name = (io.BytesIO(file), "This picture") if isinstance(file, bytes) else (file, f"The picture {file}")
    bombs = warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning)  # above 90 million pixels
    try:
        with bombs, Image.open(file, "r", FORMATS.split(", ")) as picture:
            picture = ImageOps.exif_transpose(picture)  # the orientation in which the photo was taken
            if picture.mode[0] in "IF":  # 16 or 32 bits per pixel
                values = np.nan_to_num(np.array(picture, np.float64))
                top = 65535 if picture.mode[1:] else max(values.max(), 1e-9)  # 16 bits: I;16, I;16B …
                picture = Image.fromarray((values / top * 255).round().clip(0, 255).astype(np.uint8))
            picture = picture.convert("RGBA")
    except (OSError, SyntaxError, ValueError, EOFError, Warning, Image.DecompressionBombError) as error:
        why = f"it is none of {FORMATS}" if isinstance(error, UnidentifiedImageError) else str(error).rstrip(".")
        raise UserError(f"{name} can't be read: {getattr(error, 'strerror', None) or why}.") from error
    picture.thumbnail((400, 400))
    grey, opacity = np.moveaxis(np.array(picture.convert("LA"), np.float32), 2, 0) / 255
    white = (grey * opacity).sum() < 0.5 * opacity.sum()  # what is transparent: black behind a bright drawing
    grey = grey * opacity + (1 - opacity) * white
    return Image.fromarray((255 * grey).round().astype(np.uint8))
