"""Pictures and animations, read back from pixels and files; and digits from photographs."""

import io
import itertools
import re
import statistics
import subprocess

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image, ImageDraw, ImageSequence

from gan_lib import UserError, data, evaluation, pictures

# Pictures


@pytest.mark.parametrize(("n", "columns", "scale"), [(12, 4, 1), (12, 4, 3), (5, 10, 1), (1, 1, 2)])
def test_untile_inverts_tile(n, columns, scale, images):
    picture = pictures.tile(images[:n], columns, scale)
    columns = min(columns, n)
    assert picture.dtype == np.uint8
    assert picture.shape == ((n // columns * 30 + 2) * scale, (columns * 30 + 2) * scale)
    assert pictures.untile(picture, scale).equal(images[:n])


def test_images_are_tiled_row_by_row_as_floats_or_bytes(images):
    in_range = data.to_range(images[:5]).requires_grad_(True)
    assert pictures.pixels(in_range).equal(images[:5]) and pictures.pixels(images).equal(images)
    for given in (images[:5], in_range):
        picture = pictures.tile(given, columns=2)
        assert picture.shape == (92, 62)
        assert (picture[32:60, 2:30] == images[2].numpy()).all()
        assert (picture[2:30, 32:60] == images[1].numpy()).all()
        assert len(np.unique(picture[62:90, 32:60])) == 1  # the empty place


def test_a_saved_picture_is_loaded_unchanged(tmp_path, images):
    picture, path = pictures.tile(images[:4], 2), tmp_path / "new" / "x.png"
    pictures.save_picture(picture, path)
    assert (pictures.load_picture(path) == picture).all()
    with Image.open(path) as file:
        assert (file.format, file.mode) == ("PNG", "L")


def test_a_field_tints_images_red_above_zero_and_blue_below():
    images, field = torch.full((2, 1, 28, 28), -0.2), torch.zeros(2, 1, 28, 28)
    field[0, 0, 0, :3] = torch.tensor([3.0, -3.0, 1.5])
    field[0, 0, 1] = 3.0  # so that 3 is the quantile
    picture = pictures.tint(images, field, columns=2)
    assert picture.shape == (32, 62, 3)
    assert picture[2, 2].tolist() == [255, 0, 0]
    assert picture[2, 3].tolist() == [0, 0, 255]
    assert picture[2, 4].tolist() == pytest.approx([178, 51, 51], abs=1)  # half red, half of 102
    assert picture[5, 5].tolist() == picture[2, 40].tolist() == [102, 102, 102]


def test_three_channels_are_red_green_and_blue():
    images = -torch.ones(3, 3, 28, 28)
    images[0, 0, 0, 0] = images[1, 1, 5, 0] = images[2, 2, 0, 7] = 1
    picture = pictures.rgb(images, columns=2)
    assert picture.shape == (62, 62, 3)
    colours = [picture[at].tolist() for at in ((2, 2), (7, 32), (32, 9), (10, 10), (0, 0))]
    assert colours == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0], [40, 40, 40]]


# Animations


@pytest.fixture
def frames(images):
    return [images[6 * i :][:6] for i in range(8)]


def ffmpeg(path, *arguments):
    """The output and the messages of ffmpeg for a file: bytes, and text."""
    command = [get_ffmpeg_exe(), "-hide_banner", "-i", path, *arguments]
    process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    return process.stdout, process.stderr.decode()


def read(path):
    """The frames of an animation, uint8 [T, height, width]."""
    if path.suffix == ".gif":
        frames = imageio.imread(path, index=None)
        return frames[..., 0] if frames.ndim == 4 else frames
    raw, messages = ffmpeg(path, "-f", "rawvideo", "-pix_fmt", "gray", "-")
    width, height = map(int, re.search(r"Video: .* (\d+)x(\d+)", messages).groups())
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width)


