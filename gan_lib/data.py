"""Images as one `uint8` tensor on the device, cut into endless shuffled batches in [-1, 1].

MNIST comes with the package and needs no network; torchvision's drop-ins with the same format are one name away.
Introduced in lesson 01.
"""

import gzip
import hashlib
import io
import itertools
import os
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
import torch
from PIL import Image, ImageOps
from torch import nn

from gan_lib.files import write_atomically

FOUR = ", ".join(f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))
SETS = {  # name: (torchvision's class, its arguments, the files it looks for, all of them for either part)
    "mnist": ("MNIST", {}, FOUR),
    "fashion-mnist": ("FashionMNIST", {}, FOUR),
    "kmnist": ("KMNIST", {}, FOUR),
    "emnist-letters": ("EMNIST", {"split": "letters"}, "gzip.zip (or the emnist-letters-* files in it, unpacked)"),
}

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where `apt install dataset-fashion-mnist` puts its four


class Digits(NamedTuple):
    """Images and what they show."""

    images: torch.Tensor  # uint8 [N, 28, 28], 0 black to 255 white
    labels: torch.Tensor  # int64 [N], 0 to 9 (0 to 25 for letters)


def load(name="mnist", *, train=True, device="cpu"):
    """Return the 60,000 training (or 10,000 test) images of `name` as `Digits` on `device`.

    `name` is one of `SETS`. MNIST is unpacked from the package on first use; the others are read from the cache folder
    or downloaded into it by torchvision; Fashion-MNIST is also found where Debian's package puts it. Raises `ValueError`
    for another name, and `FileNotFoundError` saying which files to put where when they are neither on disk nor to be had
    from the network.
    """
    if name not in SETS:
        raise ValueError(f"There is no data set called {name!r}; choose one of: {', '.join(SETS)}.")
    from torchvision import datasets  # here, because it takes longer to import than all else together

    kind, arguments, files = SETS[name]
    root = cache_folder()
    if name == "mnist":
        unpack(root / "MNIST" / "raw")
    if name == "fashion-mnist":
        unpack_package(DEBIAN, root / "FashionMNIST" / "raw")
    try:
        dataset = getattr(datasets, kind)(root, train=train, download=True, **arguments)
    except (RuntimeError, OSError) as error:
        raise FileNotFoundError(
            f"{name} is not on this machine and could not be downloaded ({' '.join(str(error).split())}). "
            f"Put {files} into {root / kind / 'raw'} and try again."
        ) from error
    images, labels = dataset.data, dataset.targets
    if name == "emnist-letters":  # stored lying on their side, and counted from 1
        images, labels = images.transpose(1, 2), labels - 1
    return Digits(images.contiguous().to(device), labels.to(device))


def subset(digits, per_class, seed=0):
    """`per_class` of each class of `digits`, drawn with `seed`, as `Digits`; all of a class that has no more."""
    order = torch.randperm(len(digits.labels), generator=torch.Generator().manual_seed(seed)).to(digits.labels.device)
    chosen = torch.cat([order[digits.labels[order] == label][:per_class] for label in digits.labels.unique()])
    return Digits(*(each[chosen] for each in digits))


def cache_folder():
    """The folder that holds unpacked data: `GAN_LIB_DATA` if that is set, else this platform's cache folder."""
    return Path(os.environ.get("GAN_LIB_DATA") or platformdirs.user_cache_dir("gan_lib"))


def unpack(folder):
    """Unpack the bundled MNIST files into `folder`, unless they are there whole; each is checked by its SHA-256 first.

    Safe to call from several processes at once. Raises `ValueError` where a bundled file is damaged.
    """
    bundle = resources.files("gan_lib") / "mnist"
    for line in (bundle / "SHA256SUMS").read_text().splitlines():
        sha256, name = line.split()
        packed = (bundle / name).read_bytes()
        target = folder / name.removesuffix(".gz")
        size = int.from_bytes(packed[-4:], "little")  # a gzip file ends with the unpacked length
        if target.exists() and target.stat().st_size == size:
            continue
        if hashlib.sha256(packed).hexdigest() != sha256:
            raise ValueError(f"The bundled file {name} is damaged: install gan_lib once more.")
        write_atomically(target, gzip.decompress(packed))


def unpack_package(source, folder):
    """Unpack the .gz files of `source`, if there are any, into `folder`, unless they are there."""
    for packed in source.glob("*.gz"):
        if not (folder / packed.stem).exists():
            write_atomically(folder / packed.stem, gzip.decompress(packed.read_bytes()))


