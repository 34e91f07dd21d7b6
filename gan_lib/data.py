"""Images as one `uint8` tensor on the device, cut into endless shuffled batches in [-1, 1].

MNIST comes with the package and needs no network; torchvision's drop-ins with the same format are one name away.
Introduced in lesson 01.
"""

import contextlib
import functools
import gzip
import itertools
import math
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import platformdirs
import torch

from gan_lib import UserError
from gan_lib.files import bundled_mnist, read_idx, write_atomically

SETS = {  # name: (torchvision's class, its arguments, number of classes, beginnings of the file names: training, test)
    "mnist": ("MNIST", {}, 10, ("train", "t10k")),
    "fashion-mnist": ("FashionMNIST", {}, 10, ("train", "t10k")),
    "kmnist": ("KMNIST", {}, 10, ("train", "t10k")),
    "emnist-letters": ("EMNIST", {"split": "letters"}, 26, ("emnist-letters-train", "emnist-letters-test")),
}
ENDS = "images-idx3-ubyte", "labels-idx1-ubyte"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where `apt install dataset-fashion-mnist` puts its four


class Digits(NamedTuple):
    """Images and what they show."""

    images: torch.Tensor  # uint8 [N, 28, 28], 0 black to 255 white
    labels: torch.Tensor  # int64 [N], 0 to 9 (0 to 25 for letters)


def load(name="mnist", *, train=True, device="cpu"):
    """Return the 60,000 training (or 10,000 test) images of `name` as `Digits` on `device`.

    `name` is one of `SETS`. MNIST is read from the package. The others are read from the cache folder, into which torchvision
    downloads them; Fashion-MNIST is also found where Debian's package puts it. Raises `UserError` for another name or a damaged
    file, and `FileNotFoundError`, which says what to put where, if the files are neither on disk nor to be had from the network.
    """
    if name not in SETS:
        raise UserError(f"There is no data set called {name!r}; choose one of: {', '.join(SETS)}.")
    stems = [f"{SETS[name][3][not train]}-{end}" for end in ENDS]
    images, labels = map(bundled, stems) if name == "mnist" else drop_in(name, stems)
    return Digits(images.to(device, copy=True), labels.to(device, torch.int64, copy=True))  # `bundled` keeps its own


@functools.cache
def bundled(stem):
    """The values of a bundled MNIST file, uint8, read once in each process."""
    return read_idx(f"{stem}.gz", bundled_mnist(stem))


def drop_in(name, stems):
    """Images [N, 28, 28] and labels [N], uint8, of one part of another set than MNIST; downloads the set if need be."""
    kind, arguments, classes, _ = SETS[name]
    raw, first = cache_folder() / kind / "raw", int(kind == "EMNIST")  # letters are counted from 1
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
    if labels.min() < first or labels.max() >= first + classes:
        raise UserError(f"The labels in {paths[1]} must lie between {first} and {first + classes - 1}.")
    return (images.mT.contiguous() if kind == "EMNIST" else images), labels - first  # letters lie on their side


def download(kind, arguments, raw):
    """Have torchvision download a set, and move its unpacked files into `raw`. A failed download leaves nothing behind."""
    from torchvision import datasets  # here, because it takes longer to import than all else together

    root = cache_folder()
    root.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=root) as folder:
            getattr(datasets, kind)(folder, download=True, **arguments)
            raw.mkdir(parents=True, exist_ok=True)
            for path in Path(folder, kind, "raw").glob(f"*{arguments.get('split', '')}-*-ubyte"):
                os.replace(path, raw / path.name)
    finally:
        with contextlib.suppress(OSError):  # there is other data in it
            root.rmdir()


def subset(digits, per_class, seed=0):
    """`per_class` of each class of `digits`, drawn with `seed`, as `Digits`; all of a class that has no more. Not below 0."""
    if per_class < 0:
        raise UserError(f"per_class must be at least 0, not {per_class}.")
    order = torch.randperm(len(digits.labels), generator=torch.Generator().manual_seed(seed)).to(digits.labels.device)
    chosen = torch.cat([order[digits.labels[order] == label][:per_class] for label in digits.labels.unique()])
    return Digits(*(each[chosen] for each in digits))


