"""The bundled MNIST, the other data sets, folders of pictures, the range of images, and the order of the batches."""

import contextlib
import gzip
import hashlib
import itertools
import struct
import urllib.error
import urllib.request
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lib import UserError, attributes, data, evaluation, files, pictures
from gan_lib.studies import augmentation

MD5 = {  # of the uncompressed files, as published
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and no network."""
    no_network = urllib.error.URLError("Name or service not known")
    monkeypatch.setattr(urllib.request, "urlopen", mock.Mock(side_effect=no_network))
    monkeypatch.setenv("GAN_LIB_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(data, "DEBIAN", tmp_path / "no package")
    return tmp_path / "cache"


def md5_of(folder):
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.glob("*ubyte")}


def write_idx(path, values):
    """Write a uint8 tensor to a path in the format of the MNIST files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">I{values.ndim}I", 0x0800 + values.ndim, *values.shape)
    path.write_bytes(header + values.numpy().tobytes())


def test_mnist_needs_no_network_and_leaves_no_copy(cache):
    train, test = data.load(), data.load("mnist", train=False)
    assert (train.images.shape, train.images.dtype) == ((60_000, 28, 28), torch.uint8)
    assert (test.images.shape, test.labels.shape) == ((10_000, 28, 28), (10_000,))
    assert train.labels.dtype == torch.int64
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert not cache.exists()


def test_mnist_is_decoded_once_and_each_load_is_a_copy(monkeypatch):
    data.load(train=False)
    monkeypatch.setattr(files, "gzip", None)
    for _ in range(2):
        images, labels = data.load(train=False)
        assert (images[0].sum(), labels[0]) == (18_454, 7)
        images.zero_()
        labels.zero_()


def test_the_cache_folder_is_the_setting_or_that_of_the_platform(monkeypatch):
    assert data.cache_folder().name.startswith("gan_lib_data_")  # the tests' own
    monkeypatch.delenv("GAN_LIB_DATA")
    assert data.cache_folder().name == "gan_lib"
    assert Path.home() in data.cache_folder().parents


def test_the_published_files_are_unpacked_and_a_damaged_one_again_never_seen_in_part(tmp_path):
    """Another process may read it meanwhile, or unpack it too: `test_files` holds what `write_atomically` does."""
    file = tmp_path / "t10k-labels-idx1-ubyte"
    with mock.patch.object(data, "write_atomically", wraps=files.write_atomically) as write:
        data.unpack(tmp_path)
        assert (md5_of(tmp_path), write.call_count) == (MD5, 4)
        file.write_bytes(bytes(file.stat().st_size))  # as long as it was
        data.unpack(tmp_path)
    assert (md5_of(tmp_path), write.call_count, write.call_args.args[0]) == (MD5, 5, file)


def test_a_damaged_bundle_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    sha256 = hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda content: sha256(content[1:]))  # as if a byte were missing
    data.read_mnist.cache_clear()
    for use in (data.load, lambda: data.unpack(tmp_path / "raw")):
        with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz is damaged: install gan_lib once more"):
            use()
    assert not (tmp_path / "raw").exists()


MNIST_FILES = list(MD5)
LETTERS = [f"emnist-letters-{name}".replace("t10k", "test") for name in MNIST_FILES]
FOLDERS = {"fashion-mnist": "FashionMNIST", "kmnist": "KMNIST", "emnist-letters": "EMNIST"}


@pytest.fixture
def write_set(cache, images):
    """Write the training part (images 0 to 9) and the test part (20 to 29) of a set, and return its folder."""

    def write(name, labels=range(10), images=images, folder=None, packed=False):
        folder = folder or cache / FOLDERS[name] / "raw"
        for i, file in enumerate(LETTERS if name == "emnist-letters" else MNIST_FILES):
            values = torch.tensor(labels, dtype=torch.uint8) if "labels" in file else images[10 * i :][:10]
            write_idx(folder / file, values)
            if packed:
                (folder / f"{file}.gz").write_bytes(gzip.compress((folder / file).read_bytes()))
                (folder / file).unlink()
        return folder

    return write


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FOLDERS)
def test_other_sets_are_read_from_files(name, packed, write_set, images):
    labels = list(range(10))
    write_set(name, labels, packed=packed)
    if name == "emnist-letters":  # its letters are transposed, and labelled from 1
        labels = [0, 25] * 5
        write_set(name, [1, 26] * 5, images.mT.contiguous(), packed=packed)
    train, test = data.load(name), data.load(name, train=False)
    assert train.images.equal(images[:10])
    assert train.images.is_contiguous()
    assert test.images.equal(images[20:30])
    assert train.labels.tolist() == test.labels.tolist() == labels
    assert test.labels.dtype == torch.int64


