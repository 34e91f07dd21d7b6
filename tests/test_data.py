"""The bundled MNIST, its drop-ins, the range contract, and the order of the batches."""

import functools
import gzip
import hashlib
import io
import itertools
import operator
import os
import shutil
import statistics
import urllib.error
import urllib.request
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from gan_lib import attributes, data, evaluation, files, hardware, pictures

BUNDLE = Path(str(resources.files("gan_lib") / "mnist"))
MD5 = {  # of the unpacked files, as the world knows them
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and no network."""

    def no_network(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    monkeypatch.setenv("GAN_LIB_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(data, "DEBIAN", tmp_path / "no package")
    return tmp_path / "cache"


def md5_of(folder):
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.glob("*ubyte")}


# MNIST, from the package


def test_mnist_needs_no_network(cache):
    train, test = data.load(), data.load("mnist", train=False)
    assert (train.images.shape, train.images.dtype) == ((60_000, 28, 28), torch.uint8)
    assert (test.images.shape, test.labels.shape) == ((10_000, 28, 28), (10_000,))
    assert train.labels.dtype == torch.int64
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.images.float().mean().div(255).item() == pytest.approx(0.1307, abs=1e-4)
    assert not cache.exists()  # it is read from the package, and no copy is left anywhere


def test_a_change_to_loaded_images_changes_no_others():
    for _ in range(2):
        images, labels = data.load(train=False)
        assert (images[0].sum(), labels[0]) == (18_454, 7)
        images.zero_()
        labels.zero_()


def test_the_training_set_is_decoded_once(monkeypatch):
    data.load()
    monkeypatch.setattr(files, "gzip", None)
    assert len(data.load().images) == 60_000


def test_the_tests_have_a_cache_folder_of_their_own():
    assert data.cache_folder().name.startswith("gan_lib_data_")


def test_without_a_setting_the_data_go_to_the_platforms_cache(monkeypatch):
    monkeypatch.delenv("GAN_LIB_DATA", raising=False)
    assert data.cache_folder().name == "gan_lib"
    assert Path.home() in data.cache_folder().parents


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows starts processes in another way")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_processes_that_unpack_at_once_each_find_whole_files(tmp_path):
    children = []
    for _ in range(4):
        if (child := os.fork()) == 0:  # from here on a process of its own
            try:
                data.unpack(tmp_path / "raw")
                os._exit(0 if md5_of(tmp_path / "raw") == MD5 else 1)
            finally:
                os._exit(2)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0, 0]


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A copy of the package's MNIST files, free to be damaged."""
    folder = tmp_path / "package" / "mnist"
    shutil.copytree(BUNDLE, folder)
    monkeypatch.setattr(files, "resources", SimpleNamespace(files=lambda _: folder.parent))
    data.read_mnist.cache_clear()
    yield folder
    data.read_mnist.cache_clear()


@pytest.mark.parametrize("damage", [lambda whole: whole[:100], lambda whole: whole[:100] + bytes(len(whole) - 100)])
def test_an_unpacked_file_that_is_damaged_is_written_anew(damage, tmp_path):
    data.unpack(tmp_path / "raw")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "raw").iterdir()}
    file = tmp_path / "raw" / "t10k-labels-idx1-ubyte"
    file.write_bytes(damage(file.read_bytes()))
    data.unpack(tmp_path / "raw")
    assert md5_of(tmp_path / "raw") == MD5
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "raw").iterdir()}
    assert {name for name in MD5 if after[name] != before[name]} == {file.name}  # the others are not written again


def test_a_damaged_bundle_is_refused_and_nothing_is_written(bundle, tmp_path):
    packed = bytearray((bundle / "train-images-idx3-ubyte.gz").read_bytes())
    packed[1000] ^= 1
    (bundle / "train-images-idx3-ubyte.gz").write_bytes(packed)
    for use in (data.load, lambda: data.unpack(tmp_path / "raw")):
        with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz is damaged: install gan_lib once more"):
            use()
    assert not (tmp_path / "raw").exists()
    assert len(data.load(train=False).images) == 10_000


# The drop-ins

