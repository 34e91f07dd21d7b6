"""Pictures and animations, read back from pixels and files."""

import itertools
import re
import subprocess

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image, ImageSequence

from gan_lib import data, pictures, runs
from gan_lib.studies import films
from tests.notebooks.test_same_code import defined


@pytest.mark.parametrize(("n", "columns", "scale"), [(12, 4, 1), (12, 4, 3), (5, 10, 1), (1, 1, 2)])
def test_untile_inverts_tile(n, columns, scale, images):
    picture = pictures.tile(images[:n], columns, scale)
    columns = min(columns, n)
    assert picture.dtype == np.uint8
    assert picture.shape == ((n // columns * 30 + 2) * scale, (columns * 30 + 2) * scale)
    assert runs.untile(picture, scale).equal(images[:n])


def test_images_are_tiled_row_by_row_as_floats_or_bytes(images):
    in_range = data.to_range(images[:5]).requires_grad_(True)
    assert pictures.pixels(in_range).equal(images[:5]) and pictures.pixels(images).equal(images)
    for given in (images[:5], in_range):
        picture = pictures.tile(given, columns=2)
        assert picture.shape == (92, 62)
        assert (picture[32:60, 2:30] == images[2].numpy()).all()
        assert (picture[2:30, 32:60] == images[1].numpy()).all()
        assert len(np.unique(picture[62:90, 32:60])) == 1  # the empty place


def test_in_lesson_04_a_field_is_white_at_zero_red_above_and_blue_below():
    (diverging,) = defined("04", "diverging")
    field = torch.tensor([0.0, 3.0, 9.0, -3.0, 1.5]).view(5, 1, 1, 1).expand(5, 1, 28, 28)
    picture = pictures.rgb(diverging(field, scale=3.0), columns=5)
    assert picture[2, 2::30].tolist() == [[255, 255, 255], [255, 0, 0], [255, 0, 0], [0, 0, 255], [255, 128, 128]]


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
    films.save(frames, tmp_path / "new" / name, columns=3, seconds=3.0)
    stored = read(tmp_path / "new" / name)
    expected = [pictures.tile(frame, 3, 2) for frame in frames]
    assert stored.shape == (count, *expected[0].shape)
    for picture, frame in zip(stored, expected + expected[-1:] * 4, strict=False):
        assert np.abs(picture[:-4].astype(float) - frame[:-4]).mean() < error  # above the progress bar
    _, messages = ffmpeg(tmp_path / "new" / name)
    assert f"Video: {codec}" in messages  # every browser plays h264
    assert float(re.search(r"Duration: 00:00:([\d.]+)", messages).group(1)) == pytest.approx(3, abs=0.15)


def test_a_gif_loops_holds_its_last_frame_for_a_third_and_has_a_growing_progress_bar(frames, tmp_path):
    films.save(frames, tmp_path / "x.gif", columns=3, seconds=3.0)
    with Image.open(tmp_path / "x.gif") as gif:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(gif)]
        assert gif.info["loop"] == 0  # for ever
    assert durations[-1] == pytest.approx(5 * durations[0], rel=0.05)
    bright = [(picture[-1] > 150).mean() for picture in read(tmp_path / "x.gif")]
    assert bright == pytest.approx([(i + 1) / 8 for i in range(8)], abs=0.02)


@pytest.mark.parametrize("name", ["x.gif", "x.mp4"])
def test_each_frame_has_its_label_below(name, frames, tmp_path):
    films.save(frames, tmp_path / name, columns=3, labels=[f"step {2**i}" for i in range(8)])
    height = pictures.tile(frames[0], 3, 2).shape[0]
    lines = [picture[height:].astype(float) for picture in read(tmp_path / name)[:8]]
    assert lines[0].shape[0] == 20
    assert all(line.max() > 150 for line in lines)
    assert all(np.abs(a - b).max() > 100 for a, b in itertools.pairwise(lines))
    with pytest.raises(ValueError, match="zip"):
        films.save(frames, tmp_path / name, labels=["one"])


def test_a_gif_of_noise_is_compressed(tmp_path):
    noise = [torch.randint(0, 256, (6, 28, 28), generator=torch.Generator().manual_seed(i)).byte() for i in range(4)]
    films.save(noise, tmp_path / "x.gif", columns=3, scale=1)
    assert (tmp_path / "x.gif").stat().st_size < 0.8 * sum(frame.numel() for frame in noise)


@pytest.mark.parametrize(("name", "count"), [("x.gif", 1), ("x.mp4", 2)])
def test_an_animation_may_have_one_frame(name, count, frames, tmp_path):
    films.save(frames[:1], tmp_path / name)
    stored = read(tmp_path / name)
    assert stored.reshape(-1, *stored.shape[-2:]).shape == (count, 64, 364)
