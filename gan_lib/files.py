"""Files that are there whole or not at all, and the weights that come with the package."""

import hashlib
import json
import os
from importlib import resources
from pathlib import Path

import safetensors.torch


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

    Raises `ValueError` where there is no such entry, or where the file does not have the SHA-256 that the manifest gives.
    """
    there = manifest()
    if name not in there:
        raise ValueError(f"There are no bundled weights called {name!r}; choose one of: {', '.join(there)}.")
    content = (resources.files("gan_lib") / "weights" / f"{name}.safetensors").read_bytes()
    if hashlib.sha256(content).hexdigest() != there[name]["sha256"]:
        raise ValueError(f"The bundled file {name}.safetensors is damaged: install gan_lib once more.")
    return safetensors.torch.load(content), there[name]