def test_fashion_mnist_is_found_in_debians_package(cache, tmp_path, monkeypatch, images, write_set):
    monkeypatch.setattr(data, "DEBIAN", tmp_path / "package")
    write_set("fashion-mnist", folder=tmp_path / "package", packed=True)
    assert data.load("fashion-mnist").images.equal(images[:10])
    assert not cache.exists()
    with pytest.raises(FileNotFoundError):
        data.load("kmnist")  # its files have the same names
    write_idx(cache / "FashionMNIST" / "raw" / MNIST_FILES[2], images[30:40])  # the cache folder has priority
    assert data.load("fashion-mnist", train=False).images.equal(images[30:40])


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", FOLDERS)
def test_without_files_and_network_one_sentence_says_what_to_put_where(name, train, cache):
    with pytest.raises(FileNotFoundError) as error:
        data.load(name, train=train)
    stems = (LETTERS if name == "emnist-letters" else MNIST_FILES)[0 if train else 2 :]
    message = str(error.value)
    assert message.startswith(f"{name} is not on this machine and could not be downloaded")
    assert "Name or service not known" in message
    assert message.endswith(f"Put {stems[0]}.gz and {stems[1]}.gz into {cache / FOLDERS[name] / 'raw'} and try again.")
    assert "\n" not in message
    assert not cache.exists()


def test_a_download_that_breaks_off_leaves_nothing_behind_and_loses_nothing(cache, monkeypatch, write_set):
    """The connection drops within the first file."""
    (write_set("fashion-mnist") / MNIST_FILES[0]).unlink()
    before = sorted(cache.parent.rglob("*"))

    connection = mock.Mock(url=None, length=1000)
    connection.read.side_effect = itertools.cycle([bytes(10), OSError("Connection reset by peer")])
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: contextlib.nullcontext(connection))
    for name in ("fashion-mnist", "kmnist"):
        with pytest.raises(FileNotFoundError, match="Connection reset by peer"):
            data.load(name)
    assert sorted(cache.parent.rglob("*")) == before


def test_a_download_ends_in_the_cache_folder(cache, monkeypatch, images, write_set):
    from torchvision import datasets

    monkeypatch.setattr(datasets.KMNIST, "download", lambda self: write_set("kmnist", folder=Path(self.raw_folder)))
    assert data.load("kmnist").images.equal(images[:10])
    assert {path.name for path in cache.rglob("*")} == {"KMNIST", "raw", *MNIST_FILES}
    monkeypatch.setattr(datasets.KMNIST, "download", None)
    assert data.load("kmnist", train=False).images.equal(images[20:30])


DAMAGES = {
    "half": lambda whole: whole[: len(whole) // 2],
    "empty": lambda whole: b"",
    "one byte more": lambda whole: whole + b"x",
    "a web page": lambda whole: b"<html>sign in to this network</html>",
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FOLDERS)
def test_a_damaged_file_is_named(name, damage, packed, write_set):
    path = next(write_set(name, [1] * 10, packed=packed).glob("*train-images*"))
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(UserError, match="delete it and try again") as error:
        data.load(name)
    assert f"The file {path} is damaged" in str(error.value)
    assert len(data.load(name, train=False).images) == 10


@pytest.mark.parametrize(("name", "labels", "shape", "message"), [
    ("kmnist", [10] * 10, (28, 28), "labels-idx1-ubyte must lie between 0 and 9"),
    ("emnist-letters", [0] * 10, (28, 28), "must lie between 1 and 26"),
    ("emnist-letters", [1] * 9 + [27], (28, 28), "must lie between 1 and 26"),
    ("kmnist", [1] * 9, (28, 28), r"images \[N, 28, 28\] and labels \[N\], not \[10, 28, 28\] and \[9\]"),
    ("kmnist", [], (28, 28), "must hold images"),
    ("kmnist", [1] * 10, (14, 56), "must hold images"),
    ("kmnist", [[1] * 10], (28, 28), "must hold images"),
])  # fmt: skip
def test_files_that_do_not_belong_together_are_refused(name, labels, shape, message, write_set, images):
    write_set(name, labels, images.view(-1, *shape))
    with pytest.raises(UserError, match=message):
        data.load(name)


def test_unknown_sets_negative_subsets_and_batch_sizes_out_of_range_are_refused(images):
    with pytest.raises(UserError, match="no data set called 'minst'; choose one of: mnist, fashion-mnist, kmnist"):
        data.load("minst")
    with pytest.raises(UserError, match="per_class must be at least 0, not -1"):
        augmentation.subset(data.Digits(images, torch.arange(48) % 10), -1)
    for batch_size in (0, -1, 49):
        with pytest.raises(UserError, match=f"between 1 and the number of images .48., not {batch_size}"):
            next(data.batches(images, batch_size))


def put(content, path):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content) if isinstance(content, bytes) else Image.fromarray(np.array(content, np.uint8)).save(path)


