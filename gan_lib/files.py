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
    """Write the bytes `content` to `path`; whoever reads `path` sees the old file or the new one, never a half.

    The bytes go to a temporary name in the same folder (made if missing), are flushed to the disk, and are renamed.
    On an error (`OSError`: a full disk, no permission) the temporary file is removed and `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def manifest():
    """What weights/manifest.json says of each of the bundled weights: {name: {command, seed, seconds, sha256, …}}."""
    return json.loads((resources.files("gan_lib") / "weights" / "manifest.json").read_text())


def bundled_weights(name):
    """The tensors in weights/`name`.safetensors and what weights/manifest.json says of them.

    Raises `UserError` where there is no such entry, or where the file does not have the SHA-256 that the manifest gives.
    """
    there = manifest()
    if name not in there:
        raise UserError(f"There are no bundled weights called {name!r}; choose one of: {', '.join(there)}.")
    return safetensors.torch.load(bundled_file("weights", f"{name}.safetensors", there[name]["sha256"])), there[name]


def bundled_file(folder, name, sha256):
    """The bytes of a file that comes with the package. Raises `UserError` where they don't have this SHA-256."""
    content = (resources.files("gan_lib") / folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"The bundled file {name} is damaged: install gan_lib once more.")
    return content


def bundled_mnist(stem):
    """The bytes of one of the four MNIST files, packed with gzip. Raises `UserError` where the file is damaged."""
    sums = (resources.files("gan_lib") / "mnist" / "SHA256SUMS").read_text().split()
    return bundled_file("mnist", f"{stem}.gz", sums[sums.index(f"{stem}.gz") - 1])


def read_idx(path, content):
    """The values of an IDX file, uint8 of any shape, from its bytes; those of a .gz are unpacked first.

    Raises `UserError`, which names `path`, where the file is damaged.
    """
    try:
        content = gzip.decompress(content) if str(path).endswith(".gz") else content
        sizes = np.frombuffer(content, ">u4", content[3], 4).tolist()
        return torch.tensor(np.frombuffer(content, np.uint8, offset=4 + 4 * len(sizes)).reshape(sizes))
    except (EOFError, IndexError, OSError, ValueError, zlib.error) as error:
        raise UserError(f"The file {path} is damaged ({error}): delete it and try again.") from error
