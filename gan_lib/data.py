"""Images as one `uint8` tensor on the device, cut into endless shuffled batches in [-1, 1].

MNIST comes with the package and needs no network; `load` knows three other data sets of the same format. Lesson 01.
"""

import functools
import gzip
import itertools
import math
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
import torch
from PIL import ImageOps

from gan_lib import UserError
from gan_lib.files import bundled_mnist, read_idx, read_picture, write_atomically

SETS = {  # name: (torchvision's class, its arguments, number of classes, prefixes of the file names: training, test)
    "mnist": ("MNIST", {}, 10, ("train", "t10k")),
    "fashion-mnist": ("FashionMNIST", {}, 10, ("train", "t10k")),
    "kmnist": ("KMNIST", {}, 10, ("train", "t10k")),
    "emnist-letters": ("EMNIST", {"split": "letters"}, 26, ("emnist-letters-train", "emnist-letters-test")),
}
ENDS = "images-idx3-ubyte", "labels-idx1-ubyte"
SUFFIXES = ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where `apt install dataset-fashion-mnist` puts its four


class Digits(NamedTuple):
    """Images and their labels."""

    images: torch.Tensor  # uint8 [N, 28, 28], 0 black to 255 white
    labels: torch.Tensor  # int64 [N], 0 to 9 (0 to 25 for letters)


def load(name="mnist", *, train=True, device="cpu"):
    """The training images (60,000 of MNIST) or test images (10,000) of the data set `name`, as `Digits` on `device`.

    `name` is one of `SETS`, or a folder for `load_folder`. MNIST comes with the package; torchvision downloads the others. Raises
    `UserError` for an unknown name or a damaged file, and `FileNotFoundError`, which says what to put where, without a network.
    """
    if name not in SETS:
        return load_folder(name, device=device)
    stems = [f"{SETS[name][3][not train]}-{end}" for end in ENDS]
    images, labels = map(read_mnist, stems) if name == "mnist" else read_cached(name, stems)
    return Digits(images.to(device, copy=True), labels.to(device, torch.int64, copy=True))  # `read_mnist` keeps its own


def load_folder(path, *, device="cpu"):
    """The pictures in a folder as `Digits` on `device`: grey, the square in their middle, 28 × 28, in a fixed mixed order.

    Sub-folders are classes, labelled from 0 in alphabetical order; without them all labels are 0. Hidden files and other kinds of
    files are left out. Raises `UserError`.
    """
    if not (top := Path(path)).is_dir():
        raise UserError(f"There is no folder and no data set called '{path}'; choose one of: {', '.join(SETS)}.")
    seen = lambda file: file.suffix.lower() in SUFFIXES and "/." not in f"/{file.relative_to(top).as_posix()}"
    loose, inside = (sorted(filter(seen, top.glob(depth))) for depth in ("*", "*/*"))
    if loose and inside:
        raise UserError(f"{path} holds pictures beside its sub-folders: move {loose[0].name} into one of these.")
    if (n := len(loose + inside)) < 2:
        raise UserError(f"The number of pictures in {path} is {n}, and a GAN needs many ({', '.join(SUFFIXES)}).")
    paths = [(loose + inside)[i] for i in torch.randperm(n, generator=torch.Generator().manual_seed(0))]
    names = sorted({file.parent.name for file in paths})
    images = torch.from_numpy(np.stack([ImageOps.fit(read_picture(file), (28, 28)) for file in paths]))
    return Digits(images.to(device), torch.tensor([names.index(file.parent.name) for file in paths], device=device))


@functools.cache
def read_mnist(stem):
    """The values of a bundled MNIST file, uint8, read once in each process."""
    return read_idx(f"{stem}.gz", bundled_mnist(stem))


def read_cached(name, stems):
    """Images [N, 28, 28] and labels [N], uint8, from two files of a data set, which is downloaded if they are missing."""
    kind, arguments, classes, _ = SETS[name]
    raw = cache_folder() / kind / "raw"
    debian = DEBIAN if kind == "FashionMNIST" else raw
    find = lambda stem: next(filter(Path.is_file, (raw / stem, raw / f"{stem}.gz", debian / f"{stem}.gz")), None)
    if not all(map(find, stems)):
        try:
            download(kind, arguments, raw)
        except (RuntimeError, OSError) as error:
            hint = f"Put {stems[0]}.gz and {stems[1]}.gz into {raw} and try again."
            why = f"{name} is not on this machine and could not be downloaded ({' '.join(str(error).split())})."
            raise FileNotFoundError(f"{why} {hint}") from error
    paths = list(map(find, stems))
    images, labels = (read_idx(path, path.read_bytes()) for path in paths)
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1] or not len(labels):
        shapes = f"{list(images.shape)} and {list(labels.shape)}"
        raise UserError(f"{paths[0]} and {paths[1]} must hold images [N, 28, 28] and labels [N], not {shapes}.")
    first = int(kind == "EMNIST")  # whose letters are labelled from 1, and transposed
    if labels.min() < first or labels.max() >= first + classes:
        raise UserError(f"The labels in {paths[1]} must lie between {first} and {first + classes - 1}.")
    return (images.mT.contiguous() if kind == "EMNIST" else images), labels - first


