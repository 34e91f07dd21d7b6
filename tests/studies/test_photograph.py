"""Digits from photographs, drawings and damaged files."""

import io
import re
import statistics

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from gan_lib import UserError, data, evaluation
from gan_lib.studies.inversion import read_photograph


def stored(picture, kind="PNG", **settings):
    """The bytes of a file that holds a picture (an array, or Pillow's)."""
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **settings)
    return file.getvalue()


def drawing(ink=0, background=255, mode="L"):
    """A large 5 in the upper left of a sheet, with a thick pen."""
    sheet = Image.new(mode, (900, 700), background)
    lines = [(330, 120), (170, 120), (150, 270), (260, 250), (330, 310), (320, 410), (240, 460), (140, 430)]
    ImageDraw.Draw(sheet).line(lines, ink, 40, joint="curve")
    return sheet


def scaled(picture, dtype, scale):
    return Image.fromarray((np.array(picture).astype(np.float64) * scale).astype(dtype))


ON_ITS_SIDE = Image.Exif()
ON_ITS_SIDE[0x0112] = 6  # the camera was held upright: turn it by 90° clockwise
BLACK, PENCIL = drawing(), drawing(90, 190)
BLUE = drawing((0, 0, 160), (250, 240, 160), mode="RGB")
DRAWINGS = {
    "black on white": stored(BLACK),
    "white on black": stored(drawing(255, 0)),
    "black on nothing": stored(drawing((0, 0, 0, 255), (0, 0, 0, 0), mode="RGBA")),
    "white on nothing": stored(drawing((255, 255, 255, 255), (0, 0, 0, 0), mode="RGBA")),
    "black on nothing, white beneath": stored(drawing((0, 0, 0, 255), (255, 255, 255, 0), mode="RGBA")),
    "pencil on grey, 16 bits": stored(scaled(PENCIL, np.uint16, 257)),
    "WebP": stored(BLUE, "WEBP"),
    "GIF": stored(BLACK, "GIF"),
    "TIFF, for print": stored(BLACK.convert("RGB").convert("CMYK"), "TIFF"),
    "TIFF, numbers from 0 to 1": stored(scaled(BLACK, np.float32, 1 / 255), "TIFF"),
    "a photo that lies on its side": stored(BLACK.rotate(90, expand=True), "JPEG", exif=ON_ITS_SIDE),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawn_digit_becomes_one_like_those_of_mnist(name):
    image = read_photograph(DRAWINGS[name])
    assert (image.shape, image.dtype) == ((1, 28, 28), torch.float32)
    assert (image.min(), image.max()) == (-1, 1)
    assert evaluation.features_and_logits(image.unsqueeze(0))[1].argmax() == 5
    ink = (image[0] + 1) / 2
    rows, columns = ink.sum(1).nonzero(), ink.sum(0).nonzero()
    assert rows[-1] - rows[0] + 1 == 20
    assert 10 <= columns[-1] - columns[0] + 1 < 20
    for weights in (ink.sum(0), ink.sum(1)):
        assert ((weights * torch.arange(28)).sum() / ink.sum()).item() == pytest.approx(14, abs=0.5)
    assert (image - read_photograph(DRAWINGS["black on white"])).square().mean() < 0.01


@pytest.mark.parametrize("inverted", [False, True])
def test_digits_of_mnist_are_read_back(inverted, tmp_path):
    errors = []
    for digit in data.load(train=False).images[:100]:
        large = digit.numpy().repeat(9, 0).repeat(9, 1)
        (tmp_path / "digit.png").write_bytes(stored(255 - large if inverted else large))
        errors.append((read_photograph(tmp_path / "digit.png") - data.to_range(digit)).square().mean())
    assert statistics.median(errors) < 0.002  # between two digits it is 0.5


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (7, 9), (300, 40)])
def test_a_picture_of_any_size_is_read(shape):
    picture = np.zeros(shape, np.uint8)
    picture[shape[0] // 3 :, shape[1] // 3] = 255
    image = read_photograph(stored(picture))
    assert image.shape == (1, 28, 28) and image.isfinite().all()


def test_a_file_that_is_no_picture_is_refused_in_a_sentence(tmp_path):
    path, png, jpeg = tmp_path / "bad.png", stored(BLACK), stored(BLACK, "JPEG")
    bad = [b"", b"hello", png[:200], png[:-40], jpeg[: len(jpeg) // 2], stored(BLACK, "PPM")]
    bad += [stored(BLACK, kind)[:300] for kind in ("WEBP", "BMP", "GIF", "TIFF")]
    for content in bad:
        path.write_bytes(content)
        for file, name in ((content, "This picture"), (path, f"The picture {path}")):
            with pytest.raises(UserError, match=rf"^{re.escape(name)} can't be read: [^<>]*\.$"):
                read_photograph(file)
    with pytest.raises(UserError, match=r"none\.png can't be read: No such file or directory\.$"):
        read_photograph(tmp_path / "none.png")


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_an_empty_picture_is_refused_in_a_sentence(shade, tmp_path):
    transparent = np.full((60, 80, 4), [shade, shade, shade, 0], np.uint8)
    for blank in (np.full((60, 80), shade, np.uint8), np.full((1, 1), shade, np.uint8), transparent):
        with pytest.raises(UserError, match=r"^This picture shows nothing: it has one shade all over\.$"):
            read_photograph(stored(blank))
    (tmp_path / "blank.tif").write_bytes(stored(np.full((60, 80), shade, np.float32), "TIFF"))
    with pytest.raises(UserError, match=r"blank\.tif shows nothing"):
        read_photograph(tmp_path / "blank.tif")