@pytest.mark.parametrize(("name", "codec", "count", "error"), [("x.gif", "gif", 8, 5), ("x.mp4", "h264", 12, 25)])
def test_an_animation_holds_every_frame_and_lasts_for_the_given_seconds(name, codec, count, error, frames, tmp_path):
    """A GIF has fewer greys, and stores the equal frames at the end as one that lasts longer; a video is compressed."""
    pictures.save_animation(frames, tmp_path / "new" / name, columns=3, seconds=3.0)
    stored = read(tmp_path / "new" / name)
    expected = [pictures.tile(frame, 3, 2) for frame in frames]
    assert stored.shape == (count, *expected[0].shape)
    for picture, frame in zip(stored, expected + expected[-1:] * 4, strict=False):
        assert np.abs(picture[:-4].astype(float) - frame[:-4]).mean() < error  # above the progress bar
    _, messages = ffmpeg(tmp_path / "new" / name)
    assert f"Video: {codec}" in messages  # every browser plays h264
    assert float(re.search(r"Duration: 00:00:([\d.]+)", messages).group(1)) == pytest.approx(3, abs=0.15)


def test_a_gif_loops_holds_its_last_frame_for_a_third_and_has_a_growing_progress_bar(frames, tmp_path):
    pictures.save_animation(frames, tmp_path / "x.gif", columns=3, seconds=3.0)
    with Image.open(tmp_path / "x.gif") as gif:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(gif)]
        assert gif.info["loop"] == 0  # for ever
    assert durations[-1] == pytest.approx(5 * durations[0], rel=0.05)
    bright = [(picture[-1] > 150).mean() for picture in read(tmp_path / "x.gif")]
    assert bright == pytest.approx([(i + 1) / 8 for i in range(8)], abs=0.02)


@pytest.mark.parametrize("name", ["x.gif", "x.mp4"])
def test_each_frame_has_its_label_below(name, frames, tmp_path):
    pictures.save_animation(frames, tmp_path / name, columns=3, labels=[f"step {2**i}" for i in range(8)])
    height = pictures.tile(frames[0], 3, 2).shape[0]
    lines = [picture[height:].astype(float) for picture in read(tmp_path / name)[:8]]
    assert lines[0].shape[0] == 20
    assert all(line.max() > 150 for line in lines)
    assert all(np.abs(a - b).max() > 100 for a, b in itertools.pairwise(lines))
    with pytest.raises(ValueError, match="zip"):
        pictures.save_animation(frames, tmp_path / name, labels=["one"])


def test_a_gif_of_noise_is_compressed(tmp_path):
    noise = [torch.randint(0, 256, (6, 28, 28), generator=torch.Generator().manual_seed(i)).byte() for i in range(4)]
    pictures.save_animation(noise, tmp_path / "x.gif", columns=3, scale=1)
    assert (tmp_path / "x.gif").stat().st_size < 0.8 * sum(frame.numel() for frame in noise)


@pytest.mark.parametrize(("name", "count"), [("x.gif", 1), ("x.mp4", 2)])
def test_an_animation_may_have_one_frame(name, count, frames, tmp_path):
    pictures.save_animation(frames[:1], tmp_path / name)
    stored = read(tmp_path / name)
    assert stored.reshape(-1, *stored.shape[-2:]).shape == (count, 64, 364)