def download(kind, arguments, raw):
    """Download a data set with torchvision and move its unpacked files into `raw`. A failed download leaves nothing behind."""
    from torchvision import datasets  # here, because its import takes longer than all others together

    existing = next(filter(Path.is_dir, raw.absolute().parents))  # on the same disk as `raw`
    with tempfile.TemporaryDirectory(dir=existing) as folder:
        getattr(datasets, kind)(folder, download=True, **arguments)
        raw.mkdir(parents=True, exist_ok=True)
        for path in Path(folder, kind, "raw").glob(f"*{arguments.get('split', '')}-*-ubyte"):
            os.replace(path, raw / path.name)


def cache_folder():
    """The folder for downloaded data: the environment variable `GAN_LIB_DATA`, or this platform's cache folder."""
    return Path(os.environ.get("GAN_LIB_DATA") or platformdirs.user_cache_dir("gan_lib"))


def unpack(folder):
    """Write the four MNIST files, uncompressed, into `folder`, unless they are there undamaged. Safe in parallel processes."""
    for stem in (f"{part}-{end}" for part in SETS["mnist"][3] for end in ENDS):
        content = gzip.decompress(bundled_mnist(stem))
        if not (folder / stem).exists() or (folder / stem).read_bytes() != content:
            write_atomically(folder / stem, content)


def check_images(images, ndim=4, clipped=False):
    """Raise `UserError` unless `images` are finite floats [N, 1, 28, 28] in [-1, 1]. Called where images enter the package.

    With `ndim` 3: one image; with None: any number of leading axes. With `clipped`: any range except [0, 1].
    """
    if not images.is_floating_point():
        raise UserError(f"The images must be float in [-1, 1], not {images.dtype}: give them to data.to_range first.")
    if images.shape[-3:] != (1, 28, 28) or images.ndim != (ndim or images.ndim):
        raise UserError(f"The images must have the shape [{'N, ' * (ndim != 3)}1, 28, 28], not {list(images.shape)}.")
    if not images.numel():
        return
    low, high = torch.stack(images.detach().aminmax()).tolist()  # one wait for the device
    if not math.isfinite(high - low):
        raise UserError("The images hold NaN or infinity: the generator has diverged.")
    if 0 <= low < 0.5 < high or (not clipped and max(-low, high) > 1.5):
        raise UserError(f"The images must lie in [-1, 1], not {low:.2f} to {high:.2f}: use 2 * x - 1 for [0, 1].")


def to_range(images):
    """uint8 [..., 28, 28] → float32 [..., 1, 28, 28] in [-1, 1], x / 127.5 - 1, the range of all nets. `UserError` for others."""
    if images.dtype != torch.uint8:
        raise UserError(f"The images must be uint8, 0 to 255, not {images.dtype}: to_range scales them to [-1, 1].")
    return images.unsqueeze(-3).float().div_(127.5).sub_(1)


def to_uint8(images):
    """float [..., 1, 28, 28] in [-1, 1], clipped → uint8 [..., 28, 28]: the inverse of `to_range`. Errors: see `check_images`."""
    check_images(images, ndim=None, clipped=True)
    return images.detach().squeeze(-3).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def batches(images, batch_size, *, seed=0, start=0):
    """Yield batches [batch_size, 1, 28, 28] in [-1, 1] from uint8 `images` [N, 28, 28] without end, as in `labelled_batches`."""
    return (batch for batch, _ in labelled_batches(images, batch_size, seed=seed, start=start))


def labelled_batches(digits, batch_size, *, seed=0, start=0):
    """Yield (images [batch_size, 1, 28, 28] in [-1, 1], labels [batch_size]) without end; labels are None if `digits` are images.

    Each epoch is a new permutation; its last incomplete batch is dropped. Batch k, from `start` on, depends on `seed` and k only.
    """
    images, labels = digits if isinstance(digits, Digits) else (digits, None)
    if not 0 < batch_size <= len(images):
        raise UserError(f"batch_size must lie between 1 and the number of images ({len(images)}), not {batch_size}.")
    per_epoch = len(images) // batch_size
    rng = torch.Generator(images.device)
    for epoch in itertools.count(start // per_epoch):
        rng.manual_seed(1_000_003 * seed + epoch)  # one seed an epoch: `start` skips epochs without drawing them
        order = torch.randperm(len(images), generator=rng, device=images.device)
        for chosen in order.split(batch_size)[start % per_epoch : per_epoch]:
            # index_select is faster than images[chosen]
            yield to_range(images.index_select(0, chosen)), None if labels is None else labels.index_select(0, chosen)
        start = 0