FOUR = "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FOLDERS = {"fashion-mnist": "FashionMNIST", "kmnist": "KMNIST", "emnist-letters": "EMNIST"}
LETTERS = [
    f"emnist-letters-{part}-{what}-ubyte" for part in ("train", "test") for what in ("images-idx3", "labels-idx1")
]


@pytest.fixture
def things(cache, images, write_idx):
    """Write two parts of ten images of a set into the cache folder, with these labels: `things(name)` returns the folder."""

    def write(name, labels=range(10), images=images):
        raw = cache / FOLDERS[name] / "raw"
        for i, file in enumerate(LETTERS if name == "emnist-letters" else FOUR):
            values = torch.tensor(labels, dtype=torch.uint8) if "labels" in file else images[10 * i :][:10]
            write_idx(raw / file, values)
        return raw

    return write


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["fashion-mnist", "kmnist"])
def test_the_drop_ins_are_read_from_files(name, packed, things, images):
    raw = things(name)
    for path in list(raw.iterdir()) if packed else []:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    train, test = data.load(name), data.load(name, train=False)
    assert train.images.equal(images[:10])
    assert test.images.equal(images[20:30])
    assert train.labels.tolist() == test.labels.tolist() == list(range(10))
    assert test.labels.dtype == torch.int64


def test_fashion_is_found_where_debians_package_puts_it(cache, tmp_path, monkeypatch, images, write_idx):
    monkeypatch.setattr(data, "DEBIAN", tmp_path / "package")
    for part, file in enumerate(FOUR):
        values = torch.arange(10, dtype=torch.uint8) if "labels" in file else images[10 * part :][:10]
        write_idx(tmp_path / "package" / file, values)
        packed = tmp_path / "package" / f"{file}.gz"
        packed.write_bytes(gzip.compress((tmp_path / "package" / file).read_bytes()))
        (tmp_path / "package" / file).unlink()
    assert data.load("fashion-mnist").images.equal(images[:10])
    assert not cache.exists()
    with pytest.raises(FileNotFoundError):
        data.load("kmnist")  # its files have the same names
    own = cache / "FashionMNIST" / "raw" / FOUR[2]
    write_idx(own, images[30:40])  # what lies in the cache folder comes first
    assert data.load("fashion-mnist", train=False).images.equal(images[30:40])


def test_letters_stand_upright_and_are_counted_from_zero(things, images):
    things("emnist-letters", [1, 26] * 5, images.mT.contiguous())
    train, test = data.load("emnist-letters"), data.load("emnist-letters", train=False)
    assert train.images.equal(images[:10])
    assert train.images.is_contiguous()
    assert test.images.equal(images[20:30])
    assert train.labels.tolist() == [0, 25] * 5


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", FOLDERS)
def test_without_files_and_network_one_sentence_says_what_to_put_where(name, train, cache):
    with pytest.raises(FileNotFoundError) as told:
        data.load(name, train=train)
    message = str(told.value)
    assert message.startswith(f"{name} is not on this machine and could not be downloaded")
    assert "Name or service not known" in message
    wanted = (LETTERS if name == "emnist-letters" else FOUR)[:2] if train else (
        LETTERS if name == "emnist-letters" else FOUR)[2:]  # fmt: skip
    assert [file for file in wanted if f"{file}.gz" not in message] == []
    assert str(cache / FOLDERS[name] / "raw") in message
    assert "\n" not in message
    assert not cache.exists()


def test_a_download_that_breaks_off_leaves_nothing_behind_and_loses_nothing(cache, monkeypatch, things):
    """The connection drops within the first file."""
    raw = things("fashion-mnist")
    (raw / FOUR[0]).unlink()
    before = sorted(cache.rglob("*"))

    class Broken(io.BytesIO):
        url, length = None, 1000

        def read(self, *_):
            if self.tell():
                raise OSError("Connection reset by peer")
            return super().read(10)

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Broken(bytes(1000)))
    for name in ("fashion-mnist", "kmnist"):
        with pytest.raises(FileNotFoundError, match="Connection reset by peer"):
            data.load(name)
    assert sorted(cache.rglob("*")) == before