# Digits from photographs


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
BLACK, GREY = drawing(), drawing(40, 200)
BLUE = drawing((0, 0, 160), (250, 240, 160), mode="RGB")
DRAWINGS = {
    "black on white": stored(BLACK),
    "white on black": stored(drawing(255, 0)),
    "blue on yellow": stored(BLUE, "JPEG"),
    "pencil on grey": stored(drawing(90, 190), "JPEG"),
    "black on nothing": stored(drawing((0, 0, 0, 255), (0, 0, 0, 0), mode="RGBA")),
    "white on nothing": stored(drawing((255, 255, 255, 255), (0, 0, 0, 0), mode="RGBA")),
    "black on nothing, white beneath": stored(drawing((0, 0, 0, 255), (255, 255, 255, 0), mode="RGBA")),
    "one bit": stored(drawing(0, 1, mode="1")),
    "a palette": stored(BLACK.convert("P")),
    "16 bits": stored(scaled(GREY, np.uint16, 257)),
    "WebP": stored(BLUE, "WEBP"),
    "BMP": stored(BLACK, "BMP"),
    "GIF": stored(BLACK, "GIF"),
    "TIFF": stored(BLACK, "TIFF"),
    "TIFF, for print": stored(BLACK.convert("RGB").convert("CMYK"), "TIFF"),
    "TIFF, 16 bits": stored(scaled(GREY, np.uint16, 257), "TIFF"),
    "TIFF, 32 bits": stored(scaled(BLACK, np.int32, 1000), "TIFF"),
    "TIFF, numbers from 0 to 1": stored(scaled(BLACK, np.float32, 1 / 255), "TIFF"),
    "a photo that lies on its side": stored(BLACK.rotate(90, expand=True), "JPEG", exif=ON_ITS_SIDE),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawn_digit_becomes_one_like_those_of_mnist(name):
    image = pictures.read_picture(DRAWINGS[name])
    assert (image.shape, image.dtype) == ((1, 28, 28), torch.float32)
    assert (image.min(), image.max()) == (-1, 1)
    assert evaluation.features_and_logits(image.unsqueeze(0))[1].argmax() == 5
    ink = (image[0] + 1) / 2
    rows, columns = ink.sum(1).nonzero(), ink.sum(0).nonzero()
    assert rows[-1] - rows[0] + 1 == 20
    assert 10 <= columns[-1] - columns[0] + 1 < 20
    for weights in (ink.sum(0), ink.sum(1)):
        assert ((weights * torch.arange(28)).sum() / ink.sum()).item() == pytest.approx(14, abs=0.5)
    assert (image - pictures.read_picture(DRAWINGS["black on white"])).square().mean() < 0.01


@pytest.mark.parametrize("inverted", [False, True])
def test_digits_of_mnist_are_read_back(inverted, tmp_path):
    errors = []
    for digit in data.load(train=False).images[:100]:
        large = digit.numpy().repeat(9, 0).repeat(9, 1)
        (tmp_path / "digit.png").write_bytes(stored(255 - large if inverted else large))
        errors.append((pictures.read_picture(tmp_path / "digit.png") - data.to_range(digit)).square().mean())
    assert statistics.median(errors) < 0.002  # between two digits it is 0.5


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (7, 9), (300, 40)])
def test_a_picture_of_any_size_is_read(shape):
    picture = np.zeros(shape, np.uint8)
    picture[shape[0] // 3 :, shape[1] // 3] = 255
    image = pictures.read_picture(stored(picture))
    assert image.shape == (1, 28, 28) and image.isfinite().all()


def test_a_file_that_is_no_picture_is_refused_in_a_sentence(tmp_path, monkeypatch):
    path, png, jpeg = tmp_path / "bad.png", stored(BLACK), stored(BLACK, "JPEG")
    bad = [b"", b"hello", png[:200], png[:-40], jpeg[: len(jpeg) // 2], stored(BLACK, "PPM")]
    bad += [stored(BLACK, kind)[:300] for kind in ("WEBP", "BMP", "GIF", "TIFF")]
    for content in bad:
        path.write_bytes(content)
        for file, name in ((content, "This picture"), (path, f"The picture {path}")):
            with pytest.raises(UserError, match=rf"^{re.escape(name)} can't be read: [^<>]*\.$"):
                pictures.read_picture(file)
    with pytest.raises(UserError, match=r"none\.png can't be read: No such file or directory\.$"):
        pictures.read_picture(tmp_path / "none.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # a decompression bomb
    with pytest.raises(UserError, match="exceeds limit"):
        pictures.read_picture(png)


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_an_empty_picture_is_refused_in_a_sentence(shade, tmp_path):
    transparent = np.full((60, 80, 4), [shade, shade, shade, 0], np.uint8)
    for blank in (np.full((60, 80), shade, np.uint8), np.full((1, 1), shade, np.uint8), transparent):
        with pytest.raises(UserError, match=r"^This picture shows nothing: it has one shade all over\.$"):
            pictures.read_picture(stored(blank))
    (tmp_path / "blank.tif").write_bytes(stored(np.full((60, 80), shade, np.float32), "TIFF"))
    with pytest.raises(UserError, match=r"blank\.tif shows nothing"):
        pictures.read_picture(tmp_path / "blank.tif")