def test_sub_folders_are_classes_in_a_mixed_order_that_is_always_the_same(images, tmp_path):
    for i, image in enumerate(images[:40]):
        put(image.numpy(), tmp_path / ("b" if i % 4 else "a") / f"{i:02}.{('png', 'BMP', 'tiff')[i % 3]}")
    for name in ("a/._00.png", "a/.DS_Store", ".trash/1.png", "b/Thumbs.db", "notes.txt", "c/x.txt"):
        put(b"no picture", tmp_path / name)
    (found, labels), again = data.load_folder(tmp_path), data.load(str(tmp_path), train=False)
    numbers = [images.flatten(1).eq(image.flatten()).all(1).nonzero().item() for image in found]
    assert sorted(numbers) == list(range(40)) != numbers  # a picture of 28 × 28 is unchanged
    assert (labels.tolist(), labels.dtype) == ([int(i % 4 > 0) for i in numbers], torch.int64)
    assert again.images.equal(found) and again.labels.equal(labels) and set(labels[:8].tolist()) == {0, 1}
    assert data.load_folder(tmp_path / "a").labels.tolist() == [0] * 10


def test_a_picture_becomes_the_grey_square_in_its_middle(tmp_path):
    wide = np.zeros((60, 140, 3))
    wide[:, 40:70], wide[:, 70:100] = (255, 0, 0), 255
    put(wide, tmp_path / "wide.png")
    put(wide.transpose(1, 0, 2), tmp_path / "tall.jpg")
    corners = [[image[3, 3].item(), image[24, 24].item()] for image in data.load_folder(tmp_path).images]
    assert corners == [pytest.approx([76, 255], abs=2)] * 2


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("files", "sentence"), [
    ({}, r"The number of pictures in \S+ is 0, and a GAN needs many \(\.png, \.jpg"),
    ({"a/1.png": 5, "b/x.txt": b""}, r"The number of pictures in \S+ is 1, and a GAN needs many"),
    ({"1.png": 5, "a/2.png": 5}, r"holds pictures beside its sub-folders: move 1\.png into one of these"),
    ({"a/1.png": 5, "b/2.png": b"text"}, r"The picture \S+2\.png can't be read: it is none of PNG, JPEG"),
    ({"1.png": 5, "2.png": 40}, r"2\.png can't be read: Image size \(1600 pixels\) exceeds limit"),
])  # fmt: skip
def test_a_folder_that_can_not_be_read_is_refused_in_one_sentence(files, sentence, tmp_path, monkeypatch):
    for name, content in files.items():
        put(content if isinstance(content, bytes) else np.zeros((content, content)), tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # above it Pillow only warns, up to twice as many
    with pytest.raises(UserError, match=rf"{sentence}[^\n]*\.$"):
        data.load_folder(tmp_path)


RAMP = torch.linspace(-1, 1, 2 * 784).view(2, 1, 28, 28)


def test_each_of_the_256_values_comes_back_exactly_others_are_rounded_and_clipped_in_any_number_of_axes():
    levels = torch.arange(784).remainder(256).view(1, 28, 28).to(torch.uint8)
    before, images = levels.clone(), data.to_range(levels)
    assert (images.shape, images.dtype) == ((1, 1, 28, 28), torch.float32)
    assert (images.min().item(), images.max().item()) == (-1, 1)
    assert data.to_uint8(images.requires_grad_(True)).equal(levels)
    assert levels.equal(before)
    with pytest.raises(UserError, match=r"uint8.*not torch\.float32"):
        data.to_range(images)
    images = torch.zeros(1, 1, 28, 28)
    images[0, 0, 0, :6] = torch.tensor([-7.0, -1.003, -0.9, 0.0, 0.9999, 7.0])
    assert data.to_uint8(images)[0, 0, :6].tolist() == [0, 0, 13, 128, 255, 255]
    assert data.to_uint8(RAMP[0]).equal(data.to_uint8(RAMP)[0])
    assert data.to_uint8(RAMP.view(1, 2, 1, 28, 28)).equal(data.to_uint8(RAMP).unsqueeze(0))
    assert data.to_uint8(RAMP[:0]).shape == (0, 28, 28)


CLIP = {"to_uint8": data.to_uint8, "pixels": pictures.pixels, "tile": pictures.tile}  # values outside
ENTRIES = CLIP | {
    "features_and_logits": evaluation.features_and_logits,
    "class_counts": evaluation.class_counts,
    "frechet": evaluation.frechet,
    "nearest": lambda images: evaluation.nearest(images, torch.zeros(3, 28, 28, dtype=torch.uint8)),
    **attributes.ATTRIBUTES,
}
REFUSED = {  # images, and the message
    "uint8": (data.to_uint8(RAMP).unsqueeze(1), "uint8"),
    "in [0, 1]": ((RAMP + 1) / 2, r"must lie in \[-1, 1\], not 0.00 to 1.00: use 2 \* x - 1"),
    "in [0, 255]": ((RAMP + 1) * 127.5, "not 0.00 to 255.00"),
    "of a sigmoid": (0.4 + (RAMP + 1) / 10, "not 0.40 to 0.60"),
    "NaN": (RAMP.where(RAMP < 0.9, torch.nan), "the generator has diverged"),
    "infinity": (RAMP.where(RAMP < 0.9, torch.inf), "the generator has diverged"),
    "three channels": (RAMP.expand(2, 3, 28, 28), r"\[2, 3, 28, 28\]"),
    "flat": (RAMP.view(2, 784), r"\[2, 784\]"),
    "of another size": (torch.linspace(-1, 1, 2048).view(2, 1, 32, 32), r"\[2, 1, 32, 32\]"),
    "normalised": ((RAMP + 0.7) * 1.64, "not -0.49 to 2.79"),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_images_are_checked_where_they_enter(entry):
    for bad, (images, message) in REFUSED.items():
        if bad == "normalised" and entry in CLIP:
            continue
        if bad == "uint8" and entry in ("pixels", "tile"):
            message = r"uint8 \[N, 28, 28\], not \[2, 1, 28, 28\]"
        with pytest.raises(UserError, match=message) as error:
            ENTRIES[entry](images)
        assert "\n" not in str(error.value)
    white, grey, light = (torch.full((2, 1, 28, 28), shade) for shade in (1.0, 0.0, 0.6))
    for images in (RAMP, white, -white, grey, light, 0.2 + RAMP / 10, RAMP * 1.1, RAMP.clone().requires_grad_(True)):
        ENTRIES[entry](images if entry != "frechet" else torch.cat([images, images.flip(0)]))


def take(k, n, batch_size, start=0):
    """The first k batches of n images as lists of indices: each image has the grey level of its index."""
    images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1).expand(n, 28, 28)
    batches = itertools.islice(data.batches(images, batch_size, start=start), k)
    return [data.to_uint8(batch)[:, 0, 0].tolist() for batch in batches]


def test_an_epoch_is_a_new_permutation_without_the_last_incomplete_batch():
    one, two, three, *next_epoch = take(6, 240, 80)
    for epoch in ([one, two, three], next_epoch):
        assert sorted(itertools.chain.from_iterable(epoch)) == list(range(240))
    assert [one, two, three] != next_epoch
    one, two, three = take(3, 10, 4)
    assert (len(set(one + two)), len(three)) == (8, 4)


@pytest.mark.parametrize("k", [1, 4, 9])
def test_starting_at_k_equals_skipping_k(k):
    assert take(10, 17, 4)[k:] == take(10 - k, 17, 4, start=k)