def test_a_download_ends_in_the_cache_folder(cache, monkeypatch, images, write_idx):
    from torchvision import datasets

    def fake(self):
        for part, file in enumerate(FOUR):
            values = torch.arange(10, dtype=torch.uint8) if "labels" in file else images[10 * part :][:10]
            write_idx(Path(self.raw_folder) / file, values)

    monkeypatch.setattr(datasets.KMNIST, "download", fake)
    assert data.load("kmnist").images.equal(images[:10])
    assert {path.name for path in cache.rglob("*")} == {"KMNIST", "raw", *FOUR}
    monkeypatch.setattr(datasets.KMNIST, "download", None)
    assert data.load("kmnist", train=False).images.equal(images[20:30])


DAMAGES = {
    "half": lambda whole: whole[: len(whole) // 2],
    "empty": lambda whole: b"",
    "three bytes": lambda whole: whole[:3],
    "one byte more": lambda whole: whole + b"x",
    "a web page": lambda whole: b"<html>sign in to this network</html>",
    "many axes": lambda whole: b"\0\0\x08\xff" + whole[4:],
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FOLDERS)
def test_a_damaged_file_is_named(name, damage, packed, things):
    raw = things(name, [1] * 10)
    path = next(raw.glob("*train-images*"))
    if packed:
        whole = gzip.compress(path.read_bytes())
        path.unlink()
        path = path.with_name(f"{path.name}.gz")
        path.write_bytes(whole)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(ValueError, match="delete it and try again") as told:
        data.load(name)
    assert f"The file {path} is damaged" in str(told.value)
    assert len(data.load(name, train=False).images) == 10


@pytest.mark.parametrize(
    ("labels", "shape", "sentence"),
    [
        ([10] * 10, (28, 28), "labels-idx1-ubyte must lie between 0 and 9"),
        ([1] * 9, (28, 28), r"must hold images \[N, 28, 28\] and labels \[N\], not \[10, 28, 28\] and \[9\]"),
        ([], (28, 28), "must hold images"),
        ([1] * 10, (14, 56), "must hold images"),
        ([[1] * 10], (28, 28), "must hold images"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(labels, shape, sentence, things, images):
    things("kmnist", labels, images.view(-1, *shape))
    with pytest.raises(ValueError, match=sentence):
        data.load("kmnist")


@pytest.mark.parametrize("label", [0, 27])
def test_letters_out_of_range_are_refused(label, things):
    things("emnist-letters", [1] * 9 + [label])
    with pytest.raises(ValueError, match="must lie between 1 and 26"):
        data.load("emnist-letters")


def test_a_subset_of_less_than_nothing_is_refused(images):
    with pytest.raises(ValueError, match="per_class must be at least 0, not -1"):
        data.subset(data.Digits(images, torch.arange(48) % 10), -1)


def test_an_unknown_set_is_refused_with_a_list_of_those_there_are():
    with pytest.raises(ValueError, match="no data set called 'minst'; choose one of: mnist, fashion-mnist, kmnist"):
        data.load("minst")


# The range contract


def test_each_of_the_256_values_comes_back_exactly():
    levels = torch.arange(784).remainder(256).view(1, 28, 28).to(torch.uint8)
    images = data.to_range(levels)
    assert (images.shape, images.dtype) == ((1, 1, 28, 28), torch.float32)
    assert (images.min().item(), images.max().item()) == (-1, 1)
    assert data.to_uint8(images).equal(levels)


def test_values_between_are_rounded_and_values_outside_clipped():
    images = torch.zeros(1, 1, 28, 28)
    images[0, 0, 0, :6] = torch.tensor([-7.0, -1.003, -0.9, 0.0, 0.9999, 7.0])
    assert data.to_uint8(images)[0, 0, :6].tolist() == [0, 0, 13, 128, 255, 255]


def test_the_original_is_not_changed_by_bringing_it_to_the_range(images):
    before = images.clone()
    data.to_uint8(data.to_range(images).requires_grad_(True))
    assert images.equal(before)


def test_images_already_brought_to_the_range_are_refused(images):
    with pytest.raises(ValueError, match=r"uint8.*not torch\.float32"):
        data.to_range(data.to_range(images))


# The door


def fine():
    """Images [2, 1, 28, 28] from -1 to 1."""
    return torch.linspace(-1, 1, 2 * 784).view(2, 1, 28, 28)


DOORS = {
    "to_uint8": data.to_uint8,
    "pixels": pictures.pixels,
    "tile": pictures.tile,
    "features_and_logits": evaluation.features_and_logits,
    "class_counts": evaluation.class_counts,
    "frechet": evaluation.frechet,
    "nearest": lambda images: evaluation.nearest(images, torch.zeros(3, 28, 28, dtype=torch.uint8)),
    **attributes.ATTRIBUTES,
}
REFUSED = {  # images, and what is said of them
    "uint8": (data.to_uint8(fine()).unsqueeze(1), "uint8"),
    "in [0, 1]": ((fine() + 1) / 2, r"must lie in \[-1, 1\], not 0.00 to 1.00: 2 \* x - 1"),
    "of a sigmoid": (0.4 + (fine() + 1) / 10, "not 0.40 to 0.60"),
    "in [0, 255]": ((fine() + 1) * 127.5, "not 0.00 to 255.00"),
    "NaN": (fine().where(fine() < 0.9, torch.nan), "the generator has diverged"),
    "infinity": (fine().where(fine() < 0.9, torch.inf), "the generator has diverged"),
    "three channels": (fine().expand(2, 3, 28, 28), r"\[2, 3, 28, 28\]"),
    "flat": (fine().view(2, 784), r"\[2, 784\]"),
    "of another size": (torch.linspace(-1, 1, 2048).view(2, 1, 32, 32), r"\[2, 1, 32, 32\]"),
    "normalised": ((fine() + 0.7) * 1.64, "not -0.49 to 2.79"),
}
CLIPS = "to_uint8", "pixels", "tile"
BAD = [(door, bad) for door in DOORS for bad in REFUSED if not (bad == "normalised" and door in CLIPS)]


@pytest.mark.parametrize(("door", "bad"), BAD)
def test_images_that_are_not_as_agreed_are_refused_where_they_enter(door, bad):
    images, sentence = REFUSED[bad]
    if (door, bad) in [("pixels", "uint8"), ("tile", "uint8")]:
        sentence = r"uint8 \[N, 28, 28\], not \[2, 1, 28, 28\]"
    with pytest.raises(ValueError, match=sentence) as told:
        DOORS[door](images)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("door", DOORS)
def test_good_images_pass_each_door(door):
    white, grey, light = (torch.full((2, 1, 28, 28), shade) for shade in (1.0, 0.0, 0.6))
    for images in (fine(), white, -white, grey, light, 0.2 + fine() / 10, fine() * 1.1, fine().requires_grad_(True)):
        DOORS[door](images if door != "frechet" else torch.cat([images, images.flip(0)]))


def test_a_picture_without_a_batch_and_rows_of_pictures_become_uint8():
    assert data.to_uint8(fine()[0]).equal(data.to_uint8(fine())[0])
    assert data.to_uint8(fine().view(1, 2, 1, 28, 28)).equal(data.to_uint8(fine()).unsqueeze(0))
    assert data.to_uint8(fine()[:0]).shape == (0, 28, 28)


# Batches


def numbered(n):
    """n images that tell their number by their first two pixels."""
    images = torch.zeros(n, 28, 28, dtype=torch.uint8)
    images[:, 0, 0], images[:, 0, 1] = torch.arange(n) // 256, torch.arange(n) % 256
    return images


def numbers(batch):
    pixels = data.to_uint8(batch).int()
    return (256 * pixels[:, 0, 0] + pixels[:, 0, 1]).tolist()


def take(k, *arguments, **options):
    return [numbers(batch) for batch in itertools.islice(data.batches(*arguments, **options), k)]


def test_a_batch_keeps_the_range_contract(images):
    batch = next(data.batches(images, 8))
    assert (batch.shape, batch.dtype) == ((8, 1, 28, 28), torch.float32)
    assert -1 <= batch.min() < batch.max() <= 1


def test_an_epoch_shows_every_image_once():
    seen = take(6, numbered(300), 100)
    assert sorted(functools.reduce(operator.iadd, seen[:3], [])) == list(range(300))
    assert sorted(functools.reduce(operator.iadd, seen[3:], [])) == list(range(300))
    assert seen[:3] != seen[3:]


def test_the_rest_that_fills_no_batch_is_dropped():
    seen = take(3, numbered(10), 4)
    assert [len(batch) for batch in seen] == [4, 4, 4]
    assert len(set(seen[0] + seen[1])) == 8


@pytest.mark.parametrize("k", [1, 3, 4, 5, 9])
def test_starting_at_k_equals_skipping_k(k):
    assert take(10, numbered(17), 4)[k:] == take(10 - k, numbered(17), 4, start=k)


def test_the_order_follows_from_the_seed_alone():
    torch.manual_seed(0)
    first = take(4, numbered(40), 10, seed=3)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert take(4, numbered(40), 10, seed=3) == first
    assert torch.get_rng_state().equal(state)
    assert take(4, numbered(40), 10, seed=4) != first


@pytest.mark.parametrize("batch_size", [0, -1, 49])
def test_a_batch_size_that_cannot_be_is_refused(batch_size, images):
    with pytest.raises(ValueError, match=f"between 1 and the number of images .48., not {batch_size}"):
        next(data.batches(images, batch_size))


# Devices


def test_the_device_is_one_that_works():
    assert hardware.pick_device("cpu") == torch.device("cpu")
    assert hardware.pick_device("auto").type == ("cuda" if hardware.works("cuda") else "cpu")


@pytest.mark.parametrize("name", ["cuda:99", "tpu", ""])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match=f"no device '{name}' that PyTorch .* can use; try --device auto"):
        hardware.pick_device(name)


def test_the_bundle_holds_what_its_sums_say():
    for line in (BUNDLE / "SHA256SUMS").read_text().splitlines():
        sha256, name = line.split()
        packed = (BUNDLE / name).read_bytes()
        assert hashlib.sha256(packed).hexdigest() == sha256
        assert hashlib.md5(gzip.decompress(packed)).hexdigest() == MD5[name.removesuffix(".gz")]


# A picture of your own


def stored(picture, kind="PNG", **settings):
    """The bytes of a file that holds a picture (an array, or Pillow's)."""
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **settings)
    return file.getvalue()


def drawn(ink, paper, size=(900, 700), mode="L"):
    """A large 5 in the upper left of a sheet, with a thick pen."""
    sheet = Image.new(mode, size, paper)
    lines = [(330, 120), (170, 120), (150, 270), (260, 250), (330, 310), (320, 410), (240, 460), (140, 430)]
    ImageDraw.Draw(sheet).line(lines, ink, 40, joint="curve")
    return sheet


def seen_as(image):
    return evaluation.features_and_logits(image.unsqueeze(0))[1].argmax().item()


PAPERS = {
    "black on white": (drawn(0, 255), "PNG"),
    "white on black": (drawn(255, 0), "PNG"),
    "blue on yellow": (drawn((0, 0, 160), (250, 240, 160), mode="RGB"), "JPEG"),
    "pencil on grey": (drawn(90, 190), "JPEG"),
    "black on nothing": (drawn((0, 0, 0, 255), (0, 0, 0, 0), mode="RGBA"), "PNG"),
    "white on nothing": (drawn((255, 255, 255, 255), (0, 0, 0, 0), mode="RGBA"), "PNG"),
    "black on nothing, white beneath": (drawn((0, 0, 0, 255), (255, 255, 255, 0), mode="RGBA"), "PNG"),
    "one bit": (drawn(0, 1, mode="1"), "PNG"),
    "a palette": (drawn(0, 255).convert("P"), "PNG"),
    "16 bits": (Image.fromarray(np.array(drawn(40, 200)).astype(np.uint16) * 257), "PNG"),
    "WebP": (drawn((0, 0, 160), (250, 240, 160), mode="RGB"), "WEBP"),
    "BMP": (drawn(0, 255), "BMP"),
    "GIF": (drawn(0, 255), "GIF"),
    "TIFF": (drawn(0, 255), "TIFF"),
    "TIFF, for print": (drawn((0, 0, 0), (255, 255, 255), mode="RGB").convert("CMYK"), "TIFF"),
    "TIFF, 16 bits": (Image.fromarray(np.array(drawn(40, 200)).astype(np.uint16) * 257), "TIFF"),
    "TIFF, 32 bits": (Image.fromarray(np.array(drawn(0, 255)).astype(np.int32) * 1000), "TIFF"),
    "TIFF, numbers from 0 to 1": (Image.fromarray(np.array(drawn(0, 255)).astype(np.float32) / 255), "TIFF"),
}


@pytest.mark.parametrize("paper", PAPERS)
def test_a_drawn_digit_arrives_as_mnist_holds_its(paper):
    image = pictures.read_picture(stored(*PAPERS[paper]))
    assert (image.shape, image.dtype) == ((1, 28, 28), torch.float32)
    assert (image.min(), image.max()) == (-1, 1)
    assert seen_as(image) == 5
    ink = (image[0] + 1) / 2
    rows, columns = ink.sum(1).nonzero(), ink.sum(0).nonzero()
    assert rows[-1] - rows[0] + 1 == 20
    assert 10 <= columns[-1] - columns[0] + 1 < 20
    for weights in (ink.sum(0), ink.sum(1)):
        assert ((weights * torch.arange(28)).sum() / ink.sum()).item() == pytest.approx(14, abs=0.5)
    alike = pictures.read_picture(stored(*PAPERS["black on white"]))
    assert (image - alike).square().mean() < 0.01


@pytest.mark.parametrize("upside", ["black on white", "white on black"])
def test_digits_of_mnist_come_back(upside, tmp_path):
    digits = data.load(train=False).images[:100]
    errors = []
    for digit in digits.numpy():
        large = digit.repeat(9, 0).repeat(9, 1)
        (tmp_path / "digit.png").write_bytes(stored(255 - large if upside == "black on white" else large))
        errors.append(
            (pictures.read_picture(tmp_path / "digit.png") - data.to_range(torch.tensor(digit))).square().mean()
        )
    assert statistics.median(errors) < 0.002  # from a digit to the next it is 0.5


def test_a_photograph_that_lies_on_its_side_is_turned():
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright: turn it by 90° clockwise
    photo = stored(drawn(0, 255).rotate(90, expand=True), "JPEG", exif=turned)
    assert (pictures.read_picture(photo) - pictures.read_picture(stored(drawn(0, 255)))).square().mean() < 0.01


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (7, 9), (300, 40)])
def test_a_picture_of_any_size_is_read(shape):
    picture = np.zeros(shape, np.uint8)
    picture[shape[0] // 3 :, shape[1] // 3] = 255
    if shape == (1, 1):
        with pytest.raises(ValueError, match="one shade"):
            pictures.read_picture(stored(picture))
    else:
        image = pictures.read_picture(stored(picture))
        assert image.shape == (1, 28, 28)
        assert image.isfinite().all()


def test_a_file_that_is_no_picture_is_refused_in_a_sentence(tmp_path):
    png, jpeg = stored(drawn(0, 255)), stored(drawn(0, 255), "JPEG")
    bad = [b"", b"hello", png[:200], png[:-40], jpeg[: len(jpeg) // 2], stored(drawn(0, 255), "PPM")]
    bad += [stored(drawn(0, 255), kind)[:300] for kind in ("WEBP", "BMP", "GIF", "TIFF")]
    for content in bad:
        (tmp_path / "bad.png").write_bytes(content)
        for file, name in ((content, "This picture"), (tmp_path / "bad.png", f"The picture {tmp_path / 'bad.png'}")):
            with pytest.raises(ValueError, match=r"can't be read: [^<>]*\.$") as told:
                pictures.read_picture(file)
            assert str(told.value).startswith(name)
    with pytest.raises(ValueError, match=r"none\.png can't be read: No such file or directory\.$"):
        pictures.read_picture(tmp_path / "none.png")


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_an_empty_picture_is_refused_in_a_sentence(shade, tmp_path):
    for blank in (np.full((60, 80), shade, np.uint8), np.full((60, 80, 4), [shade, shade, shade, 0], np.uint8)):
        with pytest.raises(ValueError, match=r"^This picture shows nothing: it has one shade all over\.$"):
            pictures.read_picture(stored(blank))
    (tmp_path / "blank.tif").write_bytes(stored(Image.fromarray(np.full((60, 80), shade, np.float32)), "TIFF"))
    with pytest.raises(ValueError, match=r"blank\.tif shows nothing"):
        pictures.read_picture(tmp_path / "blank.tif")


def test_a_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="exceeds limit"):
        pictures.read_picture(stored(drawn(0, 255)))