def to_range(images):
    """uint8 [..., 28, 28] → float32 [..., 1, 28, 28] in [-1, 1]: x / 127.5 - 1. What every net here sees and makes.

    Raises `ValueError` for images that are not uint8, such as those already brought to [-1, 1].
    """
    if images.dtype != torch.uint8:
        raise ValueError(f"The images must be uint8, 0 to 255, not {images.dtype}: they are brought to [-1, 1] here.")
    return images.unsqueeze(-3).float().div_(127.5).sub_(1)


def to_uint8(images):
    """float [..., 1, 28, 28] in [-1, 1] → uint8 [..., 28, 28]: the inverse of `to_range`; values outside are clipped."""
    return images.detach().squeeze(-3).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def read_picture(file):
    """A digit in a PNG or JPEG (its path, or its bytes) as MNIST would hold it: float [1, 28, 28] in [-1, 1].

    White on black, whichever way round it was; as large as fits 20 × 20 pixels, with the centre of its ink at (14, 14).
    Raises `ValueError` where the file is no such picture, or shows nothing.
    """
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=("PNG", "JPEG")) as picture:
            picture = ImageOps.exif_transpose(picture)  # a phone's may lie on its side
            if picture.mode == "I;16":
                picture = Image.fromarray((np.array(picture) // 257).astype(np.uint8))
            picture = picture.convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"This can't be read as a PNG or JPEG picture: {error}.") from error
    picture.thumbnail((400, 400))
    grey, cover = torch.from_numpy(np.array(picture.convert("LA"))).float().div(255).unbind(2)  # [height, width]
    if cover.min() < 1:  # behind what is drawn comes its opposite
        grey = grey * cover + (1 - cover) * ((grey * cover).sum() < 0.5 * cover.sum())
    paper = torch.cat([grey[0], grey[-1], grey[:, 0], grey[:, -1]]).median()
    low, high = grey.aminmax()
    if high - low < 0.1:
        raise ValueError("This picture shows nothing: it has one shade all over.")
    ink = (paper - grey) / (paper - low) if paper - low > high - paper else (grey - paper) / (high - paper)
    ink = torch.where(ink > 0.15, ink, 0)  # paper has a grain
    rows, columns = ink.sum(1).nonzero(), ink.sum(0).nonzero()
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = [max(1, round(20 * side / max(ink.shape))) for side in ink.shape]
    small = nn.functional.interpolate(ink[None, None], size, mode="area")[0, 0]
    small = small / small.max()
    centres = [(small.sum(1 - i) * torch.arange(side)).sum() / small.sum() for i, side in enumerate(size)]
    top, left = [min(max(round(14 - c.item()), 0), 28 - side) for c, side in zip(centres, size, strict=True)]
    return nn.functional.pad(small, (left, 28 - left - size[1], top, 28 - top - size[0])).unsqueeze(0) * 2 - 1


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
        raise ValueError(f"batch_size must lie between 1 and the number of images ({len(images)}), not {batch_size}.")
    per_epoch = len(images) // batch_size
    rng = torch.Generator(images.device)
    for epoch in itertools.count(start // per_epoch):
        rng.manual_seed(1_000_003 * seed + epoch)  # each epoch has its own, so that none has to be drawn again
        order = torch.randperm(len(images), generator=rng, device=images.device)
        for chosen in order.split(batch_size)[start % per_epoch : per_epoch]:
            # index_select is sooner than images[chosen]
            yield to_range(images.index_select(0, chosen)), *(each.index_select(0, chosen) for each in labels)
        start = 0


def pick_device(name="auto"):
    """The torch device called `name`; "auto" is "cuda" when this PyTorch can run on the GPU that is there, else "cpu".

    Raises `ValueError` where the device asked for is not there.
    """
    if name == "auto":
        return torch.device("cuda" if works("cuda") else "cpu")
    if not works(name):
        raise ValueError(
            f"This machine has no device {name!r} that PyTorch {torch.__version__} can use; try --device auto."
        )
    return torch.device(name)


def works(device):
    """Whether one small computation succeeds: a GPU too old for this PyTorch says it is available, and fails here."""
    try:
        return torch.ones(1, device=device).add(1).item() == 2
    except (RuntimeError, AssertionError):
        return False
