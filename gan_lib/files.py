"""Atomic file writes, the files that come with the package, and the format of the MNIST files."""

import gzip
import hashlib
import json
import os
import zlib
from importlib import resources
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from gan_lib import UserError


def write_atomically(path, content):
    """Write bytes to `path`, and make its folder. After an `OSError` (a full disk, no permission) `path` is as it was."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # in the same folder: a rename can't cross disks
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def manifest():
    """The description of each of the bundled weights: {name: {command, seed, seconds, sha256, …}}."""
    return json.loads((resources.files("gan_lib") / "weights" / "manifest.json").read_text())


def bundled_weights(name):
    """The tensors of bundled weights, and their entry in `manifest`. Raises `UserError` for an unknown or a damaged file."""
    entries = manifest()
    if name not in entries:
        raise UserError(f"There are no bundled weights called {name!r}; choose one of: {', '.join(entries)}.")
    content = read_bundled("weights", f"{name}.safetensors", entries[name]["sha256"])
    return safetensors.torch.load(content), entries[name]


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