def cache_folder():
    """The folder that holds downloaded data: `GAN_LIB_DATA` if that is set, else this platform's cache folder."""
    return Path(os.environ.get("GAN_LIB_DATA") or platformdirs.user_cache_dir("gan_lib"))


def unpack(folder):
    """Write the four bundled MNIST files, unpacked, into `folder`, unless they are there whole.

    Safe to call from several processes at once. Raises `UserError` where a bundled file is damaged.
    """
    for stem in (f"{part}-{end}" for part in SETS["mnist"][3] for end in ENDS):
        content = gzip.decompress(bundled_mnist(stem))
        if not (folder / stem).exists() or (folder / stem).read_bytes() != content:
            write_atomically(folder / stem, content)


def check_images(images, ndim=4, clipped=False):
    """Raise `UserError` unless `images` are finite float [N, 1, 28, 28] in [-1, 1]: called where images enter.

    With `ndim` 3 it is one image, and with None any number of axes may come first; with `clipped`, any range but [0, 1] will do.
    """
    if not images.is_floating_point():
        raise UserError(f"The images must be float in [-1, 1], not {images.dtype}: give them to data.to_range first.")
    if images.shape[-3:] != (1, 28, 28) or images.ndim != (ndim or images.ndim):
        raise UserError(f"The images must have the shape [{'N, ' * (ndim != 3)}1, 28, 28], not {list(images.shape)}.")
    low, high = (
        torch.stack(images.detach().aminmax()).tolist() if images.numel() else (-1, 1)
    )  # one wait for the device
    if not math.isfinite(high - low):
        raise UserError("The images hold NaN or infinity: the generator has diverged.")
    if 0 <= low < 0.5 < high or (not clipped and max(-low, high) > 1.5):
        raise UserError(f"The images must lie in [-1, 1], not {low:.2f} to {high:.2f}: 2 * x - 1 takes [0, 1] there.")


def to_range(images):
    """uint8 [..., 28, 28] → float32 [..., 1, 28, 28] in [-1, 1]: x / 127.5 - 1. What every net here sees and makes.

    Raises `UserError` for images that are not uint8, such as those already brought to [-1, 1].
    """
    if images.dtype != torch.uint8:
        raise UserError(f"The images must be uint8, 0 to 255, not {images.dtype}: they are brought to [-1, 1] here.")
    return images.unsqueeze(-3).float().div_(127.5).sub_(1)


def to_uint8(images):
    """float [..., 1, 28, 28] in [-1, 1] → uint8 [..., 28, 28]: the inverse of `to_range`; values outside are clipped.

    Raises `UserError` for images that `check_images` refuses, such as those in [0, 1].
    """
    check_images(images, ndim=None, clipped=True)
    return images.detach().squeeze(-3).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def batches(images, batch_size, *, seed=0, start=0):
    """Yield batches [batch_size, 1, 28, 28] in [-1, 1] from uint8 `images` [N, 28, 28] without end, as in `labelled_batches`."""
    return (batch for (batch,) in labelled_batches((images,), batch_size, seed=seed, start=start))


def labelled_batches(digits, batch_size, *, seed=0, start=0):
    """Yield batches (images [batch_size, 1, 28, 28] in [-1, 1], labels [batch_size]) from `Digits` without end.

    Each epoch is a new permutation of the images and drops the rest that fills no batch. The k-th batch depends on
    `seed` and k alone, and `start` is the first k: a resumed run sees what an uninterrupted one would have seen.
    """
    images, *labels = digits
    if not 0 < batch_size <= len(images):
        raise UserError(f"batch_size must lie between 1 and the number of images ({len(images)}), not {batch_size}.")
    per_epoch = len(images) // batch_size
    rng = torch.Generator(images.device)
    for epoch in itertools.count(start // per_epoch):
        rng.manual_seed(1_000_003 * seed + epoch)  # each epoch has its own, so that none has to be drawn again
        order = torch.randperm(len(images), generator=rng, device=images.device)
        for chosen in order.split(batch_size)[start % per_epoch : per_epoch]:
            # index_select is sooner than images[chosen]
            yield to_range(images.index_select(0, chosen)), *(each.index_select(0, chosen) for each in labels)
        start = 0
